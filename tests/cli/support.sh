# Sourced by the test_*.sh of this folder: runs the program ($1 of the test) and looks at exit code and both streams.
#   run devices --json        sets $code, $work/out, $work/err
#   expect_code 4; expect_out TEXT; expect_err TEXT; expect_silent out
# TEXT is a fixed string. The first wrong thing ends the test.
program=$1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
unset SPIKEPORT_DEVICE

fail() {
    echo "FAILED: spikeport $called: $*"
    echo "--- exit code $code, stdout:"
    cat "$work/out"
    echo "--- stderr:"
    cat "$work/err"
    exit 1
}

run() {
    called=$*
    code=0
    "$program" "$@" >"$work/out" 2>"$work/err" </dev/null || code=$?
}

expect_code() {
    [ "$code" -eq "$1" ] || fail "exit code $1 was expected"
}

expect_out() {
    grep -qF -- "$1" "$work/out" || fail "stdout lacks: $1"
}

expect_err() {
    grep -qF -- "$1" "$work/err" || fail "stderr lacks: $1"
}

expect_silent() {
    [ ! -s "$work/$1" ] || fail "nothing was expected on std$1"
}

# Ends the test as skipped where there is no device.
need_device() {
    run devices
    [ "$code" -ne 4 ] || { echo "skipped: no OpenCL device"; exit 77; }
    expect_code 0
}
