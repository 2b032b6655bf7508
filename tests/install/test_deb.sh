#!/usr/bin/env bash
# test_deb.sh SOURCE_DIR [chroot]: builds the Debian packages and tries them in a folder of their own: unpacked, or with `chroot`
# (as root, with mmdebstrap and a mirror) installed by apt-get in a fresh system of this release, used, and purged again. Prints
# sizes and times.
set -euo pipefail
source=$1
work=$(mktemp -d)
root=$work/root
finish() {
    for folder in proc sys dev; do
        mountpoint -q "$root/$folder" && umount -l "$root/$folder"
    done
    rm -rf --one-file-system "$work"
}
trap finish EXIT
command -v dpkg-shlibdeps >/dev/null || { echo "skipped: apt-get install dpkg-dev"; exit 77; }
start=$(date +%s)
"$source/scripts/package" "$work/debs"
echo "built in $(($(date +%s) - start)) s"
apt() { # in the chroot; what it says is shown where it fails
    chroot "$root" env DEBIAN_FRONTEND=noninteractive apt-get -qq "$@" >"$work/apt.log" 2>&1 || { cat "$work/apt.log"; exit 1; }
}
run=(env)
if [ "${2:-}" = chroot ]; then
    release=$(. /etc/os-release && echo "$VERSION_CODENAME")
    options=()
    for f in /etc/apt/apt.conf.d/*; do options+=("--aptopt=$f"); done
    mirrors=()
    for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
        [ -s "$f" ] && mirrors+=("$f")
    done
    mmdebstrap --quiet --variant=apt "${options[@]}" "$release" "$root" "${mirrors[@]}"
    for folder in proc sys dev; do # drivers ask them for the processor, its cores and its memory
        mount --rbind --make-rslave "/$folder" "$root/$folder"
    done
    cp "$work"/debs/*.deb "$root/tmp"
    debs=("$root"/tmp/*.deb) && debs=("${debs[@]#"$root"}")
    start=$(date +%s)
    apt update
    apt install -y "${debs[@]}"
    echo "installed with everything it needs in $(($(date +%s) - start)) s"
    run=(chroot "$root")
    prefix=/usr folder=/tmp
else
    mkdir "$root"
    for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$root"; done
    prefix=$root/usr folder=$work
fi
for page in man1/spikeport.1 man1/spikeport-train.1; do
    ls "$root/usr/share/man/$page"* >/dev/null
done
grep -q -- --resume "$root/usr/share/bash-completion/completions/spikeport"
bash -n "$root/usr/share/bash-completion/completions/spikeport"
"${run[@]}" "$prefix/bin/spikeport" --version
"${run[@]}" "$prefix/bin/spikeport" train synthetic_tiny --set epochs=1 --set plugins.gemm=gemm_clblast --out "$folder/run" 2>&1 | tail -n 1
"${run[@]}" "$prefix/bin/spikeport" eval "$folder/run" >"$work/eval.txt" # not to grep -q, which may leave a writer without a reader
grep -q '100.00%' "$work/eval.txt"
if [ "${2:-}" = chroot ]; then
    apt purge -y spikeport libspikeport0 libspikeport-dev
    left=$(find "$root" -xdev -name '*spikeport*' ! -path "$root/tmp/*" ! -path "$root/root/*") # /root: the user's cache
    [ -z "$left" ] || { echo "left behind: $left"; exit 1; }
fi
echo "the packages work"
