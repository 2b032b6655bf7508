# Every command in the documents exists, with each of its options; so does every path that those for users name.
. "$(dirname "$0")/support.sh"
root=$(cd "$(dirname "$0")/../.." && pwd)

known_option() { # SUBCOMMAND OPTION: it is in the help that was printed last
    case $2 in
    --*) grep -qE -- "(--|--\[no-\])${2#--}( |,|\$)" "$work/out" || grep -qF -- "--[no-]${2#--no-}" "$work/out" ;;
    *) grep -qE -- "^ *$2, " "$work/out" ;;
    esac || fail "$file names $2, which $1 does not have"
}

check_command() { # the words of a line from "spikeport" on
    shift
    case $1 in
    [a-z]*) ;;
    *) return ;;
    esac
    name=$1
    shift
    case "$name $1" in
    "bench suite" | "bench diff")
        name="$name $1"
        shift
        ;;
    esac
    run $name --help
    expect_code 0
    for word; do
        case $word in
        --) ;;
        -*) known_option "$name" "${word%%=*}" ;;
        esac
    done
    commands=$((commands + 1))
}

set -f # words of a command are not file names
commands=0
users="README.md docs/TUTORIAL.md recipes/README.md docs/PERFORMANCE.md docs/DEVICES.md docs/ARCHITECTURE.md docs/CONCEPTS.md"
others="datasets/README.md docs/BENCHMARK.md docs/FPGA.md docs/TESTING.md docs/PLUGIN_HOWTO.md docs/KERNEL_HOWTO.md"
for file in $users $others; do
    # Commands: lines of code and `code` in the text, up to a comment, a pipe or a second command
    {
        awk '/^ *```/ { inside = !inside; next } inside' "$root/$file"
        awk '/^ *```/ { inside = !inside; next } !inside' "$root/$file" | grep -o '`[^`]*`' | tr -d '`'
    } | sed -n 's/ #.*//; s/[|;].*//; s/ && .*//; /^spikeport [a-z]/p' |
        sed 's/"[^"]*"/TEXT/g' | sort -u >"$work/commands"
    while read -r line; do
        case $line in
        spikeport\ [a-z]*:*) ;; # a message
        *) check_command $line ;;
        esac
    done <"$work/commands"
    case " $others " in
    *" $file "*) continue ;; # their paths may be patterns
    esac
    # Paths, but those that the reader makes (runs/, mine/)
    grep -oE '\b(\.\./)?(recipes|docs|scripts|tests|plugins|datasets|host|cl_kernels)/[A-Za-z0-9_./-]*[A-Za-z0-9_]' "$root/$file" |
        sed 's,^\.\./,,' | grep -v "^plugins/bump" | sort -u >"$work/paths"
    while read -r path; do
        [ -e "$root/$path" ] || fail "$file names $path, which does not exist"
    done <"$work/paths"
done
[ "$commands" -ge 70 ] || fail "only $commands commands were found"

echo "documents: ok, $commands commands"
