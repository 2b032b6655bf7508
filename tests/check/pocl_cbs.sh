#!/bin/sh
# pocl_cbs.sh PROGRAM: the quick check with PoCL's other way of making work-groups out of kernels (continuation-based
# synchronisation). 77 where there is no PoCL or it is older than that method; PoCL says so on stderr and uses its default.
program=$1
export POCL_WORK_GROUP_METHOD=cbs
probe=$("$program" --quick --op fill --device "Portable Computing Language" 2>&1)
[ $? -eq 77 ] && exit 77
if echo "$probe" | grep -q "Unknown work group"; then
    echo "skipped: this PoCL does not know POCL_WORK_GROUP_METHOD=cbs"
    exit 77
fi
exec "$program" --quick --no-library --device "Portable Computing Language"
