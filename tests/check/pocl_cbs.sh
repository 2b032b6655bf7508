#!/bin/sh
# pocl_cbs.sh PROGRAM: the quick check with PoCL's other way of making work-groups out of kernels (continuation-based
# synchronisation). 77 where there is no PoCL, where it is older than that method (it says so on stderr and uses its default), and
# where the method is broken: with 6.0 a loop with a barrier around a loop without one hangs, crashes or sums wrongly; 7.1 is right.
program=$1
export POCL_WORK_GROUP_METHOD=cbs
probe=$("$program" --quick --op fill --device "Portable Computing Language" 2>&1)
[ $? -eq 77 ] && exit 77
if echo "$probe" | grep -q "Unknown work group"; then
    echo "skipped: this PoCL does not know POCL_WORK_GROUP_METHOD=cbs"
    exit 77
fi
if echo "$probe" | grep -q "^device: .*, driver [3-6]\."; then
    echo "skipped: the cbs of this PoCL goes wrong where a loop with a barrier holds a loop without one (seen with 6.0; 7.1 is right)"
    exit 77
fi
exec "$program" --quick --no-library --device "Portable Computing Language"
