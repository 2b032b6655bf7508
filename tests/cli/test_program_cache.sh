# The disk cache of compiled programs, forced on (PoCL keeps its own, so it is off there otherwise), as processes of the
# program: four that start together with an empty cache; damaged entries; a folder that cannot be written.
. "$(dirname "$0")/support.sh"
need_device
export SPIKEPORT_PROGRAM_CACHE=on
unset SPIKEPORT_REFUSE_SOURCES
cat >"$work/recipe.yaml" <<'EOF'
name: program cache
data: {name: synthetic, classes: 4, channels: 2, height: 4, width: 4, count: 16, train_limit: 16, test_limit: 8}
network: [{type: flatten}, {type: linear, out: 8}, {type: lif}, {type: linear, out: 4}]
schedule: {method: sltt, time_steps: 2}
optimizer: {name: sgd, lr: 0.1}
batch: 8
epochs: 1
seed: 7
EOF
weights() { # the tensors without the header, which holds times and places
    n=$(od -An -tu8 -N8 "$1/checkpoint.safetensors" | tr -d ' ')
    tail -c +$((n + 9)) "$1/checkpoint.safetensors" | cksum
}
train() { # FOLDER, and whatever stands before it in the environment
    run train "$work/recipe.yaml" -o "$work/$1"
    expect_code 0
}
same() {
    [ "$(weights "$work/$1")" = "$(weights "$work/first")" ] || fail "$1: other weights than without the cache"
}
from_cache_alone() {
    export SPIKEPORT_REFUSE_SOURCES=1
    train "$1"
    unset SPIKEPORT_REFUSE_SOURCES
    same "$1"
}
SPIKEPORT_PROGRAM_CACHE=off
train first
SPIKEPORT_PROGRAM_CACHE=on
export SPIKEPORT_CACHE_DIR="$work/warm" # one alone first, so that PoCL's own cache, which all share, is only read after it
train warm
same warm

# Four at once.
SPIKEPORT_CACHE_DIR=$work/cache
children=
for i in 1 2 3 4; do
    "$program" train "$work/recipe.yaml" -o "$work/four$i" >"$work/out$i" 2>"$work/err$i" </dev/null &
    children="$children $!"
done
i=0
for child in $children; do
    i=$((i + 1))
    code=0
    wait "$child" || code=$?
    cp "$work/out$i" "$work/out"
    cp "$work/err$i" "$work/err"
    called="train, process $i of four"
    expect_code 0
    grep "warning" "$work/err" | grep -qv "no neuron of layer" && fail "a warning"
    same "four$i"
done
entries=$(ls "$work/cache/programs" | wc -l)
[ "$entries" -gt 5 ] || fail "$entries programs were kept"
ls -A "$work/cache/programs" | grep -qv '^[0-9a-f]*$' && fail "a temporary file was left"
from_cache_alone after_four

# Every entry damaged: a bit in the middle, cut off, empty, something else.
k=0
for file in "$work/cache/programs"/*; do
    size=$(wc -c <"$file")
    case $((k % 4)) in
    0) { head -c $((size / 2)) "$file"; printf '?'; tail -c +$((size / 2 + 2)) "$file"; } >"$work/bad" ;;
    1) head -c $((size - 1)) "$file" >"$work/bad" ;;
    2) : >"$work/bad" ;;
    3) echo "not a program" >"$work/bad" ;;
    esac
    cat "$work/bad" >"$file"
    k=$((k + 1))
done
export SPIKEPORT_REFUSE_SOURCES=1
run train "$work/recipe.yaml" -o "$work/none"
expect_code 5
expect_err "SPIKEPORT_REFUSE_SOURCES=1 forbids it"
unset SPIKEPORT_REFUSE_SOURCES
train damaged
same damaged
from_cache_alone mended

# A folder that cannot be written: one warning, and the run goes on. Nothing stops root but a file in the folder's place.
readonly=$work/readonly
mkdir "$readonly"
chmod 555 "$readonly"
[ -w "$readonly" ] && : >"$readonly/programs"
SPIKEPORT_CACHE_DIR=$readonly
train read_only
same read_only
expect_err "compiled programs are not kept"
[ "$(grep -c "compiled programs are not kept" "$work/err")" -eq 1 ] || fail "the warning comes more than once"
