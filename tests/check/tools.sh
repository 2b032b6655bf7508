#!/bin/sh
# tools.sh: arguments of scripts/vendor_tools, and what it does with a folder of tools that is whole, linked, or half there. The tools
# are made here, and nothing is downloaded.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
command -v apt-get >/dev/null && command -v dpkg >/dev/null || { echo "skipped: no apt-get or no dpkg"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export SPIKEPORT_NO_DOWNLOAD=1

fail() {
    echo "FAILED: $*; the last call printed:"
    cat out
    exit 1
}
tools() { # CODE TEXT ARGUMENT...: exit code and a part of what is printed
    want=$1 text=$2 code=0
    shift 2
    "$root/scripts/vendor_tools" "$@" >out 2>&1 || code=$?
    [ "$code" -eq "$want" ] || fail "vendor_tools $*: exit code $code, not $want"
    grep -qF -- "$text" out || fail "vendor_tools $*: no \"$text\""
}

tools 0 'intel-fpga' --help
tools 0 'intel-fpga' -h
tools 2 'usage' ''
tools 2 'no option "--nonsense"' --nonsense
tools 2 'no tool "amdd"; there are amd nvidia' new amd amdd
[ ! -e new ] || fail "a folder was made for a wrong argument"

# The runtime lies elsewhere, behind a link.
mkdir -p elsewhere/tree elsewhere/lib dir
touch elsewhere/tree/libintelocl.so elsewhere/done
ln -s ../tree/libintelocl.so elsewhere/lib/
ln -s ../elsewhere dir/intel-cpu
icd=dir/intel-cpu/vendors/intel-cpu.icd
tools 0 unpacked dir intel-cpu
[ "$(cat $icd)" = "$work/dir/intel-cpu/tree/libintelocl.so" ] || fail "the ICD file names $(cat $icd)"
before=$(stat -c '%i %y' $icd)
tools 0 unpacked dir intel-cpu
[ "$(stat -c '%i %y' $icd)" = "$before" ] || fail "an ICD file that was right was written again"

# Half there: what is missing would be unpacked again, and an ICD file is never emptied.
rm elsewhere/tree/libintelocl.so
tools 77 'is not unpacked' dir intel-cpu
[ -s $icd ] || fail "the ICD file was emptied"
mkdir -p dir/have dir/mesa
touch dir/have/clang-19 dir/mesa/done
tools 77 'clang-19 is not unpacked' dir amd
tools 77 'mesa is not unpacked' dir mesa
mkdir -p dir/root/usr/share/doc/clang-19
tools 77 'libclang-cpp19 is not unpacked' dir amd
echo ./usr/bin/clang-19 >dir/have/clang-19
tools 77 'clang-19 is not unpacked' dir amd

# A second call waits for the first.
command -v flock >/dev/null || exit 0
touch elsewhere/tree/libintelocl.so
flock dir/.lock sleep 2 &
while flock -n dir/.lock true; do sleep 0.1; done
tools 0 'waiting for another' dir intel-cpu
wait
