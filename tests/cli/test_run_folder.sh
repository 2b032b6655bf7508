# The life of a run: one run a folder, one process a folder; what is said and written when it stops and goes on.
. "$(dirname "$0")/support.sh"
recipe=$(cd "$(dirname "$0")/../../recipes" && pwd)/synthetic_tiny.yaml
need_device
cd "$work" || exit 1

# Metrics without what depends on the clock.
lines() {
    sed -E 's/"(samples_per_second|seconds|cpu_seconds|test_seconds|peak_bytes)":[^,}]*,?//g' "$1/metrics.jsonl"
}

# ---- a run is never replaced unasked ----
run train "$recipe" --out run -s epochs=1
expect_code 0
cp run/checkpoint.safetensors first
run train "$recipe" --out run -s seed=99 -s epochs=1
expect_code 2
for way in "--resume run" --overwrite "another folder with --out"; do expect_err "$way"; done
cmp -s first run/checkpoint.safetensors || fail "the first run was changed"
run train "$recipe" --out run -s seed=99 -s epochs=1 --overwrite --max-iterations 1
expect_code 130
cmp -s first run/checkpoint.safetensors.old || fail "the first run is not kept beside the new one"
cp run/checkpoint.safetensors second
run train "$recipe" --out run -s seed=98 -s epochs=1 --overwrite --max-iterations 1
cmp -s first run/checkpoint.safetensors.old || fail "a second --overwrite replaced the first run"
cmp -s second run/checkpoint.safetensors.old-2 || fail "the second run is not kept"
mkdir killed && cp run/*.old* killed # as a kill directly behind --overwrite leaves it
for command in "train --resume killed" "eval killed"; do
    run $command
    expect_code 1
    expect_err "killed/checkpoint.safetensors.old-2, or the older killed/checkpoint.safetensors.old"
done
run train --resume run --overwrite
expect_code 2
run train --resume first.safetensors --out run
expect_code 1
cp first.safetensors other.safetensors 2>/dev/null || cp first other.safetensors
run train --resume other.safetensors --out run
expect_code 2
run train "$recipe" -s epochs=1 --max-iterations 1
expect_code 130
run train "$recipe" -s epochs=1 --max-iterations 1
expect_code 130
[ -f runs/synthetic_tiny-2/checkpoint.safetensors ] || fail "the default folder has no number"

# Where the first file of the new run cannot be written, as on a full disk, the old run stays in its place.
run train "$recipe" --out full -s epochs=1 --max-iterations 1
expect_code 130
cp full/checkpoint.safetensors first
mkdir full/recipe.yaml.new
run train "$recipe" --out full -s epochs=1 --overwrite
expect_code 1
cmp -s first full/checkpoint.safetensors || fail "the old run was moved away although the new one did not begin"

# A recipe of the user's is not a run's.
mkdir mine && cp "$recipe" mine/recipe.yaml
for flag in "" --overwrite; do
    run train mine/recipe.yaml --out mine $flag
    expect_code 2
    cmp -s "$recipe" mine/recipe.yaml || fail "the user's recipe was replaced"
done

# ---- one process a folder, until it dies ----
"$program" train "$recipe" --out alive -s data.count=16000 -s data.train_limit=16000 -s epochs=50 -s checkpoint_every=5 \
    >/dev/null 2>&1 &
pid=$!
tries=0
while [ ! -f alive/checkpoint.safetensors ] && [ $tries -lt 600 ]; do sleep 0.1; tries=$((tries + 1)); done
for start in "$recipe --out alive" "$recipe --out alive --overwrite" "--resume alive"; do
    run train $start
    expect_code 2
    expect_err "going on"
done
kill -9 $pid
wait $pid 2>/dev/null
run train --resume alive --max-iterations 1
expect_code 130

# ---- edits of recipe.yaml are not undone without a word ----
run train "$recipe" --out edited --max-iterations 1
expect_code 130
sed 's/ lr: 0.1/ lr: 0.5/' edited/recipe.yaml >changed && mv changed edited/recipe.yaml
run train --resume edited --max-iterations 1
expect_code 130
expect_err "optimizer.lr is 0.5"
expect_err "--set optimizer.lr=0.5"
run train --resume edited --max-iterations 1
grep -q "there, but" "$work/err" && fail "a warning about a recipe that nobody edited"

# ---- another batch goes on at the same sample ----
run train "$recipe" --out batch -s log_every=1 --max-iterations 5
expect_code 130
run train --resume batch -s batch=64
expect_code 3
expect_err "160 samples"
run train --resume batch -s batch=16 --max-iterations 1
expect_code 130
grep -q "use --set batch" "$work/err" && fail "a warning of what --set says itself"
grep -q '"iteration":6,"epoch":1,"batch":11,' batch/metrics.jsonl || fail "the run went on at another sample"

# ---- the metrics of a run that was stopped are those of one that was not ----
run train "$recipe" --out whole
expect_code 0
run train "$recipe" --out parts --max-iterations 5
expect_code 130
run train --resume parts --max-iterations 9
expect_code 130
run train --resume parts
expect_code 0
lines whole >a
lines parts >b
cmp a b || fail "the metrics differ"
run diff whole parts
expect_code 0

# ---- padding is not counted ----
for size in 33 32 128 1000; do
    run train "$recipe" --out "eval$size" -s epochs=1 -s data.test_limit=33 -s eval_batch=$size
    expect_code 0
    grep '"event":"epoch"' "eval$size/metrics.jsonl" | grep -o '"spike_rate.*' >"rates$size"
    cmp rates33 "rates$size" || fail "the firing rate depends on eval_batch"
done

# ---- the data are those of the checkpoint ----
run data preview "$recipe" -o sheet.png
expect_code 0
for split in train val; do
    for class in ant bee cow; do
        mkdir -p pictures/$split/$class
        for k in 1 2 3 4; do cp sheet.png pictures/$split/$class/$k.png; done
    done
done
network="[{type: conv, out: 4, kernel: 3, stride: 2}, {type: lif}, {type: flatten}, {type: linear, out: 3}]"
sed '/^network/,/^  - {type: linear/d; /^data/d' "$recipe" >pictures.yaml
printf 'data: {name: images, path: %s/pictures, size: 16}\nnetwork: %s\n' "$work" "$network" >>pictures.yaml
run train pictures.yaml --out named -s batch=4 --max-iterations 2
expect_code 130
run eval named
expect_code 0
run train --resume named --max-iterations 1
grep -q "are not those of this run" "$work/err" && fail "the same data are called others"
for change in "bee bat" "bee zebra"; do # another name; another order
    for split in train val; do mv pictures/$split/${change% *} pictures/$split/${change#* }; done
    for command in "eval named" "train --resume named --max-iterations 1"; do
        run $command
        expect_code 7
        expect_err "the checkpoint has ant, bee, cow (3 classes); the data have ant, "
    done
    for split in train val; do mv pictures/$split/${change#* } pictures/$split/${change% *}; done
done
for split in train val; do cp -r pictures/$split/cow pictures/$split/dog; done
run train --resume named --max-iterations 1
expect_code 7
expect_err "ant, bee, cow, dog (4 classes)"
rm -r pictures/train/dog pictures/val/dog
run train "$recipe" --out replaced --max-iterations 1
expect_code 130
run train --resume replaced -s data.mean=0.1 --max-iterations 1
expect_code 130
expect_err "training data, or how they are read, are not those of this run"

# Class folders of event data are the checkpoint's too.
for class in left right; do
    mkdir -p events/$class
    for k in 1 2 3 4; do
        { printf '#!AER-DAT2.0\r\n'; for x in 1 2 3 4 5 6; do printf "\\0\\0\\$k\\$x\\0\\0\\$x\\0"; done; } >events/$class/$k.aedat
    done
done
sed '/^network/,/^  - {type: linear/d; /^data/d' "$recipe" >events.yaml
printf 'data: {name: aedat-folder, path: %s/events, size: 16, events: {split: 0.5}}\nnetwork: %s\n' "$work" \
    "[{type: flatten}, {type: linear, out: 8}, {type: lif}, {type: linear, out: 2}]" >>events.yaml
run train events.yaml --out recorded -s batch=2 --max-iterations 1
expect_code 130
run eval recorded
expect_code 0
mv events/right events/straight
for command in "eval recorded" "train --resume recorded"; do
    run $command
    expect_code 7
    expect_err "the checkpoint has left, right (2 classes); the data have left, straight (2 classes)"
done

# ---- inside an epoch the samples and their order stay; between two epochs they may change ----
for set in data.train_limit=256 data.count=600 seed=8 data.noise=true data.classes=3; do
    run train --resume replaced -s $set --max-iterations 1
    expect_code 3
    expect_err "${set%=*} cannot change after"
done
run train "$recipe" --out between -s epochs=2
expect_code 0
run train --resume between -s epochs=3 -s seed=8 -s data.train_limit=256
expect_code 0
rm pictures/train/cow/4.png
run train --resume named --max-iterations 1
expect_code 7
expect_err "there were 12 training samples, now there are 11"

# ---- what a run is continued or scored with is what it was trained with ----
for set in optimizer.ema=0.5 optimizer.name=adam; do
    run train --resume between -s epochs=4 -s $set
    expect_code 3
    expect_err "between/checkpoint.safetensors: ${set%=*}"
    expect_err "cannot change in a run that goes on"
done
run eval between -s data.classes=3
expect_code 7
expect_err "was trained on 4 classes, but the data set synthetic has 3"
sed 's/"classes":"\[\]"/"classes":"[}"/' between/checkpoint.safetensors >torn.safetensors
run eval torn.safetensors
expect_code 7
expect_err '"classes" in its metadata'
run train "$recipe" --out fewer -s data.classes=3 -s loss.class_weights=[0,0,0,1] --max-iterations 1
expect_code 3
expect_err "class_weights is 0 for every class"
run train "$recipe" --out fewer -s data.classes=3 --max-iterations 1
expect_code 130
expect_err "outputs from number 3 on never get a label"
run train "$work"
expect_code 3

# ---- no fewer epochs than are done ----
run train --resume between -s epochs=2
expect_code 3
expect_err "epochs is 2, but 3 of them are done"
run train --resume between
expect_code 0
expect_err "all 3 epochs are done"
run train "$recipe" --out begun --max-iterations 17
expect_code 130
run train --resume begun -s epochs=1
expect_code 3
expect_err "1 of them are done and the next one is begun"

# ---- what is chosen for the user is said ----
run train "$recipe" --out left -s data.train_limit=500 --max-iterations 1
expect_err "20 of 500 training samples"
run train "$recipe" --out silent -s epochs=1 -s neuron.v_th=1000
expect_err "no neuron of layer"
exit 0
