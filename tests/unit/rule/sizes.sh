#!/bin/sh
# sizes.sh ROOT LIST: sizes that are multiplied in the code that reads files (host/config, host/data) without base/size.h: in
# an allocation, or as the value of a size. LIST has the lines that were reviewed, each below the reason why it cannot wrap. A
# line that is not in LIST is an error, and so is a line of LIST that is not in the code. Files that are opened for reading
# elsewhere than in base/file.c, where pipes and devices are refused, are errors too.
root=$1
list=$2
cd "$root" || exit 1
opens=$(grep -nE '(fopen\([^;]*"r|O_RDONLY|gzopen\()' $(find host -name '*.c' ! -path host/base/file.c ! -path host/cli/streams.c))
[ -z "$opens" ] || { echo "$opens"; echo "open files for reading with sp_file_open or sp_file_stream"; exit 1; }
awk '
FILENAME == ARGV[1] {
    if ($0 != "" && $0 !~ /^#/)
        reviewed[$0] = 1
    next
}
FNR == 1 { files++ }
{
    line = $0
    gsub(/"([^"\\]|\\.)*"/, "\"\"", line)
    gsub(/\/\*.*\*\/|\/\/.*|\/\*.*$|^ \*.*/, "", line)
    gsub(/^[ \t]+|[ \t]+$/, "", line)
    product = line ~ /[A-Za-z0-9_)\]] \* [A-Za-z0-9_(*]/ && line !~ /SP_SIZE_MUL|\(double\)/
    allocates = line ~ /alloc[a-z_]*\(|[a-z_]*room\(/
    value = line ~ /(^|[ (])(size_t|u?int64_t|uLongf?) ([a-z_]+ = [^;,]*, )*[a-z_]+ = [^,;]* \* / || line ~ /^[a-z_>.*-]*(bytes|items|limit|length|pixels|n) \+?= / ||
            line ~ /^return \(size_t\)/ || line ~ /MAX_|MOST_|most/
    if (!product || !(allocates || value))
        next
    key = FILENAME ": " line
    found[key] = 1
    if (!(key in reviewed)) {
        print FILENAME ":" FNR ": " line
        wrong++
    }
}
END {
    for (key in reviewed)
        if (!(key in found)) {
            print "not in the code any more: " key
            wrong++
        }
    if (wrong)
        print "use SP_SIZE_MUL of base/size.h, or put the line into tests/unit/rule/sizes.txt, below the reason why it cannot wrap"
    print files + 0 " files, " wrong + 0 " products of sizes that were not reviewed"
    exit (wrong > 0 || files < 1)
}' "$list" $(find host/config host/data -name '*.c' | sort)
