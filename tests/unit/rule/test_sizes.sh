#!/bin/sh
# test_sizes.sh ROOT: no size of a file is multiplied unchecked, and the script that says so finds what is.
here=$(dirname "$0")
sh "$here/sizes.sh" "$1" "$here/sizes.txt" || exit 1

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/host/config" "$work/host/data"
echo 'x = sp_alloc_array(n, 4); /* n * m */' >"$work/host/config/a.c"
: >"$work/list"
sh "$here/sizes.sh" "$work" "$work/list" >/dev/null || { echo "FAILED: a tree without products is refused"; exit 1; }
for line in 'x = sp_alloc(n * sizeof *x);' 'size_t bytes = (size_t)height * width;' 's->items = a * b;' 'f = fopen(path, "rb");' \
    'fd = open(path, O_RDONLY);'; do
    echo "$line" >"$work/host/data/b.c"
    sh "$here/sizes.sh" "$work" "$work/list" >/dev/null && { echo "FAILED: not found: $line"; exit 1; }
done
echo 's->items = a * b;' >"$work/host/data/b.c"
echo 'host/data/b.c: s->items = a * b;' >"$work/list"
sh "$here/sizes.sh" "$work" "$work/list" >/dev/null || { echo "FAILED: a reviewed line is refused"; exit 1; }
rm "$work/host/data/b.c"
sh "$here/sizes.sh" "$work" "$work/list" >/dev/null && { echo "FAILED: a stale line of the list is not found"; exit 1; }
exit 0
