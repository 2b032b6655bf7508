#!/bin/sh
# tools.sh: arguments of scripts/all_devices and scripts/vendor_tools, and what the latter does with a folder of tools that is whole, linked, or half there. The tools
# are made here, and nothing is downloaded.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
command -v apt-get >/dev/null && command -v dpkg >/dev/null || { echo "skipped: no apt-get or no dpkg"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export SPIKEPORT_NO_DOWNLOAD=1 SPIKEPORT_REFERENCE=$work/none

fail() {
    echo "FAILED: $*; the last call printed:"
    cat out
    exit 1
}
call() { # SCRIPT CODE TEXT ARGUMENT...: exit code and a part of what is printed
    script=$1 want=$2 text=$3 code=0
    shift 3
    "$root/scripts/$script" "$@" >out 2>&1 || code=$?
    [ "$code" -eq "$want" ] || fail "$script $*: exit code $code, not $want"
    grep -qF -- "$text" out || fail "$script $*: no \"$text\""
}
devices() { call all_devices "$@"; }
tools() { call vendor_tools "$@"; }

# A build folder, behind a link, whose program fails.
mkdir -p build/bin
touch build/libspikeport_layer.so
printf '#!/bin/sh\necho an invented error\nexit 5\n' >build/bin/spikeport
chmod +x build/bin/spikeport
ln -s build relative
build=$work/build

devices 0 'limits emulated' --help
devices 0 'limits emulated' --whole -h
devices 2 'usage' --brief
devices 2 'no option "--nonsense"' --nonsense
devices 2 'no job "pocll"; there are pocl cbs' "$build" pocl pocll
devices 2 'no job "device="' "$build" device=
devices 2 "no build folder $work/none" none pocl
SPIKEPORT_VENDOR_TOOLS=empty devices 77 'is not unpacked' relative intel-cpu-runtime

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

# A failing compilation is told as what it is.
mkdir -p whole
for p in clang-19 libclang-cpp19 libclang-common-19-dev libllvm19 llvm-19 libz3-4 rocm-device-libs lld-19; do
    mkdir -p whole/have "whole/root/usr/share/doc/$p"
    touch "whole/have/$p"
done
export SPIKEPORT_VENDOR_TOOLS=whole
devices 1 'compile-plans failed: an invented error' relative amd-compiler

# A second call waits for the first.
command -v flock >/dev/null || exit 0
hold() { # FILE: for two seconds
    flock "$1" sleep 2 &
    while flock -n "$1" true; do sleep 0.1; done
}
mkdir -p whole/mesa/root/etc/OpenCL/vendors whole/mesa/root/usr/lib
touch whole/mesa/done whole/mesa/root/usr/lib/libnone.so
echo libnone.so >whole/mesa/root/etc/OpenCL/vendors/rusticl.icd
hold build/inspect/lock
devices 1 'waiting for another scripts/all_devices' relative amd-compiler
hold whole/.lock-mesa
devices 1 'waiting for another scripts/all_devices' relative mesa-rusticl

# A Debian that is half there is replaced, but not under a job that runs in it.
mkdir -p fake dir/mesa/root
cat >fake/mmdebstrap <<'END'
#!/bin/sh
for to; do :; done
mkdir -p "$to/etc/OpenCL/vendors" "$to/usr/lib"
touch "$to/usr/lib/libnone.so"
echo libnone.so >"$to/etc/OpenCL/vendors/rusticl.icd"
END
chmod +x fake/mmdebstrap
touch dir/mesa/root/in-use
hold dir/.lock-mesa
PATH=$work/fake:$PATH SPIKEPORT_NO_DOWNLOAD='' tools 0 'waiting for another scripts/all_devices to leave' dir mesa
[ ! -e dir/mesa/root/in-use ] && [ -e dir/mesa/done ] && [ -e dir/mesa/root/usr/lib/libnone.so ] || fail "the Debian was not replaced"
set -- dir/mesa.*
[ ! -e "$1" ] || fail "$1 was left"
touch elsewhere/tree/libintelocl.so
hold dir/.lock
tools 0 'waiting for another' dir intel-cpu
wait
