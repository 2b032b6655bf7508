#!/bin/sh
# Downloads the files of a data set, or the archive that holds them, with curl or wget and checks them with verify.sh.
# Usage: fetch.sh SET FOLDER [BASE_URL]      e.g. fetch.sh mnist ~/data/mnist
# BASE_URL takes the place of the set's "url" of index.json, for a mirror. Files that are already there are kept.
# Exit status: 0 all files there and right, 1 download failed or sums differ, 2 wrong use.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
index=$here/index.json

if [ $# -lt 2 ] || [ $# -gt 3 ]; then
    echo "usage: $0 SET FOLDER [BASE_URL]" >&2
    exit 2
fi
set_name=$1
folder=$2

# Values of key $1 in the set, one a line. Relies on the line layout of index.json.
values_of() {
    awk -F'"' -v set="$set_name" -v key="$1" '
        /^    "[^"]*": \{$/ { inside = ($2 == set) }
        inside { for (i = 2; i + 2 < NF; i += 2) if ($i == key) print $(i + 2) }
    ' "$index"
}

base=${3:-$(values_of url)}
names=$(values_of name)
archive=$(values_of archive)
if [ -z "$names" ] || [ -z "$base" ]; then
    echo "$0: index.json has nothing to download for \"$set_name\"" >&2
    exit 2
fi

download() {
    if command -v curl >/dev/null 2>&1; then
        curl --fail --location --silent --show-error --output "$2" "$1"
    elif command -v wget >/dev/null 2>&1; then
        wget --quiet --output-document="$2" "$1"
    else
        echo "$0: neither curl nor wget is installed; download $1 by hand" >&2
        return 1
    fi
}

# Downloads the set's archive, compares its sum, and unpacks what is in its one folder.
unpack() {
    echo "fetching $base/$archive"
    download "$base/$archive" "$folder/$archive.part" || return 1
    if [ "$(sha256sum < "$folder/$archive.part" | cut -d ' ' -f 1)" != "$(values_of archive_sha256)" ]; then
        echo "$0: $archive is not what index.json describes: its sha256 differs" >&2
        return 1
    fi
    tar -xzf "$folder/$archive.part" -C "$folder" --strip-components=1 && rm -f "$folder/$archive.part"
}

mkdir -p "$folder"
for name in $names; do
    [ -f "$folder/$name" ] && continue
    if [ -n "$archive" ]; then
        unpack && continue
        rm -f "$folder/$archive.part"
        exit 1
    fi
    echo "fetching $base/$name"
    if ! download "$base/$name" "$folder/$name.part"; then
        rm -f "$folder/$name.part"
        echo "$0: $base/$name could not be fetched; see README.md for other sources" >&2
        exit 1
    fi
    mv "$folder/$name.part" "$folder/$name"
done
exec "$here/verify.sh" "$set_name" "$folder"
