# spikeport nir: a trained network out, in again with the same outputs, and checked with the PyPI package where it is.
. "$(dirname "$0")/support.sh"
tiny=$(cd "$(dirname "$0")/../../recipes" && pwd)/synthetic_tiny.yaml

run nir
expect_code 2
run nir import a.nir
expect_code 2
run nir export run a.nir --dt x
expect_code 2
run nir check a.nir --reset firm
expect_code 2
run nir check "$work/none.nir"
grep -q "install libhdf5-dev" "$work/err" && { echo "skipped: built without HDF5"; exit 77; }
expect_code 1
printf 'no HDF5 file at all' >"$work/text.nir"
run nir check "$work/text.nir"
expect_code 7
expect_err "$work/text.nir: byte 0: no HDF5 file"

need_device
difference() { # the largest difference of outputs is at most $1
    value=$(grep -o '"logits_difference":[0-9.e-]*' "$work/out" | cut -d: -f2)
    awk -v value="$value" -v most="$1" 'BEGIN { exit !(value != "" && value <= most) }' || fail "outputs differ by $value"
}

# A hard reset is what NIR defines: everything is faithful, and what comes back computes the same.
run train "$tiny" -o "$work/hard" --set neuron.reset=hard --set epochs=1
expect_code 0
run nir export "$work/hard" "$work/hard.nir" --samples 128 --json
expect_code 0
grep -q 'approximate\|unsupported' "$work/out" && fail "a node is not faithful"
difference 1e-6
run nir import "$work/hard.nir" "$work/new/folder/back" --json
expect_code 0
run eval "$work/hard" --json
expect_code 0
mv "$work/out" "$work/before"
sed "s|^network:|network: $work/new/folder/back.yaml|; /^  - {/d" "$tiny" >"$work/back_recipe.yaml"
run eval "$work/back_recipe.yaml" --weights "$work/new/folder/back.safetensors" --json
expect_code 0
expect_out "$(grep -o '"confusion":.*\]\]' "$work/before")"
expect_out "$(grep -o '"loss":[0-9]*\.[0-9]\{0,5\}' "$work/before")"

# What NIR has no node for, and is exact all the same: concats that layers with weights read, batch norms by themselves.
cat >"$work/joins.yaml" <<'END'
data: {name: synthetic, classes: 4, channels: 2, height: 8, width: 8, count: 128, train_limit: 128, test_limit: 64}
neuron: {reset: hard}
network:
  - {type: batch_norm}
  - {type: conv, out: 4, kernel: 3, padding: 1, label: a}
  - {type: lif, v_th: 0.3, label: first}
  - {type: conv, out: 6, kernel: 3, padding: 1}
  - {type: lif, v_th: 0.3, label: second}
  - {type: concat, from: [first, second]}
  - {type: conv, out: 5, kernel: 3, stride: 2}
  - {type: batch_norm}
  - {type: lif, v_th: 0.3}
  - {type: avg_pool, kernel: 3}
  - {type: batch_norm}
  - {type: linear, out: 7}
  - {type: lif, v_th: 0.2, label: left}
  - {type: linear, out: 9}
  - {type: lif, v_th: 0.2, label: right}
  - {type: concat, from: [left, right]}
  - {type: linear, out: 4}
schedule: {time_steps: 4}
optimizer: {lr: 0.05}
batch: 32
epochs: 1
END
run train "$work/joins.yaml" -o "$work/joins"
expect_code 0
run nir export "$work/joins" "$work/joins.nir" --samples 64 --json
expect_code 0
grep -q 'approximate\|unsupported' "$work/out" && fail "a node of the joins is not faithful"
difference 1e-6

# Folded scales, norms and standardised weights, sums of paths, recurrent neurons, and potentials at the end.
cat >"$work/all.yaml" <<'END'
data: {name: synthetic, classes: 4, channels: 2, height: 8, width: 8, count: 128, train_limit: 128, test_limit: 64}
neuron: {reset: hard}
network:
  - {type: conv, out: 4, kernel: 3, padding: 1, stride: 2, bias: false}
  - {type: batch_norm}
  - {type: lif, v_th: 0.5}
  - {type: residual, branch: [{type: conv, out: 4, kernel: 3, padding: 1}, {type: if, v_th: 0.7}], shortcut: null}
  - type: residual
    alpha: 0.5
    branch: [{type: conv, out: 6, kernel: 1}, {type: batch_norm}, {type: lif, v_reset: -0.25}]
    shortcut: [{type: conv, out: 6, kernel: 1}]
  - {type: scale, factor: 1.7}
  - {type: ws_conv, out: 9, kernel: 1, groups: 3}
  - {type: plif, tau: 3, decay_input: true}
  - {type: delay, steps: 1}
  - {type: synapse, tau: 1.5, learn: true, per_channel: true}
  - {type: adaptive_avg_pool, output: 2}
  - {type: scale, factor: 3}
  - {type: delay, steps: 2}
  - {type: flatten}
  - {type: linear, out: 7, bias: false}
  - {type: cuba_lif, tau: 2, tau_syn: 4, recurrent: true}
  - {type: linear, out: 4}
  - {type: lif, tau: 4, output: membrane}
schedule: {method: bptt, time_steps: 5}
optimizer: {name: adamw, lr: 0.01}
batch: 32
END
run train "$work/all.yaml" -o "$work/all"
expect_code 0
run nir export "$work/all" "$work/all.nir" --json
expect_code 0
grep -q 'approximate\|unsupported' "$work/out" && fail "a node is not faithful"
difference 1e-6

# A soft reset is not, and its drift is measured; read back, the file says that it was one.
run train "$tiny" -o "$work/soft" --set epochs=1 --set neuron.tau=2
expect_code 0
run nir export "$work/soft" "$work/soft.nir"
expect_code 0
expect_out "approximate"
expect_out "soft reset"
run nir check "$work/soft" --json
expect_code 0
grep -q '"changed":[1-9]' "$work/out" || fail "a soft reset that changes nothing when it is read as a hard one"
run nir import "$work/soft.nir" "$work/soft_back"
expect_code 0
grep -q "reset: soft" "$work/soft_back.yaml" || fail "the reset is lost"
run nir import "$work/soft.nir" "$work/soft_back" --reset hard
expect_code 0
grep -q "reset: hard" "$work/soft_back.yaml" || fail "--reset is ignored"

# What NIR cannot say is named, and nothing is written.
run train "$tiny" -o "$work/max" --set epochs=1 --set 'network.3={type: max_pool, kernel: 2}'
expect_code 0
run nir export "$work/max" "$work/max.nir"
expect_code 3
expect_err 'node "3" (max_pool)'
expect_out "unsupported"
[ ! -e "$work/max.nir" ] || fail "a file was written"

# ---- the package `nir` reads our files, and we read its own ----
python3 -c "import nir" 2>/dev/null || { echo "skipped from here on: the Python package nir is not installed"; exit 0; }
called="nir.read and nir.write"
python3 - "$work/hard.nir" "$work/made.nir" <<'END' || fail "the package and the program differ"
import sys
import numpy as np
import nir

graph = nir.read(sys.argv[1])  # checks all types
assert {type(n).__name__ for n in graph.nodes.values()} == {"Input", "Conv2d", "LIF", "AvgPool2d", "Flatten", "Affine", "Output"}
assert graph.nodes["2"].tau.shape == (8, 8, 8) and abs(graph.nodes["2"].tau[0, 0, 0] - 1.1e-4) < 1e-10
inner = nir.NIRGraph(
    nodes={"input": nir.Input(np.array([3])), "w": nir.Linear(np.ones((4, 3), dtype=np.float32)), "output": nir.Output(np.array([4]))},
    edges=[("input", "w"), ("w", "output")])
flat = lambda value, n: np.full((n,), value)
nir.write(sys.argv[2], nir.NIRGraph(
    nodes={"input": nir.Input(np.array([2])), "a": nir.Affine(np.ones((3, 2)), np.zeros(3)),
           "n": nir.CubaLIF(tau_syn=flat(4e-4, 3), tau_mem=flat(2e-4, 3), r=flat(2.0, 3), v_leak=flat(0.0, 3),
                            v_threshold=flat(1.0, 3), w_in=flat(4.0, 3)),
           "r": nir.Linear(np.eye(3)), "sub": inner, "output": nir.Output(np.array([4]))},
    edges=[("input", "a"), ("a", "n"), ("n", "r"), ("r", "n"), ("n", "sub"), ("sub", "output")]))
END
run nir import "$work/made.nir" "$work/made"
expect_code 0
grep -q 'model: cuba_lif, tau: 2, tau_syn: 4,.*recurrent: true' "$work/made.yaml" || fail "$(cat "$work/made.yaml")"
grep -q 'linear, out: 4, bias: false' "$work/made.yaml" || fail "the inner graph is lost"

# Parameters of each neuron: r, thresholds and rests go into weights, leaks into plif; outputs are those of the nodes' equations.
called="nir.write"
python3 - "$work/each.nir" "$work/each.npy" <<'END' || fail "the package does not write the graph"
import sys
import numpy as np
import nir

r = np.random.default_rng(1)
pick = lambda low, high, n=12: r.uniform(low, high, n)
rest = pick(-0.2, 0.2)
nir.write(sys.argv[1], nir.NIRGraph(
    nodes={"input": nir.Input(np.array([5])), "a": nir.Affine(r.normal(size=(12, 5)), pick(0, 1)),
           "n": nir.CubaLIF(tau_syn=np.full(12, 4e-4), tau_mem=pick(2e-4, 9e-4), r=pick(1, 4), v_leak=rest, v_reset=rest,
                            v_threshold=pick(0.3, 1.5), w_in=pick(1, 4)),
           "l": nir.Linear(r.normal(size=(12, 12)) / 4), "b": nir.Affine(r.normal(size=(9, 12)), np.zeros(9)),
           "s": nir.Scale(pick(0.5, 2, 9)),
           "m": nir.LIF(tau=pick(1.5e-4, 9e-4, 9), r=pick(1, 4, 9), v_leak=np.zeros(9), v_reset=np.zeros(9), v_threshold=pick(0.3, 1, 9)),
           "c": nir.Linear(r.normal(size=(3, 9))), "output": nir.Output(np.array([3]))},
    edges=[("input", "a"), ("a", "n"), ("n", "l"), ("l", "n"), ("n", "b"), ("b", "s"), ("s", "m"), ("m", "c"), ("c", "output")]))
np.save(sys.argv[2], r.normal(size=(16, 7, 5)).astype(np.float32) + 0.5)
END
run nir import "$work/each.nir" "$work/each"
expect_code 0
grep -q "unsupported\|approximate" "$work/out" && fail "$(cat "$work/out")"
run predict "$work/each.yaml" "$work/each.npy" --weights "$work/each.safetensors" --record logits --record-to "$work/each_logits"
expect_code 0
python3 - "$work/each.nir" "$work/each.npy" "$work/each_logits/logits.npy" <<'END' || fail "the outputs are not those of the graph"
import sys
import numpy as np
import nir

g, x, ours, dt = nir.read(sys.argv[1]).nodes, np.load(sys.argv[2]).astype(float), np.load(sys.argv[3]), 1e-4
n, m = g["n"], g["m"]
i, v, u, s = (np.zeros((16, k)) for k in (12, 12, 9, 12))
v = v + n.v_leak
for t in range(7):
    i = i + dt / n.tau_syn * (n.w_in * (x[:, t] @ g["a"].weight.T + g["a"].bias + s @ g["l"].weight.T) - i)
    v = v + dt / n.tau_mem * (n.v_leak - v + n.r * i)
    s = (v > n.v_threshold) * 1.0
    v = np.where(s > 0, n.v_reset, v)
    u = u + dt / m.tau * (m.r * g["s"].scale * (s @ g["b"].weight.T + g["b"].bias) - u)
    fired = (u > m.v_threshold) * 1.0
    u = np.where(fired > 0, 0, u)
    assert 0 < s.mean() < 1 and np.abs(ours[:, t] - fired @ g["c"].weight.T).max() < 1e-5, t
END

# Golden vectors: the exported graph, computed from its equations on their inputs, gives their spikes and outputs.
cat >"$work/dense.yaml" <<'END'
data: {name: synthetic, classes: 3, channels: 2, height: 3, width: 4, count: 64, train_limit: 64, test_limit: 12}
neuron: {reset: hard}
network: [{type: flatten}, {type: linear, out: 9}, {type: lif, v_th: 0.3, tau: 2}, {type: linear, out: 3}]
schedule: {time_steps: 5}
optimizer: {lr: 0.05}
batch: 16
epochs: 1
END
run train "$work/dense.yaml" -o "$work/dense"
expect_code 0
run nir export "$work/dense" "$work/dense.nir" --samples 0 --data "$work/dense.h5"
expect_code 2
run nir export "$work/dense" "$work/dense.nir" --samples 7 --data "$work/dense.h5"
expect_code 0
called="nir.read_data"
python3 - "$work/dense.nir" "$work/dense.h5" <<'END' || fail "the golden vectors are not those of the graph"
import sys
import numpy as np
import nir

nodes, data, dt = nir.read(sys.argv[1]).nodes, nir.read_data(sys.argv[2]).nodes, 1e-4
look = lambda node, what: np.array(data[node].observables[what].data)
x, spikes, out = look("input", "input"), look("2", "spikes"), look("output", "output")
assert x.shape == (7, 5, 24) and spikes.shape == (7, 5, 9) and out.shape == (7, 5, 3) and 0 < spikes.mean() < 1
a, n, b, v = nodes["1"], nodes["2"], nodes["3"], 0
for t in range(5):
    v = v + dt / n.tau * (n.r * (x[:, t] @ a.weight.T + a.bias) - v)
    s = v > n.v_threshold
    v = np.where(s, 0, v)
    assert (s == spikes[:, t]).all() and np.abs(s @ b.weight.T + b.bias - out[:, t]).max() < 1e-5, t
END
