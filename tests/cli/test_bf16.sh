# precision.compute: bf16. A run in float32 never has a kernel that rounds factors; with the option, plan and train say how many products
# are in bf16, or that none is, and evaluation, resuming, gradients and reference cases work with what was chosen.
. "$(dirname "$0")/support.sh"
need_device
golden=$(cd "$(dirname "$0")/../golden" && pwd)
cat >"$work/net.yaml" <<'END'
data: {name: synthetic, classes: 4, channels: 2, height: 8, width: 8, train_limit: 256, test_limit: 128}
schedule: {method: sltt, time_steps: 3}
optimizer: {name: sgd, lr: 0.1, momentum: 0.9}
batch: 32
epochs: 2
seed: 3
network:
  - {type: conv, out: 32, kernel: 3, padding: 1}
  - {type: batch_norm}
  - {type: lif}
  - {type: avg_pool, kernel: 2}
  - {type: conv, out: 32, kernel: 3, padding: 1, stride: 2}
  - {type: batch_norm}
  - {type: lif}
  - {type: flatten}
  - {type: linear, out: 64}
  - {type: batch_norm}
  - {type: lif}
  - {type: linear, out: 4}
END
run devices
has=no
grep -q "products of bf16\|tiles of bf16" "$work/out" && has=yes

run plan "$work/net.yaml"
expect_code 0
grep -q "_bf16\|products in bf16" "$work/out" && fail "a float32 plan has a kernel that computes in bf16"
run plan "$work/net.yaml" --set precision.compute=bf16
expect_code 0
if [ $has = yes ]; then
    grep -q "products in bf16: [1-9][0-9]* of [1-9]" "$work/out" || fail "no product is in bf16"
    grep -q "_bf16" "$work/out" || fail "no kernel that computes in bf16"
else
    expect_out "products in bf16: none of"
    grep -q "__[a-z_]*bf16" "$work/out" && fail "a kernel that this device cannot run"
fi
run plan "$work/net.yaml" --set precision.compute=bf16-gradients
expect_code 0
grep -q "conv_forward[a-z_]*bf16" "$work/out" && fail "bf16-gradients rounds in the forward pass"
[ $has = no ] || grep -q "products in bf16: [1-9][0-9]* of [1-9]" "$work/out" || fail "no gradient is in bf16"
run plan "$work/net.yaml" --set precision.compute=half
expect_code 3
expect_err "compute"

for compute in float bf16-gradients bf16; do
    run train "$work/net.yaml" --set precision.compute=$compute --out "$work/$compute"
    expect_code 0
    run eval "$work/$compute" --json
    expect_code 0
    accuracy=$(sed -n 's/^[^[]*"accuracy":\([0-9.]*\),.*/\1/p' "$work/out")
    awk -v a="$accuracy" 'BEGIN { exit !(a > 0.6) }' || fail "accuracy $accuracy with $compute"
done

run train "$work/net.yaml" --set precision.compute=bf16 --out "$work/whole" --quiet
expect_code 0
run train "$work/net.yaml" --set precision.compute=bf16 --out "$work/parts" --max-iterations 5 --quiet
expect_code 130
run train --resume "$work/parts" --quiet
expect_code 0
run diff "$work/whole" "$work/parts"
expect_code 0
run diff --recipe "$work/net.yaml" --device cpu --device cpu --set precision.compute=bf16
expect_code 3
expect_err "precision.compute=float"

run similarity "$work/net.yaml" --reference sltt --methods sltt,sltt-bf16,sltt-bf16-gradients --train sltt --iterations 1 --by-layer --out "$work/similarity"
expect_code 0
awk -F, -v has=$has 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
    $at["method"] == "sltt" { exact = $at["difference"] }
    $at["method"] == "sltt-bf16" { cosine = $at["cosine"]; difference = $at["difference"] }
    $at["method"] == "sltt-bf16-gradients" { near = $at["cosine"]; step = $at["difference"] }
    END { exit !(exact == 0 && near > 0.99 && step < 0.1 && (has == "no" || step > 0) && cosine > 0.9 && difference < 0.4 && (has == "no" || difference > 0)) }' "$work/similarity/means.csv" ||
    fail "the effect on gradients: $(cat "$work/similarity/means.csv")"
run similarity "$work/net.yaml" --train sltt-bf16
expect_code 2
run verify "$golden/conv_geometry_bptt.json" --bf16 --brief
expect_code 0
