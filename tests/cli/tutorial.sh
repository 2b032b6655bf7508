# The commands of docs/TUTORIAL.md, run in order in an empty folder, do what the page says.
. "$(dirname "$0")/support.sh"
root=$(cd "$(dirname "$0")/../.." && pwd)
called="the commands of docs/TUTORIAL.md"

awk '/^```sh$/ { on = 1; next } /^```$/ { on = 0 } on && !/^export PATH/' "$root/docs/TUTORIAL.md" >"$work/commands.sh"
ln -s "$root/recipes" "$work/recipes"
mkdir "$work/bin"
ln -s "$program" "$work/bin/spikeport"
cd "$work" || exit 1
"$program" devices >out 2>err || { echo "skipped: no OpenCL device"; exit 77; }
command -v python3 >/dev/null || { echo "skipped: python3 draws the pictures of step 4 and is not here"; exit 77; }
code=0
PATH=$work/bin:$PATH sh commands.sh >out 2>err </dev/null || code=$?
expect_code 0
expect_out "0 of 14 tensors differ"
expect_out "loss: equal at all 3 logged mini-batches"
expect_err 'did you mean "time_steps"?'
for file in tiny/curves.png tiny/pictures/raster.png mine/best.safetensors stripes/best.safetensors bump/best.safetensors compare.png; do
    [ -s "runs/$file" ] || fail "runs/$file was not written"
done
grep -q '"mine/new/vertical_120.png",1,1,"vertical"' mine/predictions.csv || fail "a picture of vertical stripes is another class"
grep -q '"mine/new_recordings/right_40.npz",1,1,"right"' mine/directions.csv || fail "dots that move to the right are another class"
[ "$(grep -c 'error:' err)" -eq 2 ] || fail "two errors were expected: an unknown key, and the interrupted training"

echo "tutorial: ok"
