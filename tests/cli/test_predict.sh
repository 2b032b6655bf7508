# spikeport predict, export and eval's classes: from a trained run to files of a person's own and back to a state_dict.
. "$(dirname "$0")/support.sh"
tiny=$(cd "$(dirname "$0")/../../recipes" && pwd)/synthetic_tiny.yaml

bytes() { # NUMBER...: one byte each
    for byte; do printf "\\$(printf %o "$byte")"; done
}
npy() { # DTYPE SHAPE BYTES: an array of zero bits
    head=$(printf "%-117s" "{'descr': '$1', 'fortran_order': False, 'shape': ($2), }")
    printf '\223NUMPY\001\000'
    bytes 118 0
    printf '%s\n' "$head"
    head -c "$3" /dev/zero
}

# ---- without a device ----
run predict
expect_code 2
run predict "$work/none" a.png
expect_code 1
run predict "$work/none" a.png --confidence 2
expect_code 2
run predict "$work/none" a.png --record 2
expect_code 2
expect_err "--record-to"
run predict "$tiny" a.png
expect_code 2
expect_err "--weights"
run export "$tiny"
expect_code 2
for version in 'PK\003\004aaaaaaaaaa' '\200\002\212\012lyyyyyyyyy'; do
    printf "$version" >"$work/w.pth"
    run eval "$tiny" --weights "$work/w.pth"
    expect_code 7
    expect_err "import torch, safetensors.torch"
    expect_err "torch.load(\"$work/w.pth\", map_location=\"cpu\", weights_only=True)"
done

need_device
run train "$tiny" -o "$work/run"
expect_code 0
mkdir "$work/data" "$work/data/inner"
npy '<f4' '2, 8, 8' 512 >"$work/data/a.npy"
npy '<f4' '3, 2, 8, 8' 1536 >"$work/data/inner/b.npy"
mv "$work/run/recipe.yaml" "$work/recipe.moved" # from the checkpoint alone

run predict "$work/run" "$work/data" --top-k 2
expect_code 0
expect_err "4 inputs in "
[ "$(wc -l <"$work/out")" -eq 9 ] || fail "a head, and two lines for each of four samples"
expect_out 'input,rank,class,name,probability,steps'
expect_out "\"$work/data/inner/b.npy[2]\",2,"

# A folder that a link leads back to, and a name that is empty, are told as what they are.
ln -s . "$work/data/again"
run predict "$work/run" "$work/data"
expect_code 7
expect_err "is there a link to a folder above?"
rm "$work/data/again"
run predict "" "$work/data/a.npy"
expect_code 1
expect_err "the name of a file is empty"

# A damaged file and one of another shape are said, the others go on, and the exit code tells it.
npy '<f4' '2, 8, 8' 511 >"$work/cut.npy"
npy '<f4' '3, 8, 8' 768 >"$work/shape.npy"
printf '%s\n' "$work/cut.npy" "$work/data/a.npy" "$work/shape.npy" >"$work/list"
called="predict run - <list"
code=0
"$program" predict "$work/run" - --json <"$work/list" >"$work/out" 2>"$work/err" || code=$?
expect_code 7
expect_err "$work/cut.npy: byte 128: 511 bytes of data"
expect_err "$work/shape.npy: an array of shape (3,8,8), but a sample is (2,8,8)"
expect_err "2 of 3 inputs could not be read"
[ "$(grep -c '"error"' "$work/out")" -eq 2 ] || fail "two lines with errors"
[ "$(grep -c '"logits"' "$work/out")" -eq 1 ] || fail "one prediction"

run predict "$work/run" "$work/data/a.npy" --record 2,logits --record-to "$work/recorded"
expect_code 0
[ -s "$work/recorded/2.npy" ] && [ -s "$work/recorded/logits.npy" ] || fail "two arrays"
run predict "$work/run" "$work/data/a.npy" --confidence 0.26 --json
expect_code 0
expect_out '"steps":1'

# ---- eval: by class ----
run eval "$work/run"
expect_code 0
expect_out "confusion matrix"
run eval "$work/run" --json
expect_code 0
expect_out '"confusion":[['
expect_out '"classes":[{"class":0,'
mv "$work/out" "$work/evaluated"

# ---- weights out and in again: the same bits, and the same evaluation ----
run export "$work/run" "$work/a.safetensors"
expect_code 0
expect_out "8 tensors"
run export "$tiny" "$work/b.safetensors" --weights "$work/a.safetensors"
expect_code 0
cmp "$work/a.safetensors" "$work/b.safetensors" || fail "other bits"
printf '{"0": features.conv, "": model}\n' >"$work/names.yaml"
run export "$work/run" "$work/c.safetensors" --names "$work/names.yaml"
expect_code 0
grep -q '"features.conv.weight"' "$work/c.safetensors" && grep -q '"model.1.running_var"' "$work/c.safetensors" ||
    fail "the names of the map"
run eval "$tiny" --weights "$work/c.safetensors"
expect_code 7
expect_err "tensor \"0.weight\" of the network is missing"
run eval "$tiny" --weights "$work/c.safetensors" --map "$work/names.yaml" --json
expect_code 0
for key in accuracy loss; do
    value=$(grep -o "\"$key\":[0-9.e-]*" "$work/evaluated" | head -1)
    expect_out "$value"
done
run predict "$tiny" "$work/data/a.npy" --weights "$work/c.safetensors" --map "$work/names.yaml"
expect_code 0
printf '{"0": features.conv, "7.bias": x}\n' >"$work/wrong.yaml"
run eval "$tiny" --weights "$work/c.safetensors" --map "$work/wrong.yaml"
expect_code 3
expect_err "$work/wrong.yaml:1:"
printf '{"0": features.conv}\n' >"$work/part.yaml"
run eval "$tiny" --weights "$work/c.safetensors" --map "$work/part.yaml" --lenient
expect_code 0
expect_err "6 of 8 parameters are missing, 6 tensors are left out"
run train "$tiny" -o "$work/again" --set epochs=1 --set init_from="$work/c.safetensors" --set init_map="$work/part.yaml" --set init_strict=false
expect_code 0
run train "$tiny" -o "$work/wrong" --set init_map="$work/part.yaml"
expect_code 3
expect_err "init_from"
run eval "$work/run" --weights "$work/a.safetensors"
expect_code 2

# ---- a network file in the place of a recipe ----
{ echo layers:; grep '^  - {' "$tiny"; } >"$work/net.yaml"
run eval "$work/net.yaml" --weights "$work/a.safetensors"
expect_code 3
expect_err "$work/net.yaml is a network alone"
set -- -s data.name=synthetic -s data.classes=4 -s data.channels=2 -s data.height=8 -s data.width=8 -s data.count=512 \
    -s schedule.time_steps=3 -s eval_batch=32
run eval "$work/net.yaml" --weights "$work/a.safetensors" "$@" -s data.test_limit=128 -s seed=7 --json
expect_code 0
value=$(grep -o '"loss":[0-9.e-]*' "$work/evaluated" | head -1)
expect_out "$value"
run predict "$work/net.yaml" "$work/data/a.npy" --weights "$work/a.safetensors" "$@"
expect_code 0

# Without a data set arrays say themselves what samples are, and how many time steps there are.
npy '<f4' '3, 2, 8, 8' 1536 >"$work/four.npy"
run predict "$work/net.yaml" "$work/four.npy" --weights "$work/a.safetensors"
expect_code 3
expect_err "data.arrays.axes"
run predict "$work/net.yaml" "$work/four.npy" --weights "$work/a.safetensors" -s data.arrays.axes=NCHW -s schedule.time_steps=3 -v
expect_code 0
expect_err "is a network alone: --set data.name=arrays is taken for $work/four.npy"
expect_err "samples of 2x8x8 (channels x height x width), 3 time steps"
[ "$(wc -l <"$work/out")" = 4 ] || fail "$(cat "$work/out")"
printf '[{type: linear, out: 8}, {type: lif}, {type: linear, out: 3}]\n' >"$work/dense.yaml"
npy '<f4' '2, 6, 7' 336 >"$work/dense.npy"
printf '{"0.bias": 0.bias, "": none}\n' >"$work/none.yaml"
run predict "$work/dense.yaml" "$work/dense.npy" --weights "$work/a.safetensors" --map "$work/none.yaml" --lenient -v
expect_code 0
expect_err "samples of 7x1x1 (channels x height x width) at each time step, 6 time steps"
expect_out "dense.npy[1]"
# Pictures too: their set needs no folder of pictures for that.
printf '[{type: conv, out: 8, kernel: 3}, {type: lif}, {type: flatten}, {type: linear, out: 3}]\n' >"$work/pictures.yaml"
cp "$(dirname "$0")/../fuzz/seeds/png/grey.png" "$work/grey.png"
run predict "$work/pictures.yaml" "$work/grey.png" --weights "$work/a.safetensors" --map "$work/none.yaml" --lenient -s data.size=8 -s schedule.time_steps=2
expect_code 0
expect_out "grey.png"

# ---- what is there already: only a file of the command's own kind is replaced, and never an input ----
npy '<f4' '2, 8, 8' 512 >"$work/2.npy"
keep=$work/run/checkpoint.safetensors
for words in "export $work/run $keep" "export $work/run $work/recipe.moved" "curves $work/run -o $keep" \
    "predict $work/run $work/data/a.npy --record 2 --record-to $keep" "nir export $work/run $keep" \
    "predict $work/run $work/2.npy --record 2 --record-to $work" "tune --export $keep" \
    "train $tiny -o $work/traced --trace $keep" "bench $tiny --trace $keep" "bench $tiny --save-input $keep" \
    "diff --recipe $tiny --device 0 --record $keep" "export $tiny $work/a.safetensors --weights $work/a.safetensors" \
    "data preview $tiny -o $keep"; do
    cp "$keep" "$work/kept"
    run $words
    expect_code 2
    cmp "$keep" "$work/kept" || fail "the checkpoint was replaced"
    expect_silent out
done
run export "$work/run" "$work/a.safetensors"
expect_code 0
run predict "$work/run" "$work/data/a.npy" --record 2 --record-to "$work/recorded"
expect_code 0
run predict "$work/run" "$work/data/a.npy" --record 2 --record-to "$work/none/r.safetensors"
expect_code 1
expect_silent out

# ---- keys of --set that the command does not look at ----
for words in "predict $work/run $work/data/a.npy -s data.size=8" "predict $work/run $work/data/a.npy -s data.test_limit=1" \
    "predict $work/run $work/data/a.npy -s optimizer.lr=1" "predict $work/run $work/data/a.npy -s init_from=$work/a.safetensors" \
    "eval $work/run -s optimizer.lr=1" "eval $work/run -s epochs=3" "eval $work/run -s early_stopping.patience=1" \
    "eval $work/run -s data.train_limit=4" "export $work/run $work/d.safetensors -s data.test_limit=4" \
    "train --resume $work/run -s init_from=$work/a.safetensors" "data inspect $tiny -s epochs=2"; do
    run $words
    expect_code 3
    expect_err "would have no effect on"
done
run eval "$work/run" -s data.test_limit=8 -s eval_batch=4 -s schedule.time_steps=2
expect_code 0

# ---- lists and maps ----
code=0
find "$work/data" -name '*.npy' -print0 | "$program" predict "$work/run" - >"$work/out" 2>"$work/err" || code=$?
expect_code 2
expect_err "-print0"
code=0
"$program" predict "$work/run" - <"$work" >"$work/out" 2>"$work/err" || code=$?
expect_code 1
run predict "$work/run" "$work/cut.npy"
expect_code 7
expect_err "nothing is predicted"
printf '{"0.weight": x,\n "0.bias": x}\n' >"$work/same.yaml"
printf '{"0.weight": ""}\n' >"$work/empty.yaml"
for map in same empty; do
    run export "$work/run" "$work/e.safetensors" --names "$work/$map.yaml"
    expect_code 3
    expect_err "$work/$map.yaml:1:"
done

# ---- names with any bytes: escaped in every output, and no two become one ----
mkdir "$work/names"
for name in 'n\nl' 'bad\377' 'bad\376' 'bad\\xff' 'turn\342\200\256' '=cmd()'; do
    cp "$work/data/a.npy" "$work/names/$(printf "$name").npy"
done
cd "$work/names"
run predict "$work/run" ./* --json
expect_code 0
expect_out '"./bad\\xff.npy"'
expect_out '"./bad\\xfe.npy"'
expect_out '"./bad\\x5cxff.npy"'
[ "$(grep -o '"input":"[^"]*"' "$work/out" | sort -u | wc -l)" -eq 6 ] || fail "six names"
run predict "$work/run" *
expect_code 0
expect_out "\"'=cmd().npy\","
expect_out '"n\x0al.npy",'
expect_out '"turn\xe2\x80\xae.npy",'
[ "$(wc -l <"$work/out")" -eq 7 ] || fail "a head and six lines"
printf x >"$(printf 'a\nb\377').npy"
run predict "$work/run" a*
expect_code 7
expect_err 'a\x0ab\xff.npy: '
