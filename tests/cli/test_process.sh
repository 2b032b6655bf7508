# The program as a process: closed streams, --quiet, signals, lists of devices, texts that would steer a terminal.
. "$(dirname "$0")/support.sh"
need_device
recipe=$(dirname "$0")/../../recipes/synthetic_tiny.yaml
escape=$(printf '\033')

# A closed stream is the null device: no file gets its text, and a result that cannot be written is an error.
"$program" train "$recipe" --set epochs=1 --out "$work/closed" 2>&- </dev/null
grep -v '^{' "$work/closed/metrics.jsonl" && fail "metrics.jsonl has lines that are not JSON"
called="devices >&-" code=0
"$program" devices >&- 2>"$work/err" || code=$?
expect_code 1

# --quiet
run train "$recipe" --set epochs=1 --out "$work/quiet" -q
expect_code 0
expect_silent err
for command in "eval $work/quiet" "plan $recipe" "visualise $work/quiet --out $work/pictures" \
    "bench $recipe --iterations 1" "train $recipe --set epochs=1 --out $work/profile --profile --trace $work/trace"; do
    run $command -q
    expect_code 0
    expect_silent err
done
called="tune -q" code=0 # in a cache of its own: later tests of the queue compare runs on devices with and without wisdom
SPIKEPORT_CACHE_DIR="$work/tuned" "$program" tune "$recipe" --budget 1 -q >"$work/out" 2>"$work/err" </dev/null || code=$?
expect_code 0
expect_silent err

# Help fits the terminal.
for command in "" devices train tune plan eval bench draw visualise diff data plugins compile reproduce similarity verify network curves; do
    run $command --help
    expect_code 0
    awk 'length > 80 { exit 1 }' "$work/out" || fail "a line of help is longer than 80 columns"
    called="$command --help with COLUMNS=60"
    COLUMNS=60 "$program" ${command:-devices} --help | awk 'length > 60 && / [^ ]+ [^ ]+ [^ ]+$/ { exit 1 }' || fail "a line is too long"
done

# bench suite and diff
run bench suite --only nosuch --out "$work/a/b"
expect_code 2
expect_err "conv.forward"
run bench suite --level 0 --small --out "$work/a/b" --device 0
expect_code 2
run bench suite --level 0 --small --out "$work/a/b" --devices 0
expect_code 0
run bench diff "$work/a/b" "$work/a/b/records.jsonl"
expect_code 0

# lists of devices
seventeen=0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0
for list in , 0, ,0 0,,0 $seventeen; do
    run train "$recipe" --device "$list" --out "$work/list"
    expect_code 2
    expect_err --device
    run bench suite --devices "$list" --out "$work/list"
    expect_code 2
done

# Signals that end a session or a pipe save like Ctrl-C; nohup keeps its word.
for signal in HUP PIPE TERM; do
    rm -rf "$work/signal"
    "$program" train "$recipe" --set data.count=16000 --set data.train_limit=16000 --set epochs=9 --out "$work/signal" \
        >/dev/null 2>&1 </dev/null &
    pid=$!
    for _ in $(seq 600); do
        sleep 0.1
        [ "$(cat "$work/signal/metrics.jsonl" 2>/dev/null | wc -l)" -gt 3 ] && break
    done
    kill -$signal $pid
    called="train, SIG$signal" code=0
    wait $pid || code=$?
    expect_code 130
    [ -f "$work/signal/checkpoint.safetensors" ] || fail "no checkpoint"
done

# The reader of the pipe goes: the run is saved, although more lines follow.
"$program" train "$recipe" --set data.count=16000 --set data.train_limit=16000 --set epochs=9 --json \
    --out "$work/pipe" 2>/dev/null </dev/null | head -n 2 >/dev/null
[ -f "$work/pipe/checkpoint.safetensors" ] || fail "no checkpoint when the reader of the pipe goes"

# A too large file is an error of write, in every command.
called="network resnet18 with ulimit -f" code=0
(ulimit -f 1 && exec "$program" network resnet18) >"$work/out" 2>/dev/null || code=$?
expect_code 1

# What is not a regular file is refused, never waited for; a pipe that the shell hands over is read.
mkfifo "$work/fifo"
mkdir "$work/piped" "$work/plugins_fifo"
cp "$work/quiet/checkpoint.safetensors" "$work/piped"
ln -s "$work/fifo" "$work/piped/recipe.yaml"
ln -s "$work/fifo" "$work/plugins_fifo/part.clh"
printf '//@ plugin:   piped 1.0.0\n//@ abi:      1\n//@ fragment: surrogate piped\n//@ include:  part.clh\n' >"$work/plugins_fifo/x.cl"
printf 'base: fifo\n' >"$work/based.yaml"
for command in "train $work/fifo" "train $work/based.yaml" "plan $work/fifo" "plan $recipe -s network=$work/fifo" \
    "eval $work/fifo" "train --resume $work/fifo" "train --resume /dev/zero" "network $work/fifo" "bench diff $work/fifo $work/fifo" \
    "train $recipe --out $work/init -s init_from=$work/fifo" "curves $work/piped"; do
    called=$command code=0
    timeout 20 "$program" $command >"$work/out" 2>"$work/err" </dev/null || code=$?
    [ "$code" -ne 0 ] && [ "$code" -lt 100 ] || fail "an error was expected"
done
for command in "train --resume $work/piped --set epochs=2" "plugins list --plugins $work/plugins_fifo"; do
    called=$command code=0
    timeout 20 "$program" $command >"$work/out" 2>"$work/err" </dev/null || code=$?
    [ "$code" -lt 100 ] || fail "it waits for a pipe"
    grep -q "regular file\|ordinary file" "$work/out" "$work/err" || fail "the pipe is not named"
done
called="train /dev/stdin" code=0
cat "$recipe" | "$program" train /dev/stdin --print-recipe >"$work/out" 2>"$work/err" || code=$?
expect_code 0
expect_out "name: \"synthetic"

# A compiler that cannot write its files: the reason is said, however the driver ends.
for limit in 1 64; do
    mkdir "$work/cold$limit"
    called="train with a cold cache and ulimit -f $limit" code=0
    (ulimit -f $limit && POCL_CACHE_DIR=$work/cold$limit exec "$program" train "$recipe" --out "$work/limited" --max-iterations 1) \
        >"$work/out" 2>"$work/err" </dev/null || code=$?
    [ "$code" -eq 130 ] || expect_err "ulimit -f"
done

# A checkpoint loads no plugins and no other files; the command line does.
mkdir "$work/plugins"
echo 'no plugin' >"$work/plugins/x.cl"
run train "$recipe" --set epochs=1 --set plugins_path="$work/plugins" --out "$work/plugged"
expect_code 0
expect_err "plugins/x.cl refused"
for options in "eval $work/plugged" "train --resume $work/plugged --set epochs=2"; do
    run $options
    expect_code 0
    expect_err plugins_path
    grep -q "x.cl refused" "$work/err" && fail "the plugins that a checkpoint names were looked at"
    run $options --plugins "$work/plugins"
    expect_err "plugins/x.cl refused"
done
grep -q plugins_path "$work/plugged/recipe.yaml" && fail "plugins of a checkpoint came into a recipe of this user"
LC_ALL=C sed 's/checkpoint_every: 0/base: elsewhere    /' "$work/plugged/best.safetensors" >"$work/based.safetensors"
cmp -s "$work/plugged/best.safetensors" "$work/based.safetensors" && fail "the test needs another line to replace"
run eval "$work/based.safetensors"
expect_code 3
expect_err base

# Control characters of files
printf '"k\\e[31mey": 1\nnetwork: []\n' >"$work/key.yaml"
printf '"k\xc2\x9b31mey": 1\nnetwork: []\n' >"$work/c1.yaml"
printf '{"problem": "\\u001b[31m"}\n' >"$work/records.jsonl"
{ printf '\114\0\0\0\0\0\0\0{"a\\u001b[31m":{"dtype":"F32","shape":[1],"data_offsets":[0,99]}}'; printf '%20s' ' '; } \
    >"$work/name.safetensors"
sed "s/^name:.*/name: \"a\\\\e[31mb\"/" "$recipe" >"$work/name.yaml"
for command in "plan $work/key.yaml" "plan $work/c1.yaml" "plan $work/name.yaml" "eval $work/name.safetensors" \
    "bench diff $work/records.jsonl $work/records.jsonl" "train $work/name.yaml --set epochs=1 --out $work/name" \
    "train --resume $work/name --print-recipe" "train $work/k${escape}[31m.yaml"; do
    run $command
    grep -q "$escape\[31m" "$work/out" "$work/err" && fail "an escape sequence of a file reached the terminal"
    LC_ALL=C grep -q "$(printf '\302\233')" "$work/out" "$work/err" && fail "a C1 control character reached the terminal"
done

# What a variable of the environment cannot mean is refused, not taken for the default.
for setting in BUILD_TIMEOUT=abc BUILD_TIMEOUT=-1 BUILD_TIMEOUT=9223372036854775807 PROGRAM_CACHE=maybe NO_LIBRARIES=x \
    REFUSE_SOURCES=maybe SYNC_DEBUG=2 PREFIX=/nonexistent WISDOM_PATH=/etc/passwd; do
    code=0
    env "SPIKEPORT_$setting" "$program" plan "$recipe" >"$work/out" 2>"$work/err" || code=$?
    called="plan with SPIKEPORT_$setting"
    expect_code 2
    expect_err "SPIKEPORT_${setting%%=*}"
done
exit 0
