# The second process that compiles kernels in the first run on a device: the same weights with it, without it, and where it
# is killed; nobody is left behind.
. "$(dirname "$0")/support.sh"
need_device
tiny=$(cd "$(dirname "$0")/../../recipes" && pwd)/synthetic_tiny.yaml
said="a second process compiles"
weights() { # the tensors without the header, which holds times and places
    n=$(od -An -tu8 -N8 "$work/$1/checkpoint.safetensors" | tr -d ' ')
    tail -c +$((n + 9)) "$work/$1/checkpoint.safetensors" | cksum
}
helper() { sed -n "s/.*$said.*(process \([0-9]*\)).*/\1/p" "$work/err"; }

SPIKEPORT_COMPILE_HELPER=perhaps run plan "$tiny"
expect_code 2
expect_err 'SPIKEPORT_COMPILE_HELPER is "perhaps", but it is on or off'

export SPIKEPORT_CACHE_DIR="$work/cold" # verdicts alone: the driver's cache of programs stays warm
SPIKEPORT_COMPILE_HELPER=off run train "$tiny" -v -o "$work/off"
expect_code 0
[ -z "$(helper)" ] || fail "a helper although it is off"
keys=$(wc -l <"$work/cold/conformance.jsonl")

if [ "$(getconf _NPROCESSORS_ONLN)" -ge 2 ]; then
    rm -r "$work/cold"
    run train "$tiny" -v -o "$work/on"
    expect_code 0
    [ -n "$(helper)" ] || fail "no helper in a first run"
    kill -0 "$(helper)" 2>/dev/null && fail "the helper is still there"
    [ "$(sort -u "$work/cold/conformance.jsonl" | wc -l)" -ge "$keys" ] || fail "fewer kernels were checked than without helper"
    [ "$(weights on)" = "$(weights off)" ] || fail "other weights with the helper"

    rm -r "$work/cold"
    "$program" train "$tiny" -v -o "$work/killed" >"$work/out" 2>"$work/err" </dev/null &
    while [ -z "$(helper)" ] && kill -0 $! 2>/dev/null; do sleep 0.02; done
    kill -9 "$(helper)" 2>/dev/null
    code=0
    wait $! || code=$?
    expect_code 0
    [ "$(weights killed)" = "$(weights off)" ] || fail "other weights where the helper is killed"
fi

run train "$tiny" -v -o "$work/warm"
expect_code 0
[ -z "$(helper)" ] || fail "the helper was woken although all is known"
