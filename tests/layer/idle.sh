#!/bin/sh
# idle.sh PROGRAM LAYER: on a device that computes nothing a training ends with an error before its first step, whichever
# kernels are chosen, and the error says what did not happen. 77: no device underneath.
program=$1 layer=$2
. "$(dirname "$0")/support.sh"
export SPIKEPORT_CACHE_DIR="$work/cache" SPIKEPORT_LAYER_PROFILE="$here/idle.yaml"

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
