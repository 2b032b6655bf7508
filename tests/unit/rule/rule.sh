#!/bin/sh
# rule.sh ROOT: every #include "folder/..." below ROOT/host against the table of ROOT/docs/ARCHITECTURE.md. The table is
# the rule: a row per folder, its last column the folders that it may include from.
root=$1
awk -F'|' -v root="$root" '
function trim(s) { gsub(/^[ \t`]+|[ \t`]+$/, "", s); return s }
FILENAME == ARGV[1] {
    if ($0 !~ /^\| *`host\/[a-z]+` *\|/)
        next
    room = trim($2); sub(/^host\//, "", room)
    may = trim($4)
    if (may == "all above") may = above
    gsub(/[ ,]+/, " ", may)
    allowed[room] = " " room " spikeport " may " "
    above = above " " room
    rooms++
    next
}
FNR == 1 {
    file = substr(FILENAME, length(root) + 2)
    split(file, part, "/")
    here = part[2]
    files++
    if (here != "include" && !(here in allowed)) {
        print file ": host/" here " is not in the table of docs/ARCHITECTURE.md"
        wrong++
    }
}
/^[ \t]*#[ \t]*include[ \t]*"/ {
    split($0, q, "\"")
    includes++
    if (q[2] !~ /\//) { # beside the including file, or nowhere
        beside = FILENAME
        sub(/[^\/]*$/, q[2], beside)
        if ((getline line < beside) < 0) {
            print file ":" FNR ": \"" q[2] "\" is not in the same folder"
            wrong++
        }
        close(beside)
        next
    }
    split(q[2], to, "/")
    ok = here == "include" ? to[1] == "spikeport" : index(allowed[here], " " to[1] " ") > 0
    if (!ok) {
        print file ":" FNR ": host/" here " may not include \"" q[2] "\""
        wrong++
    }
}
END {
    print rooms + 0 " folders, " files + 0 " files, " includes + 0 " includes, " wrong + 0 " against the rule"
    exit (wrong > 0 || rooms < 2 || includes < 1)
}' "$root/docs/ARCHITECTURE.md" $(find "$root/host" -name '*.[ch]' -o -name '*.inc')
