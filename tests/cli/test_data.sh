# spikeport data: inspect, preview, bench, cache; by recipe and by name; right and wrong use. Needs no device.
here=$(dirname "$0")
. "$here/support.sh"
recipe=$here/../../recipes/synthetic_tiny.yaml

run data inspect "$recipe"
expect_code 0
expect_out "synthetic, train split: 512 samples, 4 classes, 2x8x8"
expect_out "synthetic, test split: 128 samples"
expect_out "class    3       128"
first=$(grep crc32 "$work/out")
run data inspect "$recipe" --set data.threads=5
[ "$(grep crc32 "$work/out")" = "$first" ] || fail "the check sum depends on the threads"
run data inspect "$recipe" --test --json
expect_code 0
expect_out '"split":"test"'
expect_out '"per_class":[32,32,32,32]'
[ "$(wc -l <"$work/out")" -eq 1 ] || fail "one line was expected"

run data preview synthetic --set data.channels=3 -n 7 -o "$work/sheet.png"
expect_code 0
expect_out "7 samples of synthetic"
[ "$(head -c 4 "$work/sheet.png" | tail -c 3)" = PNG ] || fail "not a PNG"
run data preview "$recipe" --set data.frames=3 --set schedule.time_steps=3 -o "$work/frames.png"
expect_code 0
run data preview synthetic -o "$work/none/sheet.png"
expect_code 1
expect_err "none/sheet.png"

run data bench "$recipe" --seconds 0 --json
expect_code 0
expect_out '"samples":512'
expect_out '"samples_per_second"'

# A person's own files: class folders that are not divided, and a table of them.
mkdir -p "$work/own/cat" "$work/own/dog"
for i in 1 2 3 4 5; do
    cp "$here/../fuzz/seeds/png/grey.png" "$work/own/cat/$i.png"
    cp "$here/../fuzz/seeds/png/grey.png" "$work/own/dog/$i.png"
    echo "own/cat/$i.png,cat"
    echo "own/dog/$i.png,dog"
done >"$work/own.csv"
for path in "$work/own" "$work/own.csv"; do
    run data inspect images --set data.path="$path" --set data.split=0.6 --json
    expect_code 0
    expect_out '"per_class":[3,3]'
    expect_out '"per_class":[2,2]'
    expect_out '"split_share":0.6'
    run data inspect images --set data.path="$path" --set data.split=0.6 --list
    [ "$(cut -d ' ' -f 4 "$work/out" | sort -u | wc -l)" -eq 10 ] || fail "every file is in one part"
done
run data inspect arrays --set data.path="$here/../fuzz/seeds/zip/deflated.npz" --set data.split=0.5 --test --json
expect_code 0
expect_out '"samples":1'
head -c 200 "$here/../fuzz/seeds/zip/deflated.npz" >"$work/cut.npz"
run data inspect arrays --set data.path="$work/cut.npz" --set data.arrays.inputs=x --set data.arrays.labels=y
expect_code 7
expect_err "cut.npz"

run data cache "$recipe"
expect_code 3
expect_err "keeps no cache"
run data inspect cifar10 --set data.path="$work"
expect_code 7
expect_err "data_batch_1.bin"
run data inspect mnist-like
expect_code 2
expect_err "mnist-like"
run data inspcet "$recipe"
expect_code 2
expect_err 'did you mean "inspect"'
run data inspect
expect_code 2
run data --help
expect_code 0
expect_out "preview"
