# bench suite and bench diff: records, reports, and no time for a wrong result.
. "$(dirname "$0")/support.sh"

run bench suite --small --level 0 -n 3 -d auto -o "$work/a"
[ "$code" -eq 4 ] && exit 77
expect_code 0
expect_out "4 records, 0 without a time"
for file in records.jsonl summary.json p3.csv report.html; do
    [ -s "$work/a/$file" ] || fail "$file is missing"
done
grep -q '"problem":"peak.copy"' "$work/a/records.jsonl" || fail "no copy peak"
grep -q '"git":' "$work/a/records.jsonl" || fail "no revision"

run bench diff "$work/a/records.jsonl" "$work/a/records.jsonl"
expect_code 0
expect_out "4 compared, 0 slower or lost"
mkdir "$work/b"
sed '/peak.launch/s/"samples":\[[^]]*\]/"samples":[9000.5,9000.6,9000.7]/' "$work/a/records.jsonl" >"$work/b/records.jsonl"
run bench diff "$work/a/records.jsonl" "$work/b/records.jsonl"
expect_code 1
expect_out "slower"
expect_err "1 of 4 became slower or were lost"

# A time planted beside a failed validation.
line=$(grep peak.launch "$work/b/records.jsonl" | sed 's/"passed":true/"passed":false/; s/"level":0/"level":1/; s/peak.launch/planted/')
echo "$line" >>"$work/b/records.jsonl"
run bench suite --report -o "$work/b"
expect_code 0
expect_out "5 records, 1 without a time"
grep -q "planted" "$work/b/report.html" || fail "the planted record is not shown as invalid"
for file in summary.json p3.csv report.html; do
    sed 's/peak.launch.*//' "$work/b/$file" | grep -n 'planted.*9000' && fail "$file has the time of a wrong result"
done

# A faster time whose validation failed is no progress: it is lost.
mkdir "$work/d"
sed '/peak.launch/{s/"passed":true/"passed":false/;s/"samples":\[[^]]*\]/"samples":[0.000123,0.000123,0.000123]/}' "$work/a/records.jsonl" >"$work/d/records.jsonl"
run bench diff "$work/a/records.jsonl" "$work/d/records.jsonl"
expect_code 1
expect_out "lost"
grep -q "0.000123" "$work/out" && fail "the comparison shows the time of a wrong result"
run bench diff "$work/a/records.jsonl" "$work/d/records.jsonl" --json
grep -q "validation failed" "$work/out" || fail "the reason is missing"
grep -q "0.000123\|1.23e-" "$work/out" && fail "the comparison shows the time of a wrong result"

# Going on: nothing is run twice; a problem that is not named is not run.
run bench suite --small --level 1 --only residual.forward --chosen -n 3 -d auto --resume -o "$work/a"
expect_code 0
[ "$(grep -c peak "$work/a/records.jsonl")" -eq 4 ] || fail "the peaks were measured again"
[ "$(grep -c residual.forward "$work/a/records.jsonl")" -eq 1 ] || fail "not one record of residual.forward"
[ "$(wc -l <"$work/a/records.jsonl")" -eq 5 ] || fail "other problems were run"
cp "$work/a/records.jsonl" "$work/before"
run bench suite --small --level 1 --only residual.forward --chosen -n 3 -d auto --resume -o "$work/a"
expect_code 0
cmp "$work/before" "$work/a/records.jsonl" || fail "something was run twice"
# Every training step of the suite is of a network that there is; a recipe that is not there is a row, not the end.
run bench suite --only missing.yaml --recipe "$work/missing.yaml" -n 3 -d auto --resume -o "$work/a"
expect_code 0
[ "$(grep -c '"status":"failed"' "$work/a/records.jsonl")" -eq 1 ] || fail "not one failed record"
grep '"status":"failed"' "$work/a/records.jsonl" | grep -q "training step missing.yaml" || fail "the recipe is not named"

run bench suite -d nothing-like-it -o "$work/c"
expect_code 4
expect_err 'no device fits "nothing-like-it"'
echo '{"schema":1' >"$work/b/records.jsonl"
run bench suite --report -o "$work/b"
expect_code 7
expect_err "records.jsonl:1:"
