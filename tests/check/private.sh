# private.sh PROGRAM [amx]: convolutions whose kernels copy much to private memory, which lies on the stack of a thread, where that is
# small: what does not fit must be rejected, and the rest must be right. A kernel that overflows the stack ends the program. With "amx"
# only the shapes that plugins/cpu_amx is in danger of.
program=$1
which=${2:-usual}
ulimit -s 1024 || exit 77
"$program" devices >/dev/null 2>&1
[ $? -ne 4 ] || { echo "skipped: no OpenCL device"; exit 77; }
"$program" devices --json -d cpu | grep -q '"private_bytes": *786432' || { echo "FAILED: devices does not know of the stack"; exit 1; }

rejected=0
try() { # OP SHAPE [--flag NAME]
    op=$1
    shape=$2
    shift 2
    out=$("$program" plugins check "$op" -d cpu --shape "$shape" "$@" 2>&1)
    code=$?
    if [ $code -ne 0 ]; then
        echo "FAILED: exit code $code of spikeport plugins check $op -d cpu --shape \"$shape\" $*"
        echo "$out"
        exit 1
    fi
    rejected=$((rejected + $(echo "$out" | grep -c 'private_bytes=786432')))
}

if [ "$which" = amx ]; then
    try conv.backward_weight "N=1 H=24 W=26 C=8 O=8 KH=11 KW=11 SH=4 SW=4 PH=2 PW=2"
    try conv.forward "N=1 H=1 W=16384 C=8 O=16 KH=1 KW=3 PW=1"
    try conv.forward "N=1 H=1 W=3000 C=16 O=16 KH=1 KW=9 SW=2 PW=4" --flag X_BITS
    try conv.backward_input "N=2 H=1 W=2047 C=16 O=40 KH=1 KW=33 PW=16"
else
    # several vectors of outputs of which the last is alone; wide rows; few channels; maps of one pixel; far taps
    try conv.backward_weight "N=2 H=1 W=11807 C=1 O=48 KH=1 KW=5 SW=3 DW=16"
    try conv.backward_weight "N=3 H=40 W=150 C=16 O=16 KH=5 KW=5 PH=40 PW=40 DH=20 DW=20" --flag X_BITS
    try conv.forward "N=2 H=1 W=9000 C=8 O=16 KH=1 KW=3 PW=1" --flag X_BITS
    try conv.forward "N=66 H=3 W=3 C=512 O=32 KH=3 KW=3"
    try conv.backward_input "N=2 H=1 W=4096 C=16 O=32 KH=1 KW=9 PW=4"
    try group_conv.backward_weight "N=2 H=1 W=300 C=16 O=16 G=16 KH=1 KW=129 PW=64"
fi
[ $rejected -gt 0 ] || { echo "FAILED: nothing was rejected for its private memory"; exit 1; }
echo "$rejected kernels were rejected for their private memory, the others are right"
