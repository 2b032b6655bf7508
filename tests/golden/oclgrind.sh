#!/bin/sh
# oclgrind.sh OCLGRIND PROGRAM LOG CASE...: reference cases under the simulator, with the reference kernels. Fails when a case
# fails or the log is not empty: races, accesses out of bounds, uninitialised reads. A process a case: a buffer that takes a
# freed one's place keeps that one's record of what was written (Oclgrind 21.10; see host/cl/staging.c). For the same reason each
# case runs once before: kernels that have to be compared with their C references are, and that is remembered.
# -cl-opt-disable: 21.10 does not know LLVM's freeze.
oclgrind=$1 program=$2 log=$3
shift 3
n=0
for case in "$@"; do
    "$oclgrind" --build-options "-cl-opt-disable" "$program" verify "$case" --brief --plugin '*=reference' --device oclgrind \
        >/dev/null 2>&1 || true
    rm -f "$log"
    "$oclgrind" --build-options "-cl-opt-disable" --data-races --uninitialized --log "$log" \
        "$program" verify "$case" --brief --plugin '*=reference' --device oclgrind || exit $?
    if [ -s "$log" ]; then
        echo "Oclgrind complains about $case (all of it in $log):"
        head -60 "$log"
        exit 1
    fi
    n=$((n + 1))
done
echo "Oclgrind has nothing to say about $n cases"
