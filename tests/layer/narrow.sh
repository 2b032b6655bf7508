#!/bin/sh
# narrow.sh PROGRAM LAYER: a CPU whose vectors hold fewer than 16 floats gets the tunables that `vendor: narrow` says. 77: no device underneath.
program=$1 layer=$2
. "$(dirname "$0")/support.sh"
export SPIKEPORT_CACHE_DIR="$work/cache" SPIKEPORT_LAYER_PROFILE="$here/narrow.yaml"
mkdir "$work/p"
cat >"$work/p/narrow.cl" <<'END'
//@ plugin: narrow 1.0.0
//@ abi: 1
//@ op: fill/1
//@ kernel: fill__narrow
//@ global: M
//@ tune: T = 1 2
//@ vendor: narrow T=2
#if T == 1
#error "made for wide vectors"
#endif
__kernel void fill__narrow(SP_OUT(float, y), const float value)
{
    SP_AT(y);
    y[get_global_id(0)] = value;
}
END

expect() { # FLOATS-IN-A-VECTOR EXIT-CODE QUIRKS
    code=0
    SPIKEPORT_LAYER_SET="vector_float=$1" "$program" train "$here/../../recipes/synthetic_tiny.yaml" -o "$work/run" --plugins "$work/p" --plugin '*=reference' \
        --plugin fill=narrow -s data.count=64 -s data.train_limit=64 -s data.test_limit=32 -s epochs=1 --overwrite >"$work/out" 2>"$work/err" </dev/null || code=$?
    quirks=$(SPIKEPORT_LAYER_SET="vector_float=$1" "$program" devices | grep -c 'NARROW_CPU')
    [ "$code" -eq "$2" ] && [ "$quirks" -eq "$3" ] && return
    echo "FAILED: exit code $code and $quirks quirks with $1 floats in a vector, instead of $2 and $3"
    cat "$work/out" "$work/err"
    exit 1
}
expect 8 0 1
expect 16 5 0
grep -q 'made for wide vectors' "$work/err" || { echo "FAILED: not the compiler's message"; cat "$work/err"; exit 1; }
echo "the tunables of narrow vectors are used where vectors are narrow"
