#!/bin/sh
# spills.sh PROGRAM LAYER: a kernel whose registers do not suffice on a GPU gives way to smaller values of its tunables, from the
# default of the GPU's vendor on; the smallest run as they are. 77: no device underneath.
program=$1 layer=$2
. "$(dirname "$0")/support.sh"
export SPIKEPORT_CACHE_DIR="$work/cache" SPIKEPORT_LAYER_PROFILE="$here/profiles/nvidia.yaml"
mkdir "$work/p"
cat >"$work/p/spill.cl" <<'END'
//@ plugin: spill 1.0.0
//@ abi: 1
//@ op: fill/1
//@ kernel: fill__spill
//@ global: M
//@ tune: T = 2 1 4 8
//@ vendor: nvidia T=8
//@ vendor: amd T=1
//@ registers: T
__kernel void fill__spill(SP_OUT(float, y), const float value)
{
    SP_AT(y);
    y[get_global_id(0)] = value;
}
END

expect() { # SPILLS LAST-VALUE
    code=0
    SPIKEPORT_LAYER_SET="spills=$1" "$program" train "$here/../../recipes/synthetic_tiny.yaml" -o "$work/run" --plugins "$work/p" --plugin '*=reference' \
        --plugin fill=spill -s data.count=64 -s data.train_limit=64 -s data.test_limit=32 -s epochs=1 --overwrite >"$work/out" 2>"$work/err" </dev/null || code=$?
    last=$(sed -n 's/.*spill:fill__spill: registers for .* trying \([0-9]*\)$/\1/p' "$work/err" | tail -n 1)
    [ "$code" -eq 0 ] && [ "${last:-8}" = "$2" ] && return
    echo "FAILED: exit code $code, T=${last:-8} at last instead of $2 where $1 spills"
    cat "$work/out" "$work/err"
    exit 1
}
expect none 8
expect -DT=8 4
expect -DT= 1
echo "smaller values are tried, and the smallest are run"
