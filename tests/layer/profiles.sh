#!/bin/sh
# profiles.sh PROGRAM LAYER PROFILE: the program on a emulated device: it is listed, small reference cases pass, a training
# runs, and no call breaks a limit of the device. A device without a compiler must be refused in words; then a compiler is
# enabled on it, so that its other limits are met too. 77: no device underneath.
program=$1 layer=$2 profile=$3
. "$(dirname "$0")/support.sh"
root=$here/../..
export SPIKEPORT_LAYER_PROFILE="$here/profiles/$profile.yaml" SPIKEPORT_LAYER_REPORT="$work/report" SPIKEPORT_LAYER_VERBOSE=1

fail() {
    echo "FAILED: $profile: $*"
    cat "$work/out" "$work/err" "$work/report"
    exit 1
}
run() {
    code=0
    rm -f "$work/report"
    "$program" "$@" >"$work/out" 2>"$work/err" </dev/null || code=$?
    [ -s "$work/report" ] || fail "the layer was not on: $*"
}
expect() { # CODE: and nothing leaked, and no call was refused but those of CLBlast's own self-test
    [ "$code" -eq "$1" ] || fail "exit code $code, not $1"
    grep -q '^leaks 0$' "$work/report" || fail "objects were not released"
    refused=$(sed -n 's/^refused //p' "$work/report")
    mine=$(grep -c "^CLBlast: OpenCL error" "$work/err")
    [ "$refused" -le "$mine" ] || fail "$refused calls broke a limit of the device, $mine of them CLBlast's"
}

name=$(sed -n 's/^name: *"\{0,1\}\([^"#]*[^"# ]\).*/\1/p' "$SPIKEPORT_LAYER_PROFILE")
run devices
expect "$([ "$(grep -c '^compiler: false' "$SPIKEPORT_LAYER_PROFILE")" -eq 0 ] && echo 0 || echo 4)"
grep -qF "$name" "$work/out" || fail "\"$name\" is not listed"
if grep -q '^compiler: false' "$SPIKEPORT_LAYER_PROFILE"; then
    run train "$root/recipes/synthetic_tiny.yaml" -o "$work/none"
    expect 4
    grep -q "compiler" "$work/err" || fail "it does not say that there is no compiler"
    export SPIKEPORT_LAYER_SET='compiler=true;version=OpenCL 1.2 with a compiler enabled'
fi
for case in first_layers_ottt max_pool_sltt decay_input_hard_reset_bptt; do
    set -- "$@" "$root/tests/golden/$case.json"
done
shift 3
run verify "$@" --brief
expect 0
echo "$profile: $(tail -1 "$work/out")"
run train "$root/recipes/synthetic_tiny.yaml" -o "$work/run" -s data.count=128 -s data.train_limit=128 -s data.test_limit=32
expect 0
run eval "$work/run"
expect 0
echo "$profile: $(tail -1 "$work/out")"
