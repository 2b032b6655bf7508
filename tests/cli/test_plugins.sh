# spikeport plugins: list, show, why, check, bench; right and wrong use.
here=$(dirname "$0")
. "$here/support.sh"
fixtures=$here/../plugin/fixtures
template=$here/../../plugins/template
gemm="M=10 N=20 K=30"

run plugins list
expect_code 0
expect_out "conv.forward/1"
expect_out "reference:gemm__naive"
expect_out "surrogate triangle"

run plugins list --json --plugins "$fixtures"
expect_code 0
[ "$(grep -c '^{"what":.*}$' "$work/out")" -eq "$(wc -l <"$work/out")" ] || fail "a line is not an object"
expect_out '"what":"refusal"'
expect_out '"name":"bump"'
expect_err 'unknown_key.cl is not used: line 8: unknown key "colour"'

run plugins show im2col_gemm
expect_code 0
expect_out "im2col_gemm:lower"
run plugins show triangel
expect_code 2
expect_err 'did you mean "triangle"?'
run plugins show
expect_code 2

run plugins
expect_code 2
run plugins lst
expect_code 2
expect_err 'did you mean "list"?'

need_device

run plugins why gemm --shape "$gemm" -p gemm=reference
expect_code 0
expect_out "* reference:gemm__naive"
expect_out "chosen: forced"
run plugins why gemm --shape "$gemm" --flag TA --json
expect_code 0
expect_out '"call":"M=10 N=20 K=30 TA=1"'
[ "$(grep -c '"chosen":true' "$work/out")" -eq 1 ] || fail "one variant should be chosen"
run plugins why conv.forward --shape "N=1 H=8 W=7 C=3 O=4 KH=3 KW=3 SW=2"
expect_code 0
expect_out "HO=6 WO=3"
run plugins why gem
expect_code 2
expect_err 'did you mean "gemm"?'
run plugins why gemm
expect_code 2
expect_err "gemm/1 needs --shape with M N K"
run plugins why gemm --shape "M=10 N=20 Q=1"
expect_code 2
expect_err 'gemm/1 has no "Q"'
run plugins why gemm --shape "M=ten"
expect_code 2
run plugins why gemm --shape "M=-1"
expect_code 2
for wrong in M=0 M=99999999999999999999 M=3000000000 M=1e3 M=2.5; do
    run plugins why gemm --shape "N=20 K=30 $wrong"
    expect_code 2
    expect_err "--shape: M must be a whole number from 1 to 2147483647, not \"${wrong#M=}\""
done
conv="N=1 H=8 W=7 C=4 O=4 KH=3 KW=3"
for wrong in SH=0 KH=0 DW=0 HO=0; do
    run plugins why conv.forward --shape "$(echo " $conv" | sed "s/ ${wrong%=0}=[0-9]*//") $wrong"
    expect_code 2
    expect_err "--shape: ${wrong%=0} must be a whole number from 1"
done
run plugins why conv.forward --shape "$conv HO=7"
expect_code 2
expect_err "--shape: HO is 6 for these sizes, not 7; it may be left out"
run plugins why conv.forward --shape "${conv% KW=3} KW=9 PW=0"
expect_code 2
expect_err "--shape: the window does not fit into W=7 with its padding (KW=9, PW=0, DW=1)"
run plugins why group_conv.forward --shape "$conv G=3"
expect_code 2
expect_err "--shape: C=4 and O=4 must be multiples of G=3"
refuse() { # OP SHAPE MESSAGE [OPTIONS]
    op=$1 shape=$2 message=$3
    shift 3
    for sub in why bench check; do
        run plugins $sub "$op" --shape "$shape" "$@"
        expect_code 2
        expect_err "$message"
    done
}
refuse scale "M=8 C=8 factor=nan" '--shape: factor must be a finite float32, not "nan"'
refuse scale "M=8 C=8 factor=1e39" '--shape: factor must be a finite float32, not "1e39"'
refuse scale "M=8 C=8 M=9" "--shape: M is given twice"
refuse scale "M=8 C=8 neuron=if" "--shape: scale/1 takes no neuron"
refuse scale "M=2147483647 C=2147483647" '--shape: "x" (M x C) would have more bytes than 64 bits can count'
refuse gemm "$gemm TA=0.5" '--shape: the flag TA is 0 or 1, not "0.5"'
refuse neuron.backward "M=8 C=8" '--neuron: there is no neuron "lid"; did you mean "lif"?' --neuron lid
refuse neuron.backward "M=8 C=8" '--surrogate: there is no surrogate "nonsense"' --surrogate nonsense
refuse quantile "M=8 C=8 permille=1001" '--shape: permille must be a whole number from 0 to 1000, not "1001"'
refuse pool.adaptive_avg.forward "N=1 H=8 W=8 C=4 HO=0 WO=2" "--shape: HO must be a whole number from 1"
run plugins check quantile --shape "M=8 C=8 permille=0"
expect_code 0
run plugins why gemm --shape "$gemm" --flag TC
expect_code 2

run plugins check "$template"
expect_code 0
expect_out "my_kernel:scale__four"
expect_out "my_surrogate"
run plugins check "$fixtures/wrong_result.cl" --json
expect_code 1
expect_out '"result":"FAILED"'
expect_err "1 of 1 failed"
expect_out '"text":"wrong_result:scale__wrong_result for scale/1: '
grep -o 'plugins check scale/1 --shape .* --seed 1' "$work/out" | sed 's/\\//g' >"$work/repeat" # what the message says can be pasted
eval "run $(cat "$work/repeat")"
expect_code 1
expect_out "FAILED     1 calls"
mkdir "$work/my plugins"
cat >"$work/my plugins/tuned.cl" <<'END'
//@ plugin: tuned 1.0.0
//@ abi: 1
//@ op: fill/1
//@ kernel: k
//@ global: M
//@ tune: T = 1 2
/* k(float wrong) { "no definition" } */
__kernel void k(SP_OUT(float, y), float value) { SP_AT(y); y[get_global_id(0)] = T == 2 ? 5 : value; }
END
run plugins check "$work/my plugins"
expect_code 0
run plugins check --full "$work/my plugins"
expect_code 1
expect_out "with T=2: tuned:k for fill/1: "
grep -o 'plugins check fill/1 --shape .* --seed 1' "$work/out" >"$work/repeat"
grep -q 'my plugins/tuned.cl" --tune T=2 --seed 1' "$work/repeat" || fail "the repetition names neither file nor tunable"
eval "run $(cat "$work/repeat")"
expect_code 1
expect_out "tuned:k for fill/1: "
run plugins check fill --shape "M=8" --plugins "$work/my plugins" --tune T=1
expect_code 0
for wrong in T=3 T T=x =1; do
    run plugins check fill --shape "M=8" --plugins "$work/my plugins" --tune $wrong
    expect_code 2
done
mkdir -p "$work/it's \$HOME"
cp "$work/my plugins/tuned.cl" "$work/it's \$HOME/"
run plugins check --full "$work/it's \$HOME"
expect_code 1
grep -o 'plugins check fill/1 --shape .* --seed 1' "$work/out" >"$work/repeat"
eval "run $(cat "$work/repeat")"
expect_code 1
expect_out "tuned:k for fill/1: "
export POCL_DEVICES="pthread basic" # of two devices, the command names that which is not chosen by itself
named=0
for device in 0 1; do
    run plugins check "$fixtures/wrong_result.cl" --device $device
    [ "$code" -eq 1 ] || continue
    ! grep -q -e "--device $device --seed 1\`" "$work/out" || named=$((named + 1))
done
[ "$code" -ne 1 ] || [ $named -eq 1 ] || fail "$named of two devices are named"
unset POCL_DEVICES
long=$work/folder_of_somebody_with_projects_and_networks_and_kernels_and_many_other_things_in_development
mkdir "$long"
cat >"$long/a_convolution_that_does_not_build.cl" <<'END'
//@ plugin: a_convolution_that_does_not_build 1.0.0
//@ abi: 1
//@ op: conv.forward/1
//@ kernel: conv_forward__that_does_not_build
//@ global: N*HO*WO*O
__kernel void conv_forward__that_does_not_build(SP_IN(float, w)) { wrong_word; }
END
run plugins check "$long"
expect_code 1
expect_out "does not build: "
expect_out "wrong_word"
run plugins why conv.forward --shape "$conv" --plugins "$long" -p conv.forward=a_convolution_that_does_not_build
expect_code 5
expect_out "wrong_word"
run train "$here/../../recipes/synthetic_tiny.yaml" --out "$work/run" --plugins "$long" -p conv.forward=a_convolution_that_does_not_build
expect_code 5
grep "error: .*conv.forward/1: \"a_convolution_that_does_not_build\" is forced, but is refused: .*wrong_word" "$work/err" >/dev/null ||
    fail "the compiler's reason is not in the refusal"
sed 's/float value) {/float value, int wrong) {/' "$work/my plugins/tuned.cl" >"$work/argument.cl"
run plugins check "$work/argument.cl"
expect_code 1
expect_out "$work/argument.cl:8: kernel k, argument \"wrong\": "
cat >"$work/by_zero.cl" <<'END'
//@ plugin: by_zero 1.0.0
//@ abi: 1
//@ op: scale/1
//@ kernel: k
//@ global: M*C
//@ when: C > 0 && 8 / (M - M) > 1
__kernel void k(SP_REF(float, x), SP_IO(float, y), float factor) {}
END
run plugins check "$work/by_zero.cl"
expect_code 1
expect_out "by_zero.cl:6: when: column 12 of \"C > 0 && 8 / (M - M) > 1\": division by zero (8 / 0)"
run plugins check scale --shape "M=8 C=8" --plugins "$work/by_zero.cl"
expect_code 1
expect_out "by_zero.cl:6: when: column 12 of \"C > 0 && 8 / (M - M) > 1\": division by zero (8 / 0)"
sed 's/when: .*/registers: 8 \/ (M - 3)/' "$work/by_zero.cl" >"$work/registers.cl"
run plugins check "$work/registers.cl"
expect_code 1
expect_out "registers.cl:6: registers: column 3 of \"8 / (M - 3)\": division by zero (8 / 0)"
run plugins why scale --shape "M=8 C=8" --plugins "$work/by_zero.cl"
expect_code 0
expect_out "rejected: $work/by_zero.cl:6: when: column 12"
run plugins why neuron.forward --shape "M=8 C=8 neuron=if"
expect_code 0
expect_out "neuron.forward/1 M=8 C=8 neuron=if"
run plugins why neuron.forward --shape "M=8 C=8 neuron=iff"
expect_code 2
expect_err '--shape: there is no neuron "iff"'
(printf '\357\273\277' && cat "$fixtures/good_kernel.cl") >"$work/marked.cl"
run plugins check "$work/marked.cl"
expect_code 1
expect_out "begins with a byte order mark"
run plugins check "$fixtures/wrong_abi.cl"
expect_code 1
expect_out "REFUSED"
run plugins check "$fixtures/nowhere"
expect_code 1
run plugins check scale --shape "M=8 C=8" --plugins "$template"
expect_code 0
expect_out "my_kernel:scale__four"
expect_out "ok         1 calls"
run plugins check scale --shape "M=7 C=9" --plugins "$template"
expect_code 0
expect_out "untested"
expect_out "rejected: M*C % VW == 0 is false (M=7, C=9, VW=4)"
run plugins check scale --shape "M=8 C=8" --plugins "$fixtures/wrong_result.cl"
expect_code 1
run plugins check scale --shape "M=8"
expect_code 2
run plugins check my_kernel --shape "M=8 C=8" --plugins "$template"
expect_code 2
expect_err 'there is no op "my_kernel"'
run plugins check nonsense
expect_code 2

run plugins bench scale --shape "M=8 C=8" --ms 5 --plugin scale=my_kernel --plugins "$template"
expect_code 0
expect_out "* my_kernel:scale__four"
expect_out "1.00x"
run plugins bench scale --shape "M=8 C=8" --ms 5 --json --plugins "$fixtures/wrong_result.cl"
expect_code 1
expect_out '"median_ms":null' # what is wrong is not timed
run plugins bench spikes.count --shape "M=64 C=32" --ms 5 --density 10
expect_code 0
expect_out "10 % of the neurons fire"
run plugins bench spikes.count --shape "M=64 C=32" --density 101
expect_code 2
run plugins bench scale --shape "M=1000000 C=1000000"
expect_code 2

# In a script's background SIGINT is ignored, but LLVM, in a driver, removes what it is writing when it reaches the group: no kernel fails for that.
command -v setsid >/dev/null || exit 0
(
    trap '' INT
    POCL_CACHE_DIR=$work/pocl SPIKEPORT_CACHE_DIR=$work/cold setsid sh -c 'echo $$ >"$2/pid"
        "$0" plugins check "$1" >"$2/out" 2>"$2/err"
        echo $? >"$2/code"' "$program" "$(dirname "$0")/../../plugins/template" "$work"
) &
while [ ! -s "$work/code" ]; do
    [ ! -s "$work/pid" ] || kill -s INT -- "-$(cat "$work/pid")" 2>/dev/null || :
    sleep 0.05
done
called="plugins check, interrupted in the background"
code=$(cat "$work/code")
expect_code 0
