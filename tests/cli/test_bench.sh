# spikeport bench: what is measured and told; tables by layer, traces, known networks, weights; right and wrong use.
. "$(dirname "$0")/support.sh"
recipes=$(cd "$(dirname "$0")/../../recipes" && pwd)
tiny=$recipes/synthetic_tiny.yaml

run bench
expect_code 2
expect_err "name a recipe, or a network"
run bench "$tiny" --network resnet18
expect_code 2
expect_err "exclude each other"
run bench "$tiny" --iterations 0
expect_code 2
run bench --network resnet19
expect_code 2
expect_err 'did you mean "resnet18"?'
run bench --network conv_16_32_128 --input 3by3
expect_code 2
expect_err "write CHANNELSxHEIGHTxWIDTH"
run bench --network conv_16_32_128 --schedule stlt
expect_code 3
expect_err 'did you mean "sltt"?'

need_device
run bench "$tiny" -n 3
expect_code 0
expect_out "training step  median "
expect_out "cold  "
expect_out "rulers of this run"
expect_out "firing         2 0."

run bench "$tiny" -n 3 --no-ruler --json --layers --trace "$work/trace.json"
expect_code 0
[ "$(wc -l <"$work/out")" -eq 1 ] || fail "one object was expected"
for key in '"median_ms":' '"cold_first_ms":' '"device_bytes":' '"launches":' '"spike_rate":{"2":' '"layer":"0","op":"conv.forward"' \
    '"op":"neuron.backward"' '"dense convolutions":{"ms":' '"ruler_share":null'; do
    expect_out "$key"
done
grep -q '"name":"0 conv.forward","cat":"device"' "$work/trace.json" || fail "the trace lacks a kernel"
grep -q '"name":"read loss","cat":"host"' "$work/trace.json" || fail "the trace lacks the host"

run bench "$tiny" -n 2 --no-ruler --profile --schedule sltt-2 --steps 4 --batch 8 --plugin gemm=gemm_clblast
expect_code 0
expect_out "sltt-k, T = 4, batch 8"
expect_out "matrix products"
expect_out " K 512 TA " # what CLBlast enqueued is in the table
run bench --network conv_16_32_128 --schedule bptt --batch 4 --steps 2 -n 1 --no-ruler
expect_code 0
expect_out "conv_16_32_128: bptt, T = 2, batch 4"

# Weights and input for other programs.
run train "$tiny" -s epochs=1 -o "$work/run" --trace "$work/train.json"
expect_code 0
expect_err "trace: $work/train.json"
grep -q '"name":"wait for data","cat":"host"' "$work/train.json" || fail "the trace lacks the loader"
grep -q '"cat":"device"' "$work/train.json" || fail "the trace lacks the device"
run bench "$tiny" -n 1 --no-ruler --checkpoint "$work/run" --real-input --save-input "$work/input.safetensors"
expect_code 0
head -c 400 "$work/input.safetensors" | grep -qa '"shape":\[1,32,8,8,2\]' || fail "the input's shape is another"
run bench "$tiny" -n 1 --no-ruler --checkpoint "$work/nothing"
expect_code 1
expect_err "$work/nothing"
exit 0
