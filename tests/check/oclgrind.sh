#!/bin/sh
# oclgrind.sh OCLGRIND PROGRAM LOG [OPTIONS]: the quick check under the simulator. Fails when the check fails or the log is not empty.
oclgrind=$1 program=$2 log=$3
shift 3
rm -f "$log"
# Unoptimised, because Oclgrind 21.10's --uninitialized does not know LLVM's freeze, and takes parts of vectors for
# uninitialised ones in optimised code. Calls instead of inlined functions, because it does not know noalias.scope.decl either,
# which inlining leaves behind where a function returns a struct of vectors.
"$oclgrind" --build-options "-cl-opt-disable -DSP_INLINE=static" --data-races --uninitialized --log "$log" "$program" --quick --no-library --device oclgrind "$@"
status=$?
[ "$status" -eq 0 ] || exit "$status"
if [ -s "$log" ]; then
    echo "Oclgrind complains (all of it in $log):"
    head -60 "$log"
    exit 1
fi
echo "Oclgrind has nothing to say"
