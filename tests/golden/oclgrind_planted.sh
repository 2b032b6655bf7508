#!/bin/sh
# oclgrind_planted.sh OCLGRIND PROGRAM LOG CASE: that oclgrind.sh can fail. The planted kernel reads memory of a whole network that
# nobody has written, without harm to the result; the simulator must say so. The first run only earns the kernel its trust: the
# buffers of that check would leave their record of what was written to those of the network (see host/cl/staging.c).
oclgrind=$1 program=$2 log=$3 case=$4
SPIKEPORT_CACHE_DIR=$(mktemp -d) || exit 1
export SPIKEPORT_CACHE_DIR
trap 'rm -rf "$SPIKEPORT_CACHE_DIR"' EXIT
rm -f "$log"
for check in "" "--uninitialized --max-errors 5 --log $log"; do
    # shellcheck disable=SC2086 # the words of check
    "$oclgrind" --build-options "-cl-opt-disable" $check "$program" verify "$case" --brief --plugins "$(dirname "$0")/planted" \
        --plugin '*=reference' --plugin gemm=planted --device oclgrind || exit $?
done
grep -q "Kernel: gemm__planted" "$log" && exit 0
echo "FAILED: the planted read is not reported; the log:"
cat "$log"
exit 1
