# spikeport tune: measuring, remembering, choosing; budget, import, export, files that are damaged.
. "$(dirname "$0")/support.sh"
recipes=$(cd "$(dirname "$0")/../../recipes" && pwd)
template=$recipes/../plugins/template
scale="M=64 C=64"

run tune
expect_code 2
expect_err "name a recipe, or an op"
run tune "$recipes/synthetic_tiny.yaml" --op scale
expect_code 2
expect_err "exclude each other"
run tune --op scal --shape "$scale"
expect_code 2
expect_err 'did you mean "scale"?'
run tune --op neuron.forward --shape "M=8 C=8 neuron=nosuch"
expect_code 2
expect_err 'there is no neuron "nosuch"'
run tune "$recipes/synthetic_tiny.yaml" --budget 0
expect_code 2
run tune "$work/none.yaml"
expect_code 3

need_device
verdicts=$SPIKEPORT_CACHE_DIR # kernels checked before need not be again
export SPIKEPORT_CACHE_DIR="$work/cache"
mkdir -p "$SPIKEPORT_CACHE_DIR"
[ ! -f "$verdicts/conformance.jsonl" ] || cp "$verdicts/conformance.jsonl" "$SPIKEPORT_CACHE_DIR"

run tune --op scale --shape "$scale" --plugins "$template" --rounds 3
expect_code 0
expect_out "my_kernel:scale__four"
expect_out "(score's choice)"
expect_err "1 measured"
file=$(echo "$work"/cache/wisdom/*.jsonl)
[ "$(grep -c '^{"schema":1,"device":.*}$' "$file")" -eq 1 ] || fail "one entry was expected in $file"
run tune --op scale --shape "$scale" --plugins "$template" --json
expect_code 0
expect_silent out
expect_err "0 measured (0 found a faster kernel), 1 known already"
run tune --op scale --shape "$scale" --plugins "$template" --json --force --rounds 1
expect_code 0
expect_out '"op":"scale/1","call":"M=64 C=64"'

# A plugin that came later is timed beside what is known.
mkdir "$work/more"
sed 's/my_kernel/later/; s/scale__four/scale__later/g' "$template/my_kernel.cl" >"$work/more/later.cl"
run tune --op scale --shape "$scale" --plugins "$template:$work/more" --rounds 1
expect_code 0
expect_out "later:scale__later"
expect_err "1 candidates timed"

# What runs by its name alone is timed with its values where it is forced, but is no choice for other runs.
mkdir "$work/named"
sed 's/my_kernel/named/; s/scale__four/scale__named/g; s|^//@ op: .*|&\n//@ by_name: for this test\n//@ tune: UNUSED = 1 2|' \
    "$template/my_kernel.cl" >"$work/named/named.cl"
run tune --op scale --shape "M=32 C=64" --plugins "$work/named" --rounds 1
expect_code 0
grep -q "scale__named" "$work/out" && fail "nothing names it"
run tune --op scale --shape "M=32 C=64" --plugins "$work/named" --plugin scale=named --rounds 1
expect_code 0
[ "$(grep -c '^    named:scale__named .*UNUSED=[12] .* ms' "$work/out")" -eq 2 ] || fail "both values of UNUSED were expected, without *"
expect_out "(score's choice)"
run plugins why scale --shape "M=32 C=64" --plugins "$work/named"
expect_code 0
expect_out "wisdom: "

# What is wrong is not timed.
run tune --op scale --shape "M=3 C=5" --plugins "$recipes/../tests/plugin/fixtures/wrong_result.cl" --rounds 1
expect_code 0
expect_out "wrong: "

run tune --op scale --shape "$scale" --plugins "$template" --force --rounds 1 # or the later one may be the fastest, and gone
expect_code 0
run plugins why scale --shape "$scale" --plugins "$template"
expect_code 0
expect_out "wisdom: "
expect_out "measured on 20"
run plugins why scale --shape "$scale" --plugins "$template" --no-wisdom
expect_code 0
expect_out "chosen: highest score"

# The winner's source changes: the entry is stale.
cp -r "$template" "$work/changed"
best=$(sed -n 's/^{"schema":1.*"call":"M=64 C=64".*/&/p' "$file" | head -n 1)
sed -i 's/^{"schema":1\(.*"call":"M=64 C=64".*\)$/{"schema":1\1/; s/"hash":"[0-9a-f]*"/"hash":"0000000000000001"/g' "$file"
run plugins why scale --shape "$scale" --plugins "$template"
expect_code 0
expect_err "is not used: "
expect_out "chosen: highest score"
[ -n "$best" ] || fail "the entry was not found"
printf '%s\n' "$best" >"$file"

# Import and export.
run tune --export "$work/mine.jsonl"
expect_code 0
expect_err "exported: 1 entries"
printf 'garbage\n' >>"$work/mine.jsonl"
rm "$file"
run tune --import "$work/mine.jsonl"
expect_code 0
expect_err "mine.jsonl:2: not an entry of wisdom"
expect_err "imported: 1 entries"
run tune --import "$work/mine.jsonl"
expect_code 0
expect_err "imported: 0 entries"
expect_err "1 were known already"
run tune --import "$work/nothing.jsonl"
expect_code 1
expect_err "nothing.jsonl"

# Damaged: a warning with the line, and the rest counts.
sed -i '1i {"schema":1,"device":3}' "$file"
run plugins why scale --shape "$scale" --plugins "$template"
expect_code 0
expect_err "$file:1: not an entry of wisdom"
expect_out "wisdom: "

# The budget holds with nothing compiled so far: opening the recipe and compiling candidates count.
start=$(date +%s)
called="tune --budget 15" code=0
POCL_CACHE_DIR="$work/cold" SPIKEPORT_CACHE_DIR="$work/cold-cache" "$program" tune "$recipes/synthetic_tiny.yaml" --budget 15 \
    >"$work/out" 2>"$work/err" </dev/null || code=$?
expect_code 0
[ $(($(date +%s) - start)) -le 18 ] || fail "$(($(date +%s) - start)) s instead of 15 s"

# A recipe within a budget: what was begun is finished or noted, the file stays valid, the next run goes on.
run tune "$recipes/synthetic_tiny.yaml" --budget 1 --rounds 1
expect_code 0
grep -v '^{"schema":1,.*}$' "$file" && fail "a line of the file is not an entry"
before=$(wc -l <"$file")
grep -q " 0 left" "$work/err" && before=$((before - 1)) # a fast machine needs less than the budget
run tune "$recipes/synthetic_tiny.yaml" --rounds 1
expect_code 0
expect_err " 0 left"
[ "$(wc -l <"$file")" -gt "$before" ] || fail "no calls were added"
run tune "$recipes/synthetic_tiny.yaml"
expect_code 0
expect_err " 0 measured"
run plan "$recipes/synthetic_tiny.yaml"
expect_code 0
expect_out "wisdom: "
run plan "$recipes/synthetic_tiny.yaml" --no-wisdom
expect_code 0
grep -q "wisdom: " "$work/out" && fail "--no-wisdom was given"
run train "$recipes/synthetic_tiny.yaml" -s epochs=1 -o "$work/run"
expect_code 0
expect_err "by wisdom"
exit 0
