#!/bin/sh
# oclgrind.sh OCLGRIND PROGRAM LOG CASE...: reference cases under the simulator, with the reference kernels. Fails when a case
# fails or the log is not empty. Without --uninitialized: Oclgrind 21.10 takes a buffer for uninitialised as soon as a part of
# it has been written from the host, which is how parameters get to the device.
oclgrind=$1 program=$2 log=$3
shift 3
rm -f "$log"
"$oclgrind" --data-races --log "$log" "$program" verify "$@" --brief --plugin '*=reference' --device oclgrind
status=$?
[ "$status" -eq 0 ] || exit "$status"
if [ -s "$log" ]; then
    echo "Oclgrind complains (all of it in $log):"
    head -60 "$log"
    exit 1
fi
echo "Oclgrind has nothing to say"
