#!/bin/sh
# usage.sh PROGRAM: exit codes and outputs of spikeport-check that scripts rely on.
program=$1
plugins=$(mktemp -d)
trap 'rm -rf "$plugins"' EXIT
fail() { echo "FAILED: $1"; exit 1; }
expect() { # STATUS ARGUMENTS...
    want=$1; shift
    out=$("$program" "$@" 2>&1)
    got=$?
    [ "$got" -eq "$want" ] || fail "spikeport-check $* exits $got, should exit $want: $out"
}
expect 0 --help
expect 2 --no-such-option
expect 2 --seed twelve
expect 2 --quick stray-word
expect 77 --device no-such-device
expect 0 --list
echo "$out" | grep -q "conv.forward/1" || fail "--list does not name conv.forward/1"
expect 0 --list --op 'gemm/*'
echo "$out" | grep -q "conv.forward/1" && fail "--op gemm lists conv.forward"
"$program" --quick --op fill >/dev/null 2>&1
[ $? -eq 77 ] && exit 77
expect 0 --quick --op fill
expect 0 --quick --op fill --json --seed 7
echo "$out" | grep -q '"result": *"ok"' || fail "--json prints no result: $out"
cat > "$plugins/needy.cl" <<'END'
//@ plugin: needy 1.0.0
//@ abi:    1
//@ op:     fill/1
//@ kernel: fill__needy
//@ global: M
//@ needs:  ext:cl_nobody_has_this
__kernel void fill__needy(SP_OUT(float, y), float value) { SP_AT(y); y[get_global_id(0)] = value; }
END
expect 77 --quick --path "$plugins" --plugin needy
echo "$out" | grep -q "needs cl_nobody_has_this" || fail "what the device lacks is not named: $out"
expect 2 --quick --op no.such.op

mkdir "$plugins/sources"
expect 1 --build "$plugins/none"
expect 1 --build "$plugins/sources"
echo '__kernel void one(__global float *x) { x[0] = ONE; }' >"$plugins/sources/b.cl"
sed 's/ONE/1.0f/' "$plugins/sources/b.cl" >"$plugins/sources/a.cl"
expect 1 --build "$plugins/sources"
echo "$out" | grep -q "1 of 2 files are built" || fail "the files that are built are not counted: $out"
echo "$out" | grep -q "^b.cl: .*does not build" || fail "the reason of the compiler is missing: $out"
rm "$plugins/sources/b.cl"
expect 0 --build "$plugins/sources"
exit 0
