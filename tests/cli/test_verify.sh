# spikeport verify: cases that are none, cases that pass, and one that does not.
. "$(dirname "$0")/support.sh"
golden=$(cd "$(dirname "$0")/../golden" && pwd)

run verify
expect_code 2
run verify "$work/nothing"
expect_code 7
expect_err "$work/nothing: No such file"
run verify "$work"
expect_code 7
expect_err "no reference case (NAME.json with NAME.safetensors) in this folder"
: >"$work/case.txt"
run verify "$work/case.txt"
expect_code 2
expect_err "named by its .json file"
run verify "$golden" --tolerance nothing
expect_code 2
expect_err "--tolerance must be a positive number"

need_device
run verify "$golden/max_pool_sltt.json"
expect_code 0
expect_out "max_pool_sltt "
expect_out "    grad."
expect_out "1 cases pass at 0.0001"
run verify "$golden/max_pool_sltt.json" --brief --json
expect_code 0
expect_out '{"case":"max_pool_sltt","passed":true,"errors":{'
[ "$(wc -l <"$work/out")" -eq 1 ] || fail "one line was expected"

# Nothing is equal to the last bit: a difference is exit 1 with the tensors that differ.
run verify "$golden/max_pool_sltt.json" --brief --tolerance 1e-12
expect_code 1
expect_out "FAIL"
expect_err "1 of 1 cases differ from the reference by more than 1e-12"

# Stored as half: other numbers, the same direction.
run verify "$golden/max_pool_sltt.json" --brief --half
expect_code 0
expect_out "1 cases pass at 0.001"
run verify "$golden/max_pool_sltt.json" --brief --half --tolerance 1e-15
expect_code 1
expect_err "with activations stored as half, the gradients of 1 of 1 cases point elsewhere"

# A kernel that is forced and does not fit a case: told and counted, and the other cases run. Without one that fits, nothing was verified.
packed=conv.forward=cpu_conv:conv_forward__pack
run verify "$golden/max_pool_sltt.json" "$golden/wide_channels_bptt.json" --brief --plugin $packed
expect_code 0
expect_out "max_pool_sltt                    skipped  conv.forward/1: \"cpu_conv:conv_forward__pack\" is forced, but does not fit: "
expect_out "rejected: O >= 16 is false (O=4)"
expect_out "1 cases pass at 0.0001 on "
expect_out "; 1 skipped"
run verify "$golden/max_pool_sltt.json" "$golden/wide_channels_bptt.json" --json --plugin $packed
expect_code 0
expect_out '{"case":"max_pool_sltt","skipped":"conv.forward/1: '
[ "$(wc -l <"$work/out")" -eq 2 ] || fail "one line for each case was expected"
run verify "$golden/max_pool_sltt.json" "$golden/wide_channels_bptt.json" --brief --tolerance 1e-12 --plugin $packed
expect_code 1
expect_err "1 of 1 cases differ from the reference by more than 1e-12; 1 skipped"
run verify "$golden/max_pool_sltt.json" --brief --plugin $packed
expect_code 5
expect_err "none of 1 cases was run: conv.forward/1: "

# A kernel that is forced and that no step of a case asks for: counted, and where no case had it, nothing was verified. The
# optimizer's step is there, but does not run in cases of one mini-batch; a plugin for "*" is taken where it has something.
run verify "$golden/if_ottt.json" --brief --plugin pool.max.forward=reference
expect_code 5
expect_out "--plugin pool.max.forward=reference was used in 0 of 1 cases"
expect_err "none of 1 cases used --plugin pool.max.forward=reference, so nothing was verified of it"
run verify "$golden/if_ottt.json" --brief --plugin optimizer.sgd=reference
expect_code 5
run verify "$golden/max_pool_sltt.json" "$golden/if_ottt.json" --plugin pool.max.forward=reference
expect_code 0
expect_out "    --plugin pool.max.forward=reference was not used"
expect_out "--plugin pool.max.forward=reference was used in 1 of 2 cases"
expect_out "2 cases pass at 0.0001"
run verify "$golden/if_ottt.json" --json --plugin '*=reference' --plugin '*=gpu_pool'
expect_code 0
expect_out '"unused":["*=gpu_pool"]'
run verify "$golden/if_ottt.json" --brief --plugin '*=gpu_pool'
expect_code 5
run verify "$golden/max_pool_sltt.json" --brief --plugin conv=im2col_gemm
expect_code 0
grep -q "was used" "$work/out" && fail "a lowering was used in the only case"

# Of two kernels for one op, the last one is taken, and that is told.
run verify "$golden/if_ottt.json" --brief --plugin gemm=gpu_gemm --plugin gemm=reference
expect_code 5
expect_err "forced kernel gemm=gpu_gemm has no effect: for gemm/1, gemm=reference is taken, which is given last"

# A case whose settings are not those that its tensors were made with.
cp "$golden/max_pool_sltt.json" "$golden/max_pool_sltt.safetensors" "$work"
sed 's/"time_steps": [0-9]*/"time_steps": 1/' "$work/max_pool_sltt.json" >"$work/other.json"
cp "$work/max_pool_sltt.safetensors" "$work/other.safetensors"
cmp -s "$work/max_pool_sltt.json" "$work/other.json" && fail "the case was not changed"
run verify "$work/other.json" --brief
[ "$code" -ne 0 ] || fail "another number of time steps passes"

head -c 100 "$golden/max_pool_sltt.safetensors" >"$work/max_pool_sltt.safetensors"
run verify "$work/max_pool_sltt.json"
expect_code 7
expect_err "max_pool_sltt.safetensors"
printf '{"method": "sltt", "time_steps": 2}' >"$work/max_pool_sltt.json"
cp "$golden/max_pool_sltt.safetensors" "$work/max_pool_sltt.safetensors"
run verify "$work/max_pool_sltt.json"
expect_code 3
expect_err 'a reference case needs "'
