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
recipe dense "{type: flatten}" "{type: linear, out: 33}" "{type: lif}" "{type: dropout, p: 0.1}" "{type: linear, out: 4}"

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
    run export "$work/$net" --hdl "$work/$net.hdl" --samples 1,5
    expect_code 0
    grep -q '"format": "spikeport-hdl/1"' "$work/$net.hdl/manifest.json" || fail "no manifest"
done
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

command -v iverilog >/dev/null || { echo "the design was not simulated: no iverilog"; exit 0; }
for net in conv dense; do # layers that never fire would prove little
    for out in "$work/$net".hdl/layer[02]_out.mem; do
        [ "$net$out" = "dense$work/dense.hdl/layer2_out.mem" ] || grep -q 1 "$out" || fail "no spikes in $out"
    done
    "$hdl/run" "$work/$net.hdl" >"$work/simulation" 2>&1 || { cat "$work/simulation"; fail "$net: the design differs"; }
    [ "$(grep -c "outputs match" "$work/simulation")" -eq "$(wc -l <"$work/$net.hdl/layers.txt")" ] || fail "$net: layers are missing"
done
if command -v yosys >/dev/null; then
    "$hdl/area" "$work/dense.hdl" 1 >"$work/area" || fail "yosys does not take the design"
    grep -q "^[1-9][0-9]* LUTs (6 inputs), [1-9][0-9]* flip-flops, [1-9][0-9]* bits of memory$" "$work/area" ||
        { cat "$work/area"; fail "no area"; }
fi
# the lowest bit of the first weight of layer 1 that a golden input reads
planted=$work/dense.hdl/layer0_weights.mem
first=$(head -n 1 "$planted")
printf '%02x\n' $((0x$first ^ 1)) >"$work/planted"
tail -n +2 "$planted" >>"$work/planted"
cp "$work/planted" "$planted"
if "$hdl/run" "$work/dense.hdl" >"$work/simulation" 2>&1; then fail "a flipped bit was not found"; fi
grep -q "layer 1, sample [12], time step [1-3], neuron 0 (y 0, x 0, channel 0): potential is" "$work/simulation" ||
    { cat "$work/simulation"; fail "the flipped bit was not named"; }
