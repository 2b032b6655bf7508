# A run in progress, as lines and as a page; pictures in all formats, and what they say.
. "$(dirname "$0")/support.sh"
recipe=$(cd "$(dirname "$0")/../../recipes" && pwd)/synthetic_tiny.yaml
cd "$work" || exit 1
need_device
run watch nowhere
expect_code 1
run watch . --every 0
expect_code 2
"$program" train "$recipe" --out live --set epochs=40 >train.out 2>&1 &
trainer=$!
i=0
while [ ! -e live/.lock ] && [ $i -lt 100 ]; do sleep 0.1; i=$((i + 1)); done
run watch live --every 1 --html live.html
expect_code 0
wait $trainer || fail "the training failed: $(tail -1 train.out)"
[ "$(grep -c . "$work/out")" -eq $((1 + $(grep -c '"event":"\(batch\|epoch\)"' live/metrics.jsonl))) ] || fail "not a row for each event"
grep -q 'http-equiv="refresh"' live.html && fail "the page of a finished run refreshes itself"
[ "$(grep -c '^<tr>' live.html)" -eq 40 ] || fail "the page has not 40 epochs"
[ "$(grep -o 'image/svg+xml;base64' live.html | wc -l)" -eq 3 ] || fail "the page has not three curves"

run train "$recipe" --out stopped --max-iterations 20
expect_code 130
run visualise stopped raster confusion --format svg
expect_code 0
grep -q 'true: class 0, network: class' stopped/pictures/raster.svg || fail "the raster does not say the classes"
grep -q '^layer 2 (lif)$' stopped/pictures/raster.svg || fail "the raster does not name its layer"
grep -q '^class by the network$' stopped/pictures/confusion.svg || fail "the confusion matrix has no axis"
run watch stopped --html page.html
expect_code 0
expect_err "no process trains"
[ "$(grep -o 'image/svg+xml;base64' page.html | wc -l)" -eq 5 ] || fail "the page has not curves and pictures"
run watch stopped --html train.out
expect_code 2
run curves stopped live --format pdf
expect_code 0
[ "$(head -c 5 curves.pdf)" = "%PDF-" ] || fail "curves.pdf is no PDF"
run visualise stopped --format gif
expect_code 2

echo "watch: ok"
