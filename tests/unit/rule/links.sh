#!/bin/sh
# links.sh ROOT [LEAST]: in every .md file of the repository a relative link leads to a file, its #anchor to a heading there,
# and the functions named beside a file in docs/FOLLOW_A_BATCH.md are in that file.
root=$1
least=${2:-0} # so many links at least, so that a reader that finds none fails
cd "$root" || exit 1
list=$(mktemp) || exit 1
trap 'rm -f "$list"' EXIT
find . \( -name build -o -name .git -o -name runs -o -name shared \) -prune -o -print | sed 's,^\./,,' >"$list"
awk -v least="$least" '
function slug(s) { # as GitHub makes them
    s = tolower(s)
    gsub(/[`*]/, "", s)
    gsub(/\]\([^)]*\)/, "", s)
    gsub(/[][!"#$%&'"'"'()+,.\/:;<=>?@\\^{|}~]/, "", s)
    gsub(/ /, "-", s)
    return s
}
function resolve(from, to,    dir, part, n, i, out, depth) {
    dir = from
    if (!sub(/\/[^\/]*$/, "", dir))
        dir = ""
    n = split(to == "" ? from : (dir == "" ? to : dir "/" to), part, "/")
    depth = 0
    for (i = 1; i <= n; i++) {
        if (part[i] == "" || part[i] == ".")
            continue
        if (part[i] == "..") { depth--; continue }
        kept[++depth] = part[i]
    }
    out = ""
    for (i = 1; i <= depth; i++)
        out = out (i > 1 ? "/" : "") kept[i]
    return out
}
function complain(text) { print FILENAME ":" FNR ": " text; wrong++ }
function has_words(file, words,    text, line, word) { # every `word` of a cell occurs in the file
    text = ""
    while ((getline line < file) > 0)
        text = text line "\n"
    close(file)
    while (match(words, /`[^`]+`/)) {
        word = substr(words, RSTART + 1, RLENGTH - 2)
        words = substr(words, RSTART + RLENGTH)
        if (!index(text, word "("))
            complain(word " is not in " file)
    }
}
FILENAME == ARGV[1] { there[$0] = 1; next }
FNR == 1 { fenced = 0 }
/^ *```/ { fenced = !fenced; next }
fenced { next }
/^#+ / { h = $0; sub(/^#+ +/, "", h); h = slug(h); heading[FILENAME "#" h (seen[FILENAME, h]++ ? "-" seen[FILENAME, h] - 1 : "")] = 1 }
match($0, /<a id="[^"]*"/) { heading[FILENAME "#" substr($0, RSTART + 7, RLENGTH - 8)] = 1 }
{
    rest = $0
    while (match(rest, /\]\([^) ]+\)/)) {
        target = substr(rest, RSTART + 2, RLENGTH - 3)
        rest = substr(rest, RSTART + RLENGTH)
        if (target ~ /^(https?|mailto):/)
            continue
        links++
        anchor = ""
        if (at = index(target, "#")) { anchor = substr(target, at + 1); target = substr(target, 1, at - 1) }
        path = resolve(FILENAME, target)
        if (path != "" && !(path in there))
            complain("there is no " path)
        else if (anchor != "")
            wanted[path "#" anchor] = FILENAME ":" FNR
    }
}
FILENAME == "docs/FOLLOW_A_BATCH.md" && /^\|.*\.\.\/host\// {
    split($0, cell, "|")
    match(cell[3], /\.\.\/host\/[^)]+/)
    has_words(substr(cell[3], RSTART + 3, RLENGTH - 3), cell[4])
}
END {
    for (w in wanted)
        if (!(w in heading)) {
            print wanted[w] ": there is no heading for " w
            wrong++
        }
    print links + 0 " links, " wrong + 0 " of them broken"
    exit (wrong > 0 || links < least)
}' "$list" $(grep '\.md$' "$list")
