#!/bin/sh
# Compares the files of a data set with the sha256 sums of index.json.
# Usage: verify.sh SET [FOLDER]        e.g. verify.sh fashion-mnist /usr/share/datasets/fashion-mnist
# A file may be packed (.gz) or unpacked; one that was packed anew is compared by its content.
# Exit status: 0 all files right, 1 missing or different files, 2 wrong use. Needs coreutils, awk; gzip for repacked files.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
index=$here/index.json

usage() {
    echo "usage: $0 SET [FOLDER]" >&2
    echo "sets: $(awk -F'"' '/^    "[^"]*": \{$/ { printf "%s ", $2 }' "$index")" >&2
    exit 2
}

# Prints NAME PACKED_SHA256 UNPACKED_SHA256 for each file of set $1. Relies on the line layout of index.json.
files_of() {
    awk -F'"' -v set="$1" '
        /^    "[^"]*": \{$/ { inside = ($2 == set) }
        inside && /"name":/ { name = $4; for (i = 5; i < NF; i++) if ($i == "sha256") packed = $(i + 2) }
        inside && /"unpacked_sha256":/ { for (i = 1; i < NF; i++) if ($i == "unpacked_sha256") print name, packed, $(i + 2) }
    ' "$index"
}

sum_of() {
    sha256sum | cut -d ' ' -f 1
}

# check NAME PACKED_SHA256 UNPACKED_SHA256: one line of report, status 1 when the file is missing or different
check() {
    plain=${1%.gz}
    dotted=$(printf '%s\n' "$plain" | sed 's/-\(idx[0-9]\)/.\1/')
    for path in "$folder/$1" "$folder/$plain" "$folder/$dotted.gz" "$folder/$dotted" "$folder"/cifar-*/"$1"; do
        [ -f "$path" ] || continue
        sum=$(sum_of < "$path")
        case $path in
        *.gz)
            if [ "$sum" = "$2" ]; then
                echo "ok         $path"
                return 0
            fi
            if gzip -dc "$path" 2>/dev/null | sum_of | grep -qx "$3"; then
                echo "ok         $path (packed anew, same content)"
                return 0
            fi
            ;;
        *)
            if [ "$sum" = "$3" ]; then
                echo "ok         $path"
                return 0
            fi
            ;;
        esac
        echo "DIFFERENT  $path: sha256 $sum; fetch it again"
        return 1
    done
    echo "MISSING    $folder/$1"
    return 1
}

if [ $# -lt 1 ] || [ $# -gt 2 ]; then
    usage
fi
set_name=$1
folder=${2:-/usr/share/datasets/$set_name}
list=$(files_of "$set_name")
if [ -z "$list" ]; then
    echo "$0: index.json has no files for \"$set_name\"" >&2
    usage
fi

status=0
while read -r name packed unpacked; do
    check "$name" "$packed" "$unpacked" || status=1
done <<END
$list
END
exit $status
