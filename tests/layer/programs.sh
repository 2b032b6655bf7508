#!/bin/sh
# programs.sh PROGRAM LAYER PROFILE OTHER PATH...: the way of a device without a compiler. A compiler is enabled on the device
# of PROFILE while the reference cases of the paths and a small network are compiled; then it is taken away again, and the
# cases pass and the network trains from the binaries alone. What does not fit is refused with the reason: no binaries, a
# stale manifest, a truncated binary, the device of profile OTHER. 77: no device underneath.
program=$1 layer=$2 profile=$3 other=$4
shift 4
. "$(dirname "$0")/support.sh"
recipe=$here/../../recipes/synthetic_tiny.yaml
small='-s data.count=128 -s data.train_limit=128 -s data.test_limit=32'
for path; do
    shift
    [ -e "$path" ] && set -- "$@" "$path"
done
export SPIKEPORT_LAYER_REPORT="$work/report" SPIKEPORT_LAYER_VERBOSE=1
enabled='compiler=true;version=OpenCL 1.2 with a compiler enabled'

fail() {
    echo "FAILED: $profile: $*"
    cat "$work/out" "$work/err" "$work/report"
    exit 1
}
run() { # PROFILE SETTINGS CODE ARGS...: the exit code, nothing leaked
    emulated=$1 set=$2 wanted=$3
    shift 3
    code=0
    rm -f "$work/report"
    SPIKEPORT_LAYER_PROFILE="$here/profiles/$emulated.yaml" SPIKEPORT_LAYER_SET="$set" \
        "$program" "$@" >"$work/out" 2>"$work/err" </dev/null || code=$?
    [ "$code" -eq "$wanted" ] || fail "exit code $code, not $wanted: $*"
    grep -q '^leaks 0$' "$work/report" || fail "objects were not released, or the layer was not on: $*"
}
from_binaries() { # ARGS...: and no call that this device refuses was made, no program was built from source
    run "$profile" "" 0 "$@"
    grep -q '^refused 0$' "$work/report" || fail "a call broke a limit of the device: $*"
    grep -q 'from binaries, 0 from source' "$work/err" || fail "not from binaries alone: $*"
}
refused() { # CODE TEXT FOLDER [PROFILE]
    run "${4:-$profile}" "" "$1" train "$recipe" $small -o "$work/no" --programs "$3"
    grep -qF -- "$2" "$work/err" || fail "it does not say: $2"
}

run "$profile" "$enabled" 0 compile "$@" --target offline --out "$work/cases"
echo "$profile: $(head -1 "$work/out")"
run "$profile" "$enabled" 0 compile "$recipe" $small --target offline --out "$work/net"
from_binaries verify "$@" --brief --programs "$work/cases"
echo "$profile, source programs refused: $(tail -1 "$work/out")"
from_binaries train "$recipe" $small -o "$work/run" --programs "$work/net"
grep -q '^unaligned_host 0$' "$work/report" || fail "host memory that this vendor's runtime copies once more"
echo "$profile, source programs refused: $(grep 'test accuracy' "$work/err" | tail -1)"
from_binaries eval "$work/run" --programs "$work/net"
echo "$profile, source programs refused: $(tail -1 "$work/out")"

run "$profile" "" 4 train "$recipe" $small -o "$work/no"
grep -q "compiler" "$work/err" || fail "it does not say that there is no compiler"
name=$(sed -n 's/^name: *"\{0,1\}\([^"#]*[^"# ]\).*/\1/p' "$here/profiles/$profile.yaml")
refused 4 "manifest.json is for the device \"$name" "$work/net" "$other"
cp "$work/net/manifest.json" "$work/manifest"
sed 's/"hash": "\(.\{15\}\)[0-9a-f]"/"hash": "\1_"/' "$work/manifest" >"$work/net/manifest.json"
refused 5 "is stale: source or options of" "$work/net"
cp "$work/manifest" "$work/net/manifest.json"
file=$(ls "$work/net/programs"/conv_forward*.bin | head -1)
size=$(wc -c <"$file")
cp "$file" "$work/whole"
head -c $((size / 2)) "$work/whole" >"$file"
refused 5 "$file is truncated: $((size / 2)) bytes, $size were written" "$work/net"
cp "$work/whole" "$file"
from_binaries eval "$work/run" --programs "$work/net"
echo "$profile: no compiler, another device, a stale manifest and a truncated binary are refused with the reason"
