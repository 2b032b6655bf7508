# Networks of integers: trained with quantised weights, evaluated on the device and in plain C with the same digest,
# exported for hardware; where Icarus Verilog is, the example design must give the golden vectors bit by bit, and a bit
# that was flipped is found and named.
. "$(dirname "$0")/support.sh"
need_device
hdl=$(cd "$(dirname "$0")/../../examples/hdl" && pwd)

recipe() { # NAME LAYERS...
    printf '%s\n' "data: {name: synthetic, classes: 4, channels: 2, height: 8, width: 8, train_limit: 256, test_limit: 64}" \
        "neuron: {tau: 2}" "precision: {weights: 6}" "schedule: {method: sltt, time_steps: 3}" "batch: 32" "seed: 3" "network:" >"$work/$1.yaml"
    file=$work/$1.yaml
    shift
    for layer in "$@"; do echo "  - $layer" >>"$file"; done
}
recipe conv "{type: conv, out: 5, kernel: 3, padding: 1}" "{type: batch_norm}" "{type: lif}" "{type: avg_pool, kernel: 2}" \
    "{type: conv, out: 6, kernel: [3, 2], stride: [2, 1], padding: 1}" "{type: lif, tau: 1.142857, v_th: 0.2, v_reset: -0.1, reset: hard}" \
    "{type: max_pool, kernel: 2}" "{type: flatten}" "{type: linear, out: 4}"
sed 's/weights: 6/weights: 6, scale: channel/' "$work/conv.yaml" >"$work/conv2" && mv "$work/conv2" "$work/conv.yaml"
recipe dense "{type: flatten}" "{type: linear, out: 33}" "{type: lif}" "{type: dropout, p: 0.1}" "{type: scale, factor: 2}" "{type: linear, out: 4}" "{type: lif}"

field() { # KEY: the value of the JSON object "integer"
    sed -n "s/.*\"integer\":{.*\"$1\":\"*\([^\",}]*\).*/\1/p" "$work/out"
}
for net in conv dense; do
    run train "$work/$net.yaml" --out "$work/$net" --quiet
    expect_code 0
    run eval "$work/$net" --integer --json
    expect_code 0
    digest=$(field digest)
    [ ${#digest} -eq 16 ] || fail "no digest"
    [ $net = dense ] || conv_digest=$digest
    expect_out '"worst_layer":"'
    run eval "$work/$net" --integer --plain-c --json --set eval_batch=17
    expect_code 0
    [ "$(field digest)" = "$digest" ] || fail "plain C has another digest than $digest"
    run export "$work/$net" --hdl "$work/$net.hdl" --samples 1,5
    expect_code 0
    touch "$work/$net.hdl/layer9_u.mem" "$work/$net.hdl/golden.h5" # of an export with more layers
    run export "$work/$net" --hdl "$work/$net.hdl" --samples 1,5
    expect_code 0
    [ ! -e "$work/$net.hdl/layer9_u.mem" ] && [ ! -e "$work/$net.hdl/golden.h5" ] || fail "files of an earlier export stay"
    grep -q '"format": "spikeport-hdl/1"' "$work/$net.hdl/manifest.json" || fail "no manifest"
done
run eval "$work/conv" --integer --programs "$work"
expect_code 2
expect_err "no programs of integer networks"
run eval "$work/conv" --integer
expect_code 0
expect_out "digest of all outputs $conv_digest"

# what has no form in integers is named
run eval "$work/conv" --integer --set neuron.tau=1.1
expect_code 3
expect_err "layer 2: tau 1.1"
run eval "$work/conv" --integer --set precision.weights=float
expect_code 3
expect_err "precision.weights"
run export "$work/conv" --hdl "$work/conv"
expect_code 2
run export "$work/conv" --hdl "$work/new" --samples 1,65
expect_code 2
expect_err "no sample 65"
run export "$work/conv" "$work/both.safetensors" --hdl "$work/new"
expect_code 2
run plan "$work/conv.yaml" --no-device --set precision.weights=1
expect_code 3

# the budget: by hand for the dense network, whose neurons all count as firing without a run
run plan "$work/dense.yaml" --hardware --json
expect_code 0
expect_out '"layer":"1","weight_bits":27456,"potential_bits":528,"output_bits":33,"blocks":3,"accumulations":12672'
expect_out '"cycles":12774'
run plan "$work/dense.yaml" --hardware --rates "$work/dense" --elements 11
expect_code 0
expect_out "with 11 multiply-accumulates at once"
run plan "$work/conv.yaml" --hardware --rates "$work/dense"
expect_code 7
expect_err "no firing rate of layer 5"
run plan "$work/dense.yaml" --hardware --set precision.weights=float
expect_code 3
run plan "$work/dense.yaml" --elements 2
expect_code 2

# golden vectors as NIR data, where the program has HDF5
run export "$work/dense" --hdl "$work/nir.hdl" --samples 1 --nir-data
[ "$code" -eq 3 ] || { expect_code 0 && [ -s "$work/nir.hdl/golden.h5" ] || fail "no NIR data"; }
run export "$work/dense" "$work/dense.safetensors" --nir-data
expect_code 2

command -v iverilog >/dev/null || { echo "the design was not simulated: no iverilog"; exit 0; }
for net in conv dense; do # layers that never fire would prove little
    for out in "$work/$net".hdl/layer[02]_out.mem; do
        [ "$net$out" = "dense$work/dense.hdl/layer2_out.mem" ] || grep -q 1 "$out" || fail "no spikes in $out"
    done
    "$hdl/run" "$work/$net.hdl" >"$work/simulation" 2>&1 || { cat "$work/simulation"; fail "$net: the design differs"; }
    layers=$(($(wc -l <"$work/$net.hdl/layers.txt") - 1))
    [ "$(grep -c "outputs match" "$work/simulation")" -eq $layers ] || fail "$net: layers are missing"
done
"$hdl/run" "$work/conv.hdl" 3 >"$work/simulation" 2>&1 || { cat "$work/simulation"; fail "the pool alone differs"; }
# the host's program talks to a board, which is simulated
if command -v cc >/dev/null; then
    cc -o "$work/host" "$hdl/host.c" || fail "host.c does not compile"
    mkfifo "$work/to" "$work/from"
    timeout 100 "$hdl/board" "$work/dense.hdl" "$work/to" "$work/from" >"$work/simulation" 2>&1 &
    timeout 100 "$work/host" "$work/dense.hdl" "$work/to" "$work/from" >"$work/said" || { cat "$work/simulation" "$work/said"; fail "the board differs"; }
    wait
    [ "$(grep -c "all outputs as the golden ones" "$work/said")" -eq 2 ] || { cat "$work/said"; fail "samples are missing"; }
fi
if command -v yosys >/dev/null; then
    for layer in "" 1; do
        "$hdl/area" "$work/dense.hdl" $layer >"$work/area" || fail "yosys does not take the design"
        grep -q "^[1-9][0-9]* LUTs (6 inputs), [1-9][0-9]* flip-flops, [1-9][0-9]* bits of memory$" "$work/area" ||
            { cat "$work/area"; fail "no area"; }
    done
fi

planted() { # NET LAYER WHAT LINE NAME: the lowest bit of a number of the export is found in layer NAME, and the neuron named
    rm -rf "$work/planted"
    cp -r "$work/$1.hdl" "$work/planted"
    mem=$work/$1.hdl/layer$2_$3.mem
    number=$(sed -n "$4p" "$mem")
    sed "$4s/.*/$(printf "%0${#number}x" $((0x$number ^ 1)))/" "$mem" >"$work/planted/layer$2_$3.mem"
    if "$hdl/run" "$work/planted" >"$work/simulation" 2>&1; then fail "$1: a flipped bit of layer $2 was not found"; fi
    grep -q "layer $5, sample [12], time step [1-3], neuron [0-9]* (y [0-9]*, x [0-9]*, channel $(($4 - 1))): potential is" \
        "$work/simulation" || { cat "$work/simulation"; fail "$1: the flipped bit of layer $2 was not named"; }
}
planted dense 0 weights 1 1
planted conv 0 bias 2 0
planted conv 2 bias 4 4
