# spikeport diff: devices step by step, recordings, runs; what differs is named by layer, time step and neuron.
. "$(dirname "$0")/support.sh"
recipe=$(cd "$(dirname "$0")/../../recipes" && pwd)/synthetic_tiny.yaml

run diff
expect_code 2
expect_err "name two runs, or a --recipe with devices"
run diff --recipe "$recipe" --device cpu
expect_code 2
run diff --recipe "$recipe" --device cpu --device cpu --bound near
expect_code 2
expect_err "--bound must be a number"
run diff "$work/none" "$work/none"
expect_code 1
expect_err "none: cannot be opened"

need_device

# The same device and kernels: every bit. Other kernels: within the tolerances.
run diff --recipe "$recipe" --device 0 --device 0 --batches 2 -s schedule.method=bptt
expect_code 0
expect_out "numbers that differ: 0"
expect_out "spikes that differ: 0, bound on |u - v_th| 4e-06"
expect_out "agree"
run diff --recipe "$recipe" --device 0 --record "$work/rec"
expect_code 0
run diff --recipe "$recipe" --device 0 --against "$work/rec" --plugin '*=reference' --json
expect_code 0
expect_out '"agree":true'
expect_out '"flips":'

# Other weights, another leak, another threshold: the place is named.
run diff --recipe "$recipe" --device 0 --against "$work/rec" -s seed=8
expect_code 1
expect_err "the first: layer 0 conv.forward"
expect_out "the first: layer 0 conv.forward, sample 1, neuron (0, 0, 0)"
network() { # THRESHOLD
    echo "network=[{type: conv, out: 8, kernel: 3, padding: 1}, {type: batch_norm}, {type: lif, v_th: $1}, {type: avg_pool, kernel: 2}, {type: flatten}, {type: linear, out: 4}]"
}
run diff --recipe "$recipe" --device 0 --record "$work/rec" -s "$(network 1)"
expect_code 0
run diff --recipe "$recipe" --device 0 --against "$work/rec" -s "$(network 1.01)"
expect_code 1
expect_out "|u - v_th| ="
expect_err "layer 2 neuron.forward, time step"
expect_err "bound 4e-06"
run diff --recipe "$recipe" --device 0 --against "$work/rec" -s "$(network 1.00001)" --bound 0.0001
expect_out "bound on |u - v_th| 0.0001"

# A recording of something else, or cut off.
head -c 2000 "$work/rec" >"$work/short"
run diff --recipe "$recipe" --device 0 --against "$work/short"
expect_code 7
expect_err "the recording ends early"

# Runs.
run train "$recipe" --out "$work/a" -s epochs=1
expect_code 0
run train "$recipe" --out "$work/b" -s epochs=1
expect_code 0
run train "$recipe" --out "$work/c" -s epochs=1 -s optimizer.lr=0.05
expect_code 0
run diff "$work/a" "$work/b"
expect_code 0
expect_out "0 of 14 tensors differ"
run diff "$work/a" "$work/c"
expect_code 1
expect_out "loss: first differs at mini-batch"
expect_out "0.weight"
expect_out "first element"

# Oclgrind beside the driver in one process, where both are installed: the same seed agrees.
grind=/usr/lib/oclgrind/liboclgrind-rt-icd.so
pocl=/etc/OpenCL/vendors/pocl.icd
if [ -e "$grind" ] && [ -e "$pocl" ]; then
    mkdir "$work/icd"
    cp "$pocl" "$work/icd"
    echo "$grind" >"$work/icd/oclgrind.icd"
    OCL_ICD_VENDORS=$work/icd
    export OCL_ICD_VENDORS
    run diff --recipe "$recipe" --device pthread --device oclgrind --plugin '*=reference' -s batch=2 -s "network=[{type: conv,
        out: 4, kernel: 3}, {type: batch_norm}, {type: lif}, {type: flatten}, {type: linear, out: 4}]"
    expect_code 0
    expect_out "Oclgrind Simulator"
    expect_out "spikes that differ: 0, bound on |u - v_th| 4e-06"
fi
