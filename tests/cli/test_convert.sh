# spikeport convert: a network of relu and qcfs becomes a spiking one that gives the same answers; what cannot is named.
. "$(dirname "$0")/support.sh"

run convert
expect_code 2
run convert a b --curve 0
expect_code 2
expect_err "--curve"
run convert a b --thresholds some
expect_code 2
run convert a b --calibration heavy
expect_code 2

need_device
ann() { # EXTRA LAYER, or nothing
    cat <<END2
data: {name: synthetic, classes: 4, channels: 2, height: 8, width: 8, count: 256, test_limit: 64}
network:
  - {type: conv, out: 8, kernel: 3, padding: 1, bias: false}
  - {type: batch_norm}
  - {type: relu}
  - {type: ${1:-avg_pool}, kernel: 2}
  - {type: conv, out: 16, kernel: 3, padding: 1, groups: 2}
  - {type: batch_norm}
  - {type: relu}
  - {type: dropout, p: 0.1}
  - {type: flatten}
  - {type: linear, out: 32}
  - {type: qcfs, levels: 8, threshold: 4}
  - {type: linear, out: 4}
schedule: {time_steps: 1}
optimizer: {lr: 0.05}
batch: 32
epochs: 3
END2
}
ann >"$work/ann.yaml"
run train "$work/ann.yaml" -o "$work/ann"
expect_code 0

# The curve ends at the accuracy of before, and what was written gives what was told.
run convert "$work/ann" "$work/new/folder/snn" --time-steps 32 --curve 1,32 --samples 128 --json
expect_code 0
told=$(grep -o '"time_steps":32,"accuracy":[0-9.]*' "$work/out" | grep -o '[0-9.]*$')
before=$(grep -o '{"accuracy":[0-9.]*' "$work/out" | grep -o '[0-9.]*$')
awk -v a="$told" -v b="$before" 'BEGIN { exit !(a != "" && b > 90 && a > b - 4) }' || fail "$before % became $told %"
[ "$(wc -l <"$work/new/folder/snn.csv")" -eq 3 ] || fail "the curve has no two points"
run eval "$work/new/folder/snn.yaml" --weights "$work/new/folder/snn.safetensors" --json
expect_code 0
awk -v a="$told" -v b="$(grep -o '"accuracy":[0-9.]*' "$work/out" | head -1 | cut -d: -f2)" \
    'BEGIN { exit !(a - 100 * b < 1e-6 && 100 * b - a < 1e-6) }' || fail "what was written has another accuracy than $told %"
grep -q "type: relu\|type: batch_norm\|type: qcfs" "$work/new/folder/snn.yaml" && fail "the converted network has layers of the old one"

# With --weights, as for a state_dict of PyTorch; without calibration; nothing else is replaced.
run export "$work/ann" "$work/weights.safetensors"
expect_code 0
run convert "$work/ann.yaml" "$work/snn" --weights "$work/weights.safetensors" --thresholds largest --calibration none
expect_code 0
expect_out "before: accuracy"
run convert "$work/ann" "$work/ann"
expect_code 2
expect_err "is not the recipe of a converted network"

# What has no spiking form.
ann max_pool >"$work/max.yaml"
run convert "$work/max.yaml" "$work/snn" --weights "$work/weights.safetensors"
expect_code 3
expect_err "layer 3: max_pool has no spiking form"
run convert "$work/ann" "$work/snn" --set precision.weights=8
expect_code 3
expect_err "precision.weights is 8"
run train "$work/ann.yaml" --set schedule.method=rate -o "$work/rate"
expect_code 3
expect_err "rate is not defined for relu"
run nir export "$work/ann" "$work/ann.nir" --samples 0
if ! grep -q "install libhdf5-dev" "$work/err"; then
    expect_code 3
    expect_err "(relu): NIR has no node for it"
fi

# The same network by PyTorch: thresholds, calibration and folded weights to 1e-4.
golden=$(cd "$(dirname "$0")/../golden" && pwd)
python3 -c "import json" 2>/dev/null || { echo "skipped from here on: no python3"; exit 0; }
sed "s|FOLDER|$golden/conversion|" "$golden/conversion/relu.yaml" >"$work/golden.yaml"
for how in nearest largest; do
    run convert "$work/golden.yaml" "$work/$how" --weights "$golden/conversion/relu.safetensors" --time-steps 8 --thresholds $how
    expect_code 0
    python3 - "$golden" "$work/$how.safetensors" "$golden/conversion/$how.safetensors" <<'END' || fail "other weights than PyTorch's"
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
from make_cases import read_tensors

ours, wanted = read_tensors(sys.argv[2]), read_tensors(sys.argv[3])
assert set(ours) == set(wanted), (sorted(ours), sorted(wanted))
for name, (want, shape) in wanted.items():
    worst = max(abs(a - b) for a, b in zip(ours[name][0], want)) / max(map(abs, want))
    assert list(ours[name][1]) == list(shape) and worst < 1e-4, (name, worst)
END
done
