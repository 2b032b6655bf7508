# Neurons and surrogates of outside plugins: checked before they are used, whatever they use.
here=$(dirname "$0")
. "$here/support.sh"
need_device
template=$(realpath "$here/../../plugins/template")
mkdir "$work/p" "$work/wrong ones"
cp "$template/my_surrogate.cl" "$work/p"
layers=
for model in lif plif cuba_lif alif cuba_plif palif; do
    sed -e "s/plugin:   reference/plugin:   own_$model/" -e "s/neuron $model/neuron own_$model/" \
        "$here/../../cl_kernels/neuron/$model.cl" >"$work/p/$model.cl"
    uses=$(sed -n 's|^//@ uses: *||p' "$work/p/$model.cl")
    case $uses in *aux*) aux=", aux_tau: 4" ;; *) aux= ;; esac
    case $uses in *learn*) learn=", learn: true" ;; *) learn= ;; esac
    layers="$layers
  - {type: linear, out: 8}
  - {type: lif, model: own_$model, v_th: 0.5$aux$learn}"
done
recipe() { # LAYERS
    cat <<Y
data: {name: synthetic, classes: 4, channels: 1, height: 4, width: 4, count: 16, train_limit: 16, test_limit: 8}
network:
  - {type: flatten}$1
  - {type: linear, out: 4}
schedule: {method: bptt, time_steps: 2}
batch: 8
epochs: 1
Y
}

# every combination of `uses:`, also those that no built-in model had (aux with learn)
recipe "$layers" >"$work/all.yaml"
run train "$work/all.yaml" --out "$work/run" --plugins "$work/p" --set neuron.surrogate=my_surrogate
expect_code 0
# kernels that have not been checked on this device are compared with a surrogate that the C reference knows
called="train with an outside surrogate, nothing checked yet" code=0
SPIKEPORT_CACHE_DIR="$work/unchecked" "$program" train "$here/../../recipes/synthetic_tiny.yaml" --set epochs=1 -q --out "$work/tiny" \
    --plugins "$work/p" --set neuron.surrogate=my_surrogate >"$work/out" 2>"$work/err" </dev/null || code=$?
expect_code 0
expect_silent err

cat >"$work/wrong ones/q.cl" <<'C'
//@ plugin:   q 1.0.0
//@ abi:      1
//@ fragment: neuron q
//@ include:  neuron_reset.clh
inline real neuron_charge(real v, real x, neuron_args p) { return SP_REAL(0.5f) * v + SP_REAL(p.x_gain) * x; }
inline real neuron_d_charge_d_v(neuron_args p) { return SP_REAL(0.25f); }
C
cat >"$work/wrong ones/s.cl" <<'C'
//@ plugin:   s 1.0.0
//@ abi:      1
//@ fragment: surrogate s
inline real surrogate_grad(real d, float width) { return SP_REAL(-1.0f); }
inline real surrogate_smooth(real d, float width) { return atan(d); }
C
# wrong derivatives: the training is refused with the words of the check, today and from the cache
for layer in "type: lif, model: q" "type: lif, surrogate: s"; do
    recipe "
  - {type: linear, out: 8}
  - {$layer}" >"$work/wrong.yaml"
    name=${layer##* }
    run plugins check "$work/wrong ones/$name.cl"
    expect_code 1
    text=$(sed -n "s/^    \(.*(plugin $name).*\)/\1/p" "$work/out")
    [ -n "$text" ] || fail "the check says nothing"
    for again in 1 2; do
        run train "$work/wrong.yaml" --out "$work/none" --plugins "$work/wrong ones"
        [ "$code" -ne 0 ] || fail "a wrong $layer was used"
        expect_err "refused: $text"
    done
    grep -o '`spikeport plugins check .*`' "$work/err" | tr -d '`' >"$work/repeat" # can be pasted
    eval "run $(sed 's/^spikeport //' "$work/repeat")"
    expect_code 1
    expect_out "$text"
done

# a folder or file that exists is taken, whatever its name
program=$(realpath "$program")
cd "$work" || exit 1
cp -r "$template" my_plugins
cp -r my_plugins scale # as an op is called
for name in my_plugins scale; do
    run plugins check "$name"
    expect_code 0
    expect_out "my_kernel:scale__four"
done
cp my_plugins/my_surrogate.cl plain.cl
run plugins check plain.cl
expect_code 0
expect_out "my_surrogate"
