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

run data cache "$recipe"
expect_code 3
expect_err "keeps no cache"
run data inspect cifar10 --set data.path="$work"
expect_code 7
expect_err "data_batch_1.bin"
run data inspect mnist-like
expect_code 1
expect_err "mnist-like"
run data inspcet "$recipe"
expect_code 2
expect_err 'did you mean "inspect"'
run data inspect
expect_code 2
run data --help
expect_code 0
expect_out "preview"
