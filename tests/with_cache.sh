#!/bin/sh
# with_cache.sh COMMAND...: runs a test whose kernels PoCL compiles into $POCL_CACHE_DIR, a folder that no other test uses at
# the same time (PoCL has had races between processes). Before it, what tests of other folders have compiled is linked into
# that folder, and after it, what is new there is offered to them: each kernel is compiled once for all tests.
own=$POCL_CACHE_DIR
pool=${own%/*}/pocl-pool
mkdir -p "$own" "$pool" || exit 1
# PoCL's layout: XX/REST_OF_HASH/program.bc and .../KERNEL/SIZE/KERNEL.so, each renamed to its name when it is complete.
offer() { # FROM TO
    set -- "$2" "$1"/??
    to=$1
    shift
    [ -d "$1" ] && flock "$pool/lock" cp -Rln -- "$@" "$to/" 2>/dev/null
}
offer "$pool" "$own"
"$@"
code=$?
offer "$own" "$pool"
exit $code
