#!/bin/sh
# verify.sh PROGRAM FOLDER [OPTIONS]: every reference case of the folder (SPIKEPORT_REFERENCE, if that is set) must pass.
# verify.sh PROGRAM FOLDER oclgrind OCLGRIND LOG: the dense cases under the simulator; its log must be empty too.
# Exit 77, skipped: no such folder, or no device.
program=$1 folder=${SPIKEPORT_REFERENCE:-$2}
shift 2
if [ ! -d "$folder" ]; then
    echo "skipped: no reference cases; name their folder by SPIKEPORT_REFERENCE"
    exit 77
fi
if [ "$1" = oclgrind ]; then
    exec sh "$(dirname "$0")/../golden/oclgrind.sh" "$2" "$program" "$3" "$folder"/dense_*.json
fi
cases=0
for tensors in "$folder"/*.safetensors; do
    [ -e "${tensors%.safetensors}.json" ] && cases=$((cases + 1))
done
code=0
out=$("$program" verify "$folder" --brief "$@") || code=$?
echo "$out"
[ "$code" -eq 4 ] && exit 77
[ "$code" -eq 0 ] || exit "$code"
case $out in
*"$cases cases pass"*) ;;
*)
    echo "FAILED: $cases cases are there, but not all were run"
    exit 1
    ;;
esac
