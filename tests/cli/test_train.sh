# spikeport train and eval as a person uses them: what is written, what is said, and how wrong recipes and data end.
# Resuming, full disks and numbers that are not finite: tests/device.
. "$(dirname "$0")/support.sh"
recipes=$(cd "$(dirname "$0")/../../recipes" && pwd)

# ---- without a device ----
run train
expect_code 2
expect_err "name a recipe, or --resume a run"
run train a.yaml --resume b
expect_code 2
expect_err "exclude each other"
run train a.yaml --max-iterations 0
expect_code 2
expect_err "--max-iterations 0: a whole number from 1"
run train "$work/nothing.yaml"
expect_code 3
expect_err "nothing.yaml"
run eval
expect_code 2
run eval "$work/nothing"
expect_code 1
expect_err "$work/nothing"

sed 's/^batch: 32/bacth: 32/' "$recipes/synthetic_tiny.yaml" >"$work/typo.yaml"
line=$(grep -n bacth "$work/typo.yaml" | cut -d: -f1)
run train "$work/typo.yaml"
expect_code 3
expect_silent out
expect_err "$work/typo.yaml:$line:1: unknown key \"bacth\""
expect_err 'did you mean "batch"?'
printf 'data: {name: synthetic\nbatch: 3\n' >"$work/broken.yaml"
run train "$work/broken.yaml"
expect_code 3
expect_err "$work/broken.yaml:"
run train "$recipes/synthetic_tiny.yaml" --set optimizer.lrr=3
expect_code 3
expect_err 'did you mean "lr"?'
run train "$recipes/synthetic_tiny.yaml" --set schedule.method=stlt
expect_code 3
expect_err 'did you mean "sltt"?'
run train "$recipes/synthetic_tiny.yaml" --set data.name=sintetic
expect_code 3
expect_err 'unknown data set "sintetic"; did you mean "synthetic"?'
run train "$recipes/synthetic_tiny.yaml" --set data.name=idx
expect_code 3
expect_err 'data set "idx" needs a path'

# What --print-recipe prints is a recipe, and prints the same.
for name in synthetic_tiny fashion_mnist_sltt fashion_mnist_bptt; do
    run train "$recipes/$name.yaml" --print-recipe -s batch=24 -s seed=9
    expect_code 0
    expect_out "batch: 24"
    expect_out "seed: 9"
    expect_silent err
    cp "$work/out" "$work/printed.yaml"
    run train "$work/printed.yaml" --print-recipe
    expect_code 0
    cmp -s "$work/out" "$work/printed.yaml" || fail "it differs from what it was read from"
done

# ---- data that are damaged: found before anything is trained ----
header() { # MAGIC COUNT...: big-endian words
    for word; do
        printf "\\$(printf %o $((word >> 24 & 255)))\\$(printf %o $((word >> 16 & 255)))"
        printf "\\$(printf %o $((word >> 8 & 255)))\\$(printf %o $((word & 255)))"
    done
}
data() { # FOLDER IMAGES LABELS: 28x28 IDX files with so many in their headers, 40 in the files
    mkdir -p "$1"
    for split in train t10k; do
        { header 2051 "$2" 28 28; head -c $((40 * 784)) /dev/zero; } >"$1/$split-images-idx3-ubyte"
        { header 2049 "$3"; head -c 40 /dev/zero; } >"$1/$split-labels-idx1-ubyte"
    done
}
data "$work/whole" 40 40
data "$work/short_images" 41 41
data "$work/more_labels" 40 39
data "$work/magic" 40 40
printf '\0\0\0\0' | dd of="$work/magic/train-images-idx3-ubyte" conv=notrunc 2>/dev/null
data "$work/labels" 40 40
printf '\377' | dd of="$work/labels/train-labels-idx1-ubyte" bs=1 seek=20 conv=notrunc 2>/dev/null
data "$work/gzip" 40 40
for file in "$work"/gzip/*; do
    gzip -n "$file"
done
data "$work/cut_gzip" 40 40
gzip -n "$work/cut_gzip/train-images-idx3-ubyte"
head -c 40 "$work/cut_gzip/train-images-idx3-ubyte.gz" >"$work/cut"
mv "$work/cut" "$work/cut_gzip/train-images-idx3-ubyte.gz"

on_idx() { # FOLDER: trains on it
    run train "$recipes/synthetic_tiny.yaml" -o "$work/idx-$1" -s data="{name: idx, path: $work/$1, classes: 4}" -s epochs=1 -s batch=8
}
for bad in short_images more_labels magic labels cut_gzip; do
    on_idx $bad
    expect_code 7
    expect_silent out
    expect_err "$work/$bad/train-"
done
on_idx nowhere
expect_code 7
expect_err "$work/nowhere"
on_idx whole_
expect_code 7
expect_err "--set data:1:24: "
expect_err "no training split in $work/whole_, which does not exist; did you mean \"$work/whole\"?"
[ ! -e "$work/idx-nowhere" ] || fail "a folder was made for a run that could not start"

# ---- no device ----
mkdir "$work/vendors"
golden=$recipes/../tests/golden/max_pool_sltt.json
for command in "train $recipes/synthetic_tiny.yaml -o $work/none" "plan $recipes/synthetic_tiny.yaml" "verify $golden"; do
    called=$command
    code=0
    # shellcheck disable=SC2086 # words
    OCL_ICD_VENDORS=$work/vendors/ OPENCL_VENDOR_PATH=$work/vendors/ "$program" $command >"$work/out" 2>"$work/err" || code=$?
    expect_code 4
    expect_err "no OpenCL platform was found"
done

# What is wrong with data is said before a device is looked for.
data "$work/no_test" 40 40
rm "$work"/no_test/t10k*
without_device() {
    called=$*
    code=0
    OCL_ICD_VENDORS=$work/vendors/ OPENCL_VENDOR_PATH=$work/vendors/ "$program" "$@" >"$work/out" 2>"$work/err" || code=$?
}
on_set="-s data.name=idx -s data.path=$work/no_test -s data.classes=4"
# shellcheck disable=SC2086 # words
without_device train "$recipes/synthetic_tiny.yaml" $on_set -o "$work/none"
expect_code 7
expect_err "no test split in $work/no_test"
without_device bench --real-input "$recipes/synthetic_tiny.yaml" -s data="{name: idx, path: $work/nowhere}"
expect_code 7
expect_err "--set data:1:24: "
without_device train "$recipes/synthetic_tiny.yaml" -s network.5.out=2 -o "$work/none"
expect_code 3
expect_err "the network has 2 outputs, but the data set synthetic has 4 classes"
run train "$recipes/synthetic_tiny.yaml" -s data.path="$work"
expect_code 3
expect_err '"path" is about data sets of files'

# ---- with a device ----
need_device
run train "$recipes/synthetic_tiny.yaml" -o "$work/none" --device "no such device"
expect_code 4
expect_err 'no device fits "no such device"'
[ ! -e "$work/none" ] || fail "a folder was made for a run that could not start"

on_idx whole
expect_code 0
for command in eval draw; do
    without_device $command "$work/idx-whole" -s data="{name: idx, path: $work/no_test, classes: 4}"
    expect_code 7
    expect_err "no test split in $work/no_test"
done
on_idx gzip
expect_code 0
cp -r "$work/whole" "$work/shapes"
{ header 2051 40 14 28; head -c $((40 * 392)) /dev/zero; } >"$work/shapes/t10k-images-idx3-ubyte"
on_idx shapes
expect_code 7
expect_err "training samples are 0x1x28x28 and test samples 0x1x14x28"
printf '\1\2\3' | dd of="$work/shapes/train-labels-idx1-ubyte" bs=1 seek=8 conv=notrunc 2>/dev/null
on_idx shapes
expect_err "3 of 4 classes have no test sample: 1, 2, 3"
# A mini-batch of the test data is no larger than they are; one that is too large is refused with its key.
for size in 128 1048576; do
    run train "$recipes/synthetic_tiny.yaml" -s epochs=1 -s eval_batch=$size -o "$work/eval$size"
    expect_code 0
    grep -o '[0-9]* bytes planned' "$work/err" >"$work/planned$size"
done
cmp -s "$work/planned128" "$work/planned1048576" || fail "memory for more test samples than there are"
run eval "$work/eval128" -s batch=1048576 -s eval_batch=1048576
expect_code 0
run train "$recipes/synthetic_tiny.yaml" -s eval_batch=1048576 -s data.count=10000000 -s data.test_limit=0 -s data.height=1024 \
    -s data.width=1024 -o "$work/none"
expect_code 4
expect_err "evaluation, whose mini-batch is eval_batch: "
# Shares of a mini-batch, too, need more than one value for a batch norm.
run train "$recipes/synthetic_tiny.yaml" -s batch=2 --device 0,0 -o "$work/none" \
    -s network="[{type: flatten}, {type: linear, out: 4}, {type: batch_norm}, {type: lif}, {type: linear, out: 4}]"
expect_code 3
expect_err "batch norm needs more than one value per channel"
expect_err "batch 1 on this device"
run train "$recipes/synthetic_tiny.yaml" -s optimizer.lr=1e-999
expect_code 3
expect_err '--set optimizer.lr:1:14: "lr" is 1e-999'
run train "$recipes/synthetic_tiny.yaml" -s network="[{type: flatten}, {type: linear, out: 16777216}, {type: lif}, {type: linear, out: 16777216}, {type: lif}, {type: linear, out: 4}]" -o "$work/none"
expect_code 4
expect_err "only a network of fewer layers or channels makes smaller"

# without neurons nothing fires, and nothing is said of it
run train "$recipes/synthetic_tiny.yaml" --out "$work/silent" -s epochs=1 -s network="[{type: flatten}, {type: linear, out: 4}]"
expect_code 0
expect_err "epoch 1/1"
! grep -q firing "$work/err" || fail "neurons fire that are not there"

run train "$recipes/synthetic_tiny.yaml" --out "$work/deep/run" -s epochs=1
expect_code 0
expect_err ", firing 0."
expect_silent out
expect_err "device: "
expect_err "synthetic, tiny: sltt, T = 3, batch 32, 1 epochs, seed 7"
expect_err "684 parameters, 512 neurons a sample"
expect_err "test accuracy"
planned=$(sed -n 's/^device memory: \([0-9]*\) bytes planned, .*/\1/p' "$work/err")
peak=$(sed -n 's/^device memory: .* planned, \([0-9]*\) bytes at the peak/\1/p' "$work/err")
[ -n "$planned" ] && [ "$planned" = "$peak" ] || fail "planned \"$planned\" bytes, \"$peak\" at the peak"
for file in metrics.jsonl metrics.csv curves.png checkpoint.safetensors best.safetensors recipe.yaml; do
    [ -s "$work/deep/run/$file" ] || fail "$file was not written"
done
[ "$(wc -l <"$work/deep/run/metrics.jsonl")" -eq "$(grep -c '^{"event":".*}$' "$work/deep/run/metrics.jsonl")" ] ||
    fail "a line of metrics.jsonl is not an object"
[ "$(grep -c '^batch,\|^epoch,' "$work/deep/run/metrics.csv")" -eq "$(grep -c '"event":"\(batch\|epoch\)"' "$work/deep/run/metrics.jsonl")" ] &&
    awk -F, 'NF != 14 { exit 1 }' "$work/deep/run/metrics.csv" || fail "metrics.csv has not a row of 14 for each line"
head -c 8 "$work/deep/run/curves.png" | grep -q PNG || fail "curves.png is no PNG"
run train "$work/deep/run/recipe.yaml" --print-recipe
expect_code 0
tail -n +2 "$work/deep/run/recipe.yaml" | cmp -s "$work/out" - || fail "recipe.yaml is not what --print-recipe prints"
run train --resume "$work/deep/run" --print-recipe
expect_code 0
tail -n +2 "$work/deep/run/recipe.yaml" | cmp -s "$work/out" - || fail "the checkpoint's recipe is another"

run train "$recipes/synthetic_tiny.yaml" -o "$work/json" -s epochs=1 --json
expect_code 0
for event in start batch epoch end; do
    expect_out "{\"event\":\"$event\","
done
[ "$(wc -l <"$work/out")" -eq "$(grep -c '^{"event":".*}$' "$work/out")" ] || fail "a line is not an object"

run train "$recipes/synthetic_tiny.yaml" -o "$work/profile" -s epochs=1 -s test_limit=8 --profile
expect_code 3
expect_err 'unknown key "test_limit"'
run train "$recipes/synthetic_tiny.yaml" -o "$work/profile" -s epochs=1 --profile --sync
expect_code 0
expect_err "conv.forward"

run train "$recipes/synthetic_tiny.yaml" -o "$work/none" -s batch=1000
expect_code 3
expect_err "batch is 1000, but there are only 512 training samples"
run train "$recipes/synthetic_tiny.yaml" -o "$work/none" -s network.5.out=3
expect_code 3
expect_err "the network has 3 outputs, but the data set synthetic has 4 classes"
run train "$recipes/synthetic_tiny.yaml" -o "$work/none" --plugin conv.forward=nothing
expect_code 2
expect_err 'no variant of "conv.forward" is called "nothing"'
run train "$recipes/synthetic_tiny.yaml" -o "$work/none" -s neuron.surrogate=triangel
expect_code 3
expect_err 'there is no surrogate "triangel"; did you mean "triangle"?; known: '
expect_err "$recipes/synthetic_tiny.yaml:"

run eval "$work/deep/run"
expect_code 0
expect_out "checkpoint.safetensors: synthetic, 128 samples: accuracy "
run eval "$work/deep/run/best.safetensors" --json --device 0
expect_code 0
expect_out '"samples":128,'
[ "$(wc -l <"$work/out")" -eq 1 ] || fail "one line was expected"

run curves one="$work/deep/run" "$work/json" -o "$work/both.png" --title "two runs"
expect_code 0
[ "$(head -c 4 "$work/both.png" | tail -c 3)" = PNG ] || fail "both.png is no PNG"
run curves "$work/nothing" -o "$work/none.png"
expect_code 1
expect_err "nothing/metrics.jsonl: cannot be opened: No such file"
[ ! -e "$work/none.png" ] || fail "a picture of nothing"
run curves --help
[ "$(tr -s '\n ' '  ' <"$work/out" | grep -c "default curves.png in the current folder")" -eq 1 ] || fail "where the picture goes is not said"
run curves 1 2 3 4 5 6 7
expect_code 2
