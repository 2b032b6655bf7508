# spikeport train on several devices: two parts of one device train as the whole one does, and what cannot be is refused.
. "$(dirname "$0")/support.sh"
recipe=$(cd "$(dirname "$0")/../../recipes" && pwd)/synthetic_tiny.yaml
plain='network=[{type: conv, out: 8, kernel: 3, padding: 1}, {type: lif}, {type: avg_pool, kernel: 2}, {type: flatten}, {type: linear, out: 4}]'

need_device
run train "$recipe" --sub-devices 2 --out "$work/none" -s batch=33
case $code in
3) expect_err "a batch of 33 cannot be split evenly into 2 shards" ;;
*) grep -q "cut into 2" "$work/err" && { echo "skipped: this device has no sub-devices"; exit 77; }
   fail "a batch of 33 was split" ;;
esac
run train "$recipe" --sub-devices 2 --out "$work/none" -s schedule.online_update=true
expect_code 3
expect_err "online_update"
run train "$recipe" --sub-devices 16 --out "$work/none"
[ "$code" -eq 0 ] || { expect_code 4; expect_err "compute units and cannot be cut into 16 parts"; } # a large one can

# Without batch norm the two agree up to the rounding of the sum of gradients: 1e-4 of a tensor's largest number after an epoch.
for method in sltt bptt; do
    run train "$recipe" --out "$work/one" -s "$plain" -s epochs=1 -s schedule.method=$method
    expect_code 0
    grep "16/16" "$work/err" | sed "s/^/$method, one device: /"
    run train "$recipe" --out "$work/two" -s "$plain" -s epochs=1 -s schedule.method=$method --sub-devices 2
    expect_code 0
    expect_err "device 2 of 2"
    expect_err "16 samples of each mini-batch"
    expect_err "gradients are summed on the host in their order"
    grep "16/16" "$work/err" | sed "s/^/$method, two parts: /"
    run diff "$work/one" "$work/two" --within 1e-4
    expect_code 0
    tail -1 "$work/out"
    rm -r "$work/one"
    [ $method = bptt ] || rm -r "$work/two"
done

# The same again: the order of the sum does not depend on which part is faster.
run train "$recipe" --out "$work/again" -s "$plain" -s epochs=1 -s schedule.method=bptt --sub-devices 2
expect_code 0
run diff "$work/two" "$work/again"
expect_code 0

# A run that was interrupted goes on, on two parts, bit for bit; one device twice makes two replicas as well.
run train "$recipe" --out "$work/part" -s "$plain" -s epochs=1 -s schedule.method=bptt --sub-devices 2 --max-iterations 5
expect_code 130
run train --resume "$work/part" --sub-devices 2
expect_code 0
run diff "$work/two/checkpoint.safetensors" "$work/part/checkpoint.safetensors"
expect_code 0
run train "$recipe" --out "$work/pair" -s "$plain" -s epochs=1 -s schedule.method=bptt --device 0,0
expect_code 0
run diff "$work/two/checkpoint.safetensors" "$work/pair/checkpoint.safetensors" --within 1e-4
expect_code 0

# With batch norm each part normalises over its own samples: another training than one device's on the whole mini-batch, and the
# same as that of one device which takes the two halves one after the other.
run train "$recipe" --out "$work/halves" -s epochs=1 --device 0,0
expect_code 0
run train "$recipe" --out "$work/parts" -s epochs=1 --sub-devices 2
expect_code 0
run diff "$work/halves/checkpoint.safetensors" "$work/parts/checkpoint.safetensors" --within 1e-4
expect_code 0
tail -1 "$work/out"

# Batch norms over both halves: the training of whole mini-batches, but for rounding.
set -- -s epochs=1 --max-iterations 3
run train "$recipe" "$@" --out "$work/whole"
expect_code 130
run train "$recipe" "$@" -s schedule.sync_batch_norm=true --sub-devices 2 --out "$work/synced"
expect_code 130
run diff "$work/whole/checkpoint.safetensors" "$work/synced/checkpoint.safetensors" --within 1e-4
expect_code 0
