# spikeport compile, and --programs on train, eval and verify: what is written, what runs from it, what is refused and why.
. "$(dirname "$0")/support.sh"
root=$(cd "$(dirname "$0")/../.." && pwd)
recipe=$root/recipes/synthetic_tiny.yaml
case=$root/tests/golden/max_pool_sltt.json
SPIKEPORT_REFUSE_SOURCES=0
export SPIKEPORT_REFUSE_SOURCES

run compile "$recipe" --out "$work/p"
expect_code 2
expect_err "--target must be intel-fpga, amd-fpga or offline"
run compile "$recipe" --target fpga --out "$work/p"
expect_code 2
run compile "$recipe" --target offline
expect_code 2
expect_err "--out"

need_device

# Vendors' files: every kernel in one file that needs no other, a script, a manifest.
for target in intel-fpga amd-fpga; do
    run compile "$recipe" --target $target --out "$work/$target"
    expect_code 0
    expect_out "programs with"
    [ -x "$work/$target/build.sh" ] || fail "no build.sh"
    sh -n "$work/$target/build.sh" || fail "build.sh is not a script"
    for file in "$work/$target"/kernels/*.cl; do
        grep -q "$(basename "$file")" "$work/$target/build.sh" || fail "build.sh lacks $file"
        grep -q '#include' "$file" && fail "$file includes another file"
        grep -q '^//@\|^#line' "$file" && fail "$file has lines about the plugin"
        [ "$(grep -c '^__kernel' "$file")" -ge 1 ] || fail "$file has no kernel"
        if command -v clang >/dev/null; then
            clang -x cl -cl-std=CL1.2 -Xclang -finclude-default-header -fsyntax-only -w "$file" 2>"$work/clang" ||
                fail "$file: $(cat "$work/clang")"
        fi
    done
    ls "$work/$target"/kernels/ | grep -q neuron_backward__task || fail "no single work-item kernel was chosen"
done
# what a kernel does not use is not in its file
grep -q "sp_bit\|neuron_args\|SP_WORDS" "$work/intel-fpga"/kernels/fill__naive*.cl && fail "a fill has what only neurons need"
grep -q "neuron_charge" "$work/intel-fpga"/kernels/neuron_forward__task*.cl || fail "a neuron has lost its charge"
grep -q "aoc -march=emulator" "$work/intel-fpga/build.sh" || fail "no aoc"
grep -q "max_global_work_dim(0)" "$work/intel-fpga"/kernels/neuron_forward__task*.cl || fail "no attribute"
grep -q "SP_TARGET_AMD_FPGA 1" "$work/amd-fpga"/kernels/neuron_forward__task*.cl || fail "no target"
grep -q "v++ -l" "$work/amd-fpga/build.sh" || fail "no v++"
grep -q "^nk=neuron_forward__task_" "$work/amd-fpga/link.cfg" || fail "no nk"
grep -q "^sp=neuron_forward__task_.*\.x:DDR\[0\]" "$work/amd-fpga/link.cfg" || fail "no sp"
run train "$recipe" --programs "$work/amd-fpga" --out "$work/run"
expect_code 4
expect_err '"Xilinx" in its name or platform'

# A kernel that begins with alternatives of the preprocessor stays whole, with constants and macros in front of it, and one that
# is not launched is left out.
mkdir "$work/alternatives"
cat >"$work/alternatives/two.cl" <<'END'
//@ plugin: two 1.0.0
//@ abi: 1
//@ all: bake: *
//@ all: global: M
//@ op: fill/1
//@ kernel: fill__some
//@ op: fill/1
//@ kernel: fill__none
//@ when: M == 0
__constant int two_before = 7301, two_behind = 7302;

    #define TWO_SAME(x) ((x) * (two_behind - two_before))

__kernel __attribute__((vec_type_hint(float)))
#if M == 0
void fill__none(SP_OUT(float, y), float value)
{
    SP_AT(y);
#else
void fill__some(SP_OUT(float, y),
                float value)
{
    SP_AT(y);
#endif
    y[get_global_id(0)] = TWO_SAME(value);
}
__kernel void fill__none_at_all(SP_OUT(float, y)) { SP_AT(y); y[0] = 0; }
//@ op: fill/1
//@ kernel: fill__none_at_all
//@ when: M == 0
END
run compile "$recipe" --target offline --as accelerator --out "$work/two" --plugins "$work/alternatives" --plugin fill=two --plugin conv=reference
expect_code 0
for file in "$work/two"/kernels/fill__some_*.cl; do
    grep -q "^void fill__some(" "$file" || fail "$file has lost its kernel"
    grep -q "^__kernel void fill__none_at_all" "$file" && fail "$file has a kernel that nobody launches"
done

# The kernels that this device would take by itself: guards stand around some of them.
run compile "$recipe" --target offline --out "$work/own"
expect_code 0

# Binaries of this device. A small network trains, is scored, and a reference case passes, with no source built.
bin=$work/bin
run compile "$recipe" --target offline --as accelerator --out "$bin"
expect_code 0
run compile "$case" --target offline --as accelerator --out "$work/case" --json
expect_code 0
expect_out '"target":"offline"'
run compile "$recipe" --target offline --out "$work/cpu"
expect_code 0
SPIKEPORT_REFUSE_SOURCES=1
run train "$recipe" --programs "$work/cpu" --out "$work/run"
expect_code 0
expect_err "from binaries, 0 from source"
rm -rf "$work/run"
run train "$recipe" --out "$work/run"
expect_code 5
expect_err "SPIKEPORT_REFUSE_SOURCES=1 forbids it"
! grep -q "forbids it" "${SPIKEPORT_CACHE_DIR:-$HOME/.cache/spikeport}/conformance.jsonl" || fail "later runs will not try these kernels"
run train "$recipe" --programs "$bin" --out "$work/run" --overwrite
expect_code 0
expect_err "from binaries, 0 from source"
expect_err "test accuracy 100.00%"
run eval "$work/run" --programs "$bin"
expect_code 0
expect_out "accuracy 100.00%"
expect_err "from binaries, 0 from source"
run verify "$case" --brief --programs "$work/case"
expect_code 0
expect_err "from binaries, 0 from source"
SPIKEPORT_REFUSE_SOURCES=0

# What evaluation launches, in mini-batches of several sizes; training is not in it.
run compile "$recipe" --target offline --as accelerator --out "$work/inference" --inference --batches 1,20
expect_code 0
[ "$(ls "$work/inference"/programs/*.bin | wc -l)" -lt "$(ls "$bin"/programs/*.bin | wc -l)" ] || fail "training is in it"
! ls "$work/inference"/kernels | grep -q backward || fail "kernels of a backward pass are in it"
for batch in 1 20; do
    run eval "$work/run" --programs "$work/inference" --set eval_batch=$batch
    expect_code 0
    expect_out "accuracy 100.00%"
    expect_err "from binaries, 0 from source"
done
run train "$recipe" --programs "$work/inference" --out "$work/no"
expect_code 5
run compile "$recipe" --target offline --out "$work/no" --batches 0
expect_code 2
run compile "$case" --target offline --out "$work/no" --inference
expect_code 2

# The same kernels from source give the same bits.
run train "$recipe" --out "$work/source" --plugin '*=reference' --plugin conv=fpga_conv --plugin gemm=fpga_gemm --plugin neuron=fpga_neuron \
    --plugin batch_norm=fpga_norm
expect_code 0
cp "$work/run/checkpoint.safetensors" "$work/a"
cp "$work/source/checkpoint.safetensors" "$work/b"
weights() { # the tensors without the header, which holds times and places
    n=$(od -An -tu8 -N8 "$1" | tr -d ' ')
    tail -c +$((n + 9)) "$1" | cksum
}
[ "$(weights "$work/a")" = "$(weights "$work/b")" ] || fail "binaries and sources train to other weights"

refused() { # CODE TEXT ARGS...: with --programs, nothing built
    wanted=$1
    text=$2
    shift 2
    run train "$recipe" --out "$work/no" "$@"
    expect_code "$wanted"
    expect_err "$text"
}
spoil() { # a fresh copy in $bad
    bad=$work/bad
    rm -rf "$bad"
    cp -r "$bin" "$bad"
}

# Stale: another shape, another plan, another source.
refused 5 "has no program for" --programs "$bin" -s batch=16
expect_err "N=16"
refused 5 "manifest.json is stale: the plan (hash" --programs "$bin" -s schedule.method=sltt-k -s schedule.backprop_steps=2
spoil
sed 's/"hash": "\(.\{15\}\)[0-9a-f]"/"hash": "\1_"/' "$bin/manifest.json" >"$bad/manifest.json"
refused 5 "is stale: source or options of" --programs "$bad"
spoil
sed 's/"format": 1/"format": 2/' "$bin/manifest.json" >"$bad/manifest.json"
refused 5 "manifest.json has format 2" --programs "$bad"
spoil
sed 's/fpga_conv:conv_forward__task/fpga_conv:conv_forward__gone/' "$bin/manifest.json" >"$bad/manifest.json"
refused 5 "it takes fpga_conv:conv_forward__gone" --programs "$bad"
head -c 300 "$bin/manifest.json" >"$bad/manifest.json"
refused 5 "no manifest can be read" --programs "$bad"

# Binaries: truncated, damaged, missing, without checksum, not a binary.
spoil
file=$(ls "$bad"/programs/conv_forward*.bin)
size=$(wc -c <"$file")
head -c $((size / 2)) "$bin/programs/$(basename "$file")" >"$file"
refused 5 "$file is truncated: $((size / 2)) bytes, $size were written" --programs "$bad"
printf 'x' | cat "$bin/programs/$(basename "$file")" - | tail -c "$size" >"$file"
refused 5 "$file is damaged: its checksum is" --programs "$bad"
rm "$file"
refused 5 "$file: missing binary" --programs "$bad"
echo "not a program" >"$file"
cksum <"$file" >"$file.cksum"
refused 5 "$file: \"" --programs "$bad"
expect_err "refuses the binary"
rm "$file.cksum"
refused 5 "$file.cksum is missing" --programs "$bad"

# Another device, another driver, a choice that is made already.
spoil
sed 's/"name": "\([^"]*\)",$/"name": "another \1",/;t;' "$bin/manifest.json" >"$bad/manifest.json"
refused 4 'manifest.json is for the device "another' --programs "$bad"
sed 's/"driver": "[^"]*"/"driver": "0.0"/' "$bin/manifest.json" >"$bad/manifest.json"
refused 4 'is for driver "0.0"' --programs "$bad"
refused 2 "cannot change programs compiled ahead of time" --programs "$bin" --plugin conv=reference
