# reproduce: rows are made once, stopped ones go on to the same result, missing data are a row with a reason, and the four files
# say the same.
. "$(dirname "$0")/support.sh"
recipes=$(cd "$(dirname "$0")/../../recipes" && pwd)
target=$work/tiny.yaml
unset SPIKEPORT_DATA

run reproduce tabel1 --out "$work/x"
expect_code 2
expect_err 'there is no target "tabel1"; did you mean "table1"?'
run reproduce table1 --scale medium
expect_code 2
for name in table1 table2 table3 table4 figure1 figure3 figure4 methods; do
    run reproduce $name --table --out "$work/x"
    expect_code 0
    expect_out "Nothing has been measured."
done
run reproduce table1 --scale full --table --out "$work/x"
expect_out "| BPTT | 94.60 % | 3.00 G | 1.00 | 6.35 h | 1.00 |"

need_device
cat >"$target" <<EOF
title: Tiny
baseline: SLTT
scales: {cpu: synthetic data}
groups:
  - name: a
    title: Synthetic
    cpu: {stands: random numbers, seeds: [1, 2], epochs: 2, measure: [train, step, memory], rounds: 3}
    rows:
      - {method: SLTT, cpu: $recipes/synthetic_tiny.yaml, paper: {accuracy: 90, hours: 2, memory_gb: 1}}
      - {method: BPTT, cpu: $recipes/synthetic_tiny.yaml, set: [schedule.method=bptt], paper: {accuracy: 91, hours: 3, memory_gb: 4}}
  - name: b
    title: Missing
    cpu: {}
    rows:
      - {method: SLTT, cpu: $recipes/paper/dvs_gesture_vgg11_sltt.yaml}
      - {method: Other, external: {file: other.jsonl, match: {T: 4}, program: another, bytes: b, otherwise: not there}}
panels:
  - {title: accuracy, group: a, x: epoch, y: accuracy_curve}
EOF
out=$work/o/tiny-cpu
run reproduce "$target" --out "$work/o"
expect_code 0
expect_out "## Synthetic"
expect_out 'data set "dvs128-gesture": no training split'
expect_out "Not measured: Other: not there."
[ "$(grep -c "seed " "$work/err")" -eq 4 ] || fail "four runs were expected"

# JSON, CSV, Markdown and picture
csv() { # METHOD COLUMN: a value of group a
    awk -F, -v m="\"$1\"" -v c="$2" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == c) k = i } $1 == "\"a\"" && $2 == m { print $k }' "$out/tiny.csv"
}
for method in SLTT BPTT; do
    accuracy=$(csv $method accuracy)
    bytes=$(csv $method device_bytes)
    [ -n "$accuracy" ] && [ -n "$bytes" ] && [ -n "$(csv $method step_ms)" ] || fail "the CSV lacks figures of $method"
    grep -q "\"device_bytes\": $bytes\.0" "$out/tiny.json" || fail "the JSON has other bytes than the CSV"
    grep -q "^| $method | $(printf %.2f "$accuracy") % (" "$out/tiny.md" || fail "the Markdown has another accuracy than the CSV"
done
grep -q '| 3.00 h | 1.50 |$' "$out/tiny.md" || fail "the ratio of the paper's times is wrong"
[ "$(head -c 4 "$out/tiny.png" | tail -c 3)" = PNG ] || fail "no picture"
awk -v s="$(csv SLTT device_bytes)" -v b="$(csv BPTT device_bytes)" -v r="$(csv BPTT memory_ratio)" \
    'BEGIN { d = b / s - r; exit !(b > s && d < 1e-6 && d > -1e-6) }' || fail "the memory ratio is wrong"

# nothing is repeated; a new figure of another program is taken up
cp "$out/tiny.csv" "$work/first.csv"
echo '{"T": 3, "b": 1}
{"T": 4, "b": 2097152}' >"$work/o/other.jsonl"
run reproduce "$target" --out "$work/o"
expect_code 0
expect_out "| Other | 2.0 MiB |"
grep -q "seed \|preparing" "$work/err" && fail "a finished row was run again"
grep '^"a"' "$out/tiny.csv" >"$work/second.csv"
grep '^"a"' "$work/first.csv" | cmp -s - "$work/second.csv" || fail "the rows changed"

# a run that was stopped: the same recipe up to its fifth mini-batch in the place of the whole run
folder=$(ls -d "$work"/o/runs/synthetic_tiny-*-1 | head -n 1)
whole=$(grep '"event":"epoch"' "$folder/metrics.jsonl" | sed 's/.*"test_loss":\([^,]*\).*/\1/')
cp "$folder/recipe.yaml" "$work/recipe.yaml"
rm -r "$folder"
run train "$work/recipe.yaml" --out "$folder" --max-iterations 5
expect_code 130
run reproduce "$target" --out "$work/o" --table
expect_out "not run yet, or not to the end"
run reproduce "$target" --out "$work/o"
expect_code 0
expect_err "seed 1, from its checkpoint"
[ "$(grep -c "seed " "$work/err")" -eq 1 ] || fail "one run was expected"
[ "$(grep '"event":"epoch"' "$folder/metrics.jsonl" | sed 's/.*"test_loss":\([^,]*\).*/\1/')" = "$whole" ] ||
    fail "the run that was stopped ended elsewhere"

# another recipe is another row; Ctrl-C
rm "$work/err"
"$program" reproduce "$target" --out "$work/o" --set epochs=2000 >"$work/out" 2>"$work/err" &
pid=$!
called="reproduce, interrupted"
for i in $(seq 600); do
    grep -qs "epoch 2/" "$work/err" && break
    sleep 0.1
done
kill -TERM $pid
code=0
wait $pid || code=$?
expect_code 130
expect_err "The same command goes on from there"
expect_out "not run yet, or not to the end"

# all rows without data; a wrong file
sed '/name: a/,/SLTT, cpu.*synthetic/d; /schedule.method=bptt/d; /Other/d; /panels/,$d' "$target" >"$work/none.yaml"
run reproduce "$work/none.yaml" --out "$work/o"
expect_code 7
expect_err "dvs128-gesture"
sed 's/measure: \[train/measure: [trian/' "$target" >"$work/wrong.yaml"
run reproduce "$work/wrong.yaml" --out "$work/o"
expect_code 3
expect_err "wrong.yaml:7:"

# a row whose teacher is the run of the same seed of a row before it
for kind in relu lif; do
    printf '%s\n' "data: {name: synthetic, classes: 4, channels: 1, height: 4, width: 4, count: 32, test_limit: 16}" "batch: 16" \
        "schedule: {method: sltt, time_steps: 1}" \
        "network: [{type: flatten}, {type: linear, out: 8}, {type: $kind}, {type: linear, out: 4}]" >"$work/$kind.yaml"
done
cat >"$work/taught.yaml" <<EOF
title: Taught
baseline: ReLU
groups:
  - name: a
    title: Taught
    cpu: {seeds: [1, 2], epochs: 1}
    rows:
      - {method: ReLU, cpu: $work/relu.yaml}
      - {method: LTL, cpu: $work/lif.yaml, set: [schedule.method=ltl, schedule.time_steps=3], teacher: ReLU}
EOF
run reproduce "$work/taught.yaml" --out "$work/t"
expect_code 0
[ "$(grep -c "seed " "$work/err")" -eq 4 ] || fail "four runs were expected"
grep -q '^teacher: ".*/relu-[0-9a-f]*-2"$' "$work"/t/runs/lif-*-2/recipe.yaml || fail "another teacher than that of the seed"
sed '/method: ReLU,/d' "$work/taught.yaml" >"$work/untaught.yaml"
run reproduce "$work/untaught.yaml" --out "$work/t"
expect_code 3
expect_err 'row "LTL": its teacher, row "ReLU", must stand before it in its group'
