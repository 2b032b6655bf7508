#!/bin/sh
# test_links.sh ROOT: the links of the documents hold, and the script that says so finds what is broken.
here=$(dirname "$0")
root=$1
sh "$here/links.sh" "$root" 200 || exit 1
for word in $(grep -o '`[a-z]*_[a-z_]*`' "$root/docs/FOLLOW_A_BATCH.md" | tr -d '`'); do
    grep -rqw "$word" "$root/host" || { echo "FAILED: docs/FOLLOW_A_BATCH.md names $word, which is gone"; exit 1; }
done
# Every op has its row in the list of reference kernels.
for op in $(sed -n 's,^OP("\([a-z._]*/[0-9]*\)".*,\1,p' "$root/host/op/op_table.inc"); do
    grep -qF "| \`$op\` |" "$root/cl_kernels/README.md" || { echo "FAILED: cl_kernels/README.md lacks $op"; exit 1; }
done

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/docs" "$work/host/train"
printf '# One: "two", `three`\n\n# Four\n\n# Four\n\n<a id="five"></a>\n' >"$work/docs/A.md"
echo 'static void run(int x)' >"$work/host/train/loop.c"

expect() { # CODE LINE [MESSAGE]: with this line in docs/FOLLOW_A_BATCH.md
    printf '%s\n' "$2" >"$work/docs/FOLLOW_A_BATCH.md"
    code=0
    out=$(sh "$here/links.sh" "$work") || code=$?
    case "$code $out" in
    "$1 "*"$3"*) ;;
    *)
        echo "FAILED: \"$2\" gave exit code $code: $out"
        exit 1
        ;;
    esac
}
expect 0 '[a](A.md#one-two-three) [b](A.md#four-1) [c](A.md#five) [d](../host/train) [e](https://example.org/none)'
expect 1 '[a](B.md)' 'docs/FOLLOW_A_BATCH.md:1: there is no docs/B.md'
expect 1 '[a](A.md#six)' 'there is no heading for docs/A.md#six'
expect 1 '[a](#here)' 'there is no heading for docs/FOLLOW_A_BATCH.md#here'
expect 0 '| 1 | [a](../host/train/loop.c) | `run` | |'
expect 1 '| 1 | [a](../host/train/loop.c) | `walk` | |' 'walk is not in host/train/loop.c'
echo "links: ok"
