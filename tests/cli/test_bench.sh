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
run bench --network resnet21
expect_code 2
expect_err 'did you mean "resnet18"?'
run bench --network conv_16_32_128 --input 3by3
expect_code 2
expect_err "write CHANNELSxHEIGHTxWIDTH"
run bench "$tiny" --sweep time_step=1,2
expect_code 2
expect_err 'did you mean "time_steps"?'
for bad in time_steps= time_steps=1,x k=1.5 width=0 batch=1,,2; do
    run bench "$tiny" --sweep "$bad"
    expect_code 2
    expect_err "--sweep $bad: "
done
run bench --network conv_16_32_128 --schedule stlt
expect_code 3
expect_err 'did you mean "sltt"?'

need_device
run bench "$tiny" -n 3
expect_code 0
expect_out "training step  median "
expect_out "cold  "
expect_out "peaks of this run"
expect_out "firing         2 0."

run bench "$tiny" -n 3 --no-peaks --json --layers --trace "$work/trace.json"
expect_code 0
expect_out '"variant":"'
[ "$(wc -l <"$work/out")" -eq 1 ] || fail "one object was expected"
for key in '"median_ms":' '"cold_first_ms":' '"device_bytes":' '"launches":' '"spike_rate":{"2":' '"layer":"0","op":"conv.forward"' \
    '"op":"neuron.backward' '"dense convolutions":{"ms":' '"peak_share":null'; do
    expect_out "$key"
done
grep -q '"name":"0 conv.forward","cat":"device"' "$work/trace.json" || fail "the trace lacks a kernel"
grep -q '"name":"read loss","cat":"host"' "$work/trace.json" || fail "the trace lacks the host"

run bench "$tiny" -n 2 --no-peaks --profile --schedule sltt-2 --steps 4 --batch 8 --plugin gemm=gemm_clblast
expect_code 0
expect_out "sltt-k, T = 4, batch 8"
expect_out "matrix products"
expect_out " K 512 TA " # what CLBlast enqueued is in the table
run bench --network conv_16_32_128 --schedule bptt --batch 4 --steps 2 -n 1 --no-peaks
expect_code 0
expect_out "conv_16_32_128: bptt, T = 2, batch 4"

# Weights and input for other programs.
run train "$tiny" -s epochs=1 -o "$work/no_trace" --trace /dev/full
expect_code 1
expect_err "/dev/full"
run train "$tiny" -s epochs=1 -o "$work/run" --trace "$work/train.json"
expect_code 0
expect_err "trace: $work/train.json"
grep -q '"name":"wait for data","cat":"host"' "$work/train.json" || fail "the trace lacks the loader"
grep -q '"cat":"device"' "$work/train.json" || fail "the trace lacks the device"
run bench "$tiny" -n 1 --no-peaks --checkpoint "$work/run" --real-input --save-input "$work/input.safetensors"
expect_code 0
head -c 400 "$work/input.safetensors" | grep -qa '"shape":\[1,32,8,8,2\]' || fail "the input's shape is another"
run bench "$tiny" -n 1 --no-peaks --checkpoint "$work/nothing"
expect_code 1
expect_err "$work/nothing"

# Curves: every row has every column, a value that a schedule cannot have is left out, memory of SLTT does not grow with T.
run bench "$tiny" --sweep time_steps=1,3 --schedule sltt,sltt-2,bptt -n 1 --out "$work/deep/curves"
expect_code 0
expect_err "time_steps=1 sltt-2   left out"
csv=$work/deep/curves/sweep_time_steps.csv
head -n 1 "$csv" | grep -q '^name,value,series,method,backprop_steps,time_steps,batch,width,median_ms,p5_ms,p95_ms,min_ms,samples_per_second,device_bytes,launches,device,driver,date$' ||
    fail "the columns are others"
[ "$(grep -c '^"synthetic, tiny",' "$csv")" -eq 5 ] || fail "5 rows were expected"
sed 's/"[^"]*"/text/g' "$csv" | awk -F, 'NF != 18 {exit 1} NR > 1 && !($9 > 0 && $14 > 0) {exit 1}' || fail "a row is not whole"
bytes() { sed 's/"[^"]*"/text/g' "$csv" | awk -F, -v s="$1" -v T="$2" '$3 == s && $6 == T {print $14}'; }
[ "$(bytes sltt 1)" -ge "$(bytes sltt 3)" ] || fail "SLTT's memory grows with T"
[ "$(bytes bptt 1)" -lt "$(bytes bptt 3)" ] || fail "BPTT's memory does not grow with T"
head -c 8 "$work/deep/curves/sweep_time_steps.png" | grep -q PNG || fail "no picture"
run bench "$tiny" --sweep batch=4,16 --set batch=8 --schedule sltt -n 1 --out "$work/deep/curves"
expect_code 0
[ "$(sed 's/"[^"]*"/text/g' "$work/deep/curves/sweep_batch.csv" | awk -F, 'NR > 1 {print $7}' | tr '\n' ' ')" = "4 16 " ] || fail "another batch"
run bench "$tiny" --sweep width=1,2.5 --schedule sltt -n 1 --out "$work/deep/curves"
expect_code 0
run bench "$tiny" --sweep k=1,3,4 --schedule sltt-k -n 1 --out "$work/deep/curves"
expect_code 0
expect_err "k=4 sltt-k   left out"

# Training with everything around it, beside the bare step.
export TMPDIR="$work"
run bench "$tiny" --overhead -n 8 --json
expect_code 0
expect_out '"training_samples_per_second":'
expect_out '"cpu_ratio":'
ls "$work"/spikeport-overhead-* >/dev/null 2>&1 && fail "a temporary folder was left"
run data bench "$tiny" --seconds 0
expect_code 0
expect_out "the training step takes "
run data bench "$tiny" --seconds 0 --no-step
expect_code 0
grep -q "training step" "$work/out" && fail "--no-step was given"
exit 0
