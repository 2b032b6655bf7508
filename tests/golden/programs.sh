# programs.sh PROGRAM FOLDER PATH...: the reference cases of the paths from binaries alone, with source programs refused and
# single work-item kernels where there are some. Folders that are not there are left out; exit code 4: no device.
program=$1
work=$2
shift 2
for path; do
    shift
    [ -e "$path" ] && set -- "$@" "$path"
done
[ $# -gt 0 ] || { echo "skipped: no reference case"; exit 77; }
rm -rf "$work"
"$program" compile "$@" --target offline --as accelerator --out "$work" || exit $?
SPIKEPORT_REFUSE_SOURCES=1 "$program" verify "$@" --brief --programs "$work" 2>"$work/stderr"
code=$?
cat "$work/stderr"
[ $code -eq 0 ] || exit $code
grep -q "from binaries, 0 from source" "$work/stderr" || { echo "FAILED: a program was built from source"; exit 1; }
