#!/bin/sh
# idle.sh PROGRAM LAYER: on a device that computes nothing a training ends with an error before its first step, whichever
# kernels are chosen, and the error says what did not happen. 77: no device underneath.
program=$1 layer=$2
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
unset SPIKEPORT_DEVICE SPIKEPORT_PLUGIN_PATH
"$program" devices >/dev/null 2>&1
[ $? -eq 4 ] && { echo "skipped: no OpenCL device"; exit 77; }
export OPENCL_LAYERS="$layer" SPIKEPORT_LAYER_PROFILE="$here/idle.yaml" SPIKEPORT_CACHE_DIR="$work/cache" SPIKEPORT_PROGRAM_CACHE=off

expect() { # WORDS OPTIONS...
    words=$1
    shift
    code=0
    "$program" train "$here/../../recipes/synthetic_tiny.yaml" -o "$work/run" "$@" >"$work/out" 2>"$work/err" </dev/null || code=$?
    [ "$code" -ne 0 ] && grep -q "$words" "$work/err" && [ ! -s "$work/run/metrics.jsonl" ] && return
    echo "FAILED: exit code $code, \"$words\" is wanted ($*)"
    cat "$work/out" "$work/err"
    exit 1
}
expect "not written"
expect "not written" --plugin '*=reference'
rm -rf "$work/cache" # what the check found on the device before
export SPIKEPORT_LAYER_SET='idle=all'
expect "nothing was written" --plugin '*=reference'
code=0
"$program" tune --op scale --shape "M=64 C=8" >"$work/out" 2>"$work/err" || code=$?
[ "$code" -eq 5 ] && grep -q "no kernel could be timed" "$work/err" || { echo "FAILED: tune, exit code $code"; cat "$work/out" "$work/err"; exit 1; }
echo "an idle device is refused"
