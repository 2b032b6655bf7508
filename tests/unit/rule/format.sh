#!/bin/sh
# format.sh ROOT: C files as .clang-format has them, no line past 110 columns, no function of host/ over 60 lines. clang-format 14
# (Debian 12) is the reference, since versions differ; where it is missing only lengths are looked at.
root=$1
files=$(find "$root/host" "$root/tests" "$root/plugins" "$root/examples" -name '*.[ch]' | sort)
wide=$(awk 'length > 110 { print FILENAME ":" FNR ": " length " columns" }' $files)
if [ -n "$wide" ]; then
    echo "$wide"
    echo "lines past 110 columns"
    exit 1
fi
# A function's brace stands alone in the first column.
long=$(find "$root/host" -name '*.[ch]' -exec awk '/^{$/ { start = FNR } /^}$/ && start && FNR - start > 60 { print FILENAME ":" start ": " FNR - start " lines" }
    /^}/ { start = 0 }' {} +)
if [ -n "$long" ]; then
    echo "$long"
    echo "functions over 60 lines"
    exit 1
fi
for f in clang-format-14 clang-format; do
    "$f" --version 2>/dev/null | grep -q 'version 14\.' && formatter=$f && break
done
if [ -z "$formatter" ]; then
    echo "skipped: clang-format 14 is not installed (apt-get install clang-format-14)"
    exit 77
fi
"$formatter" --style="file:$root/.clang-format" --dry-run --Werror $files 2>&1 | head -n 20 | grep . || exit 0
echo "run $formatter -i on the files above"
exit 1
