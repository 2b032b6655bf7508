#!/bin/sh
# test_rule.sh ROOT: the dependency rule holds, and the script that says so finds what breaks it.
here=$(dirname "$0")
root=$1
sh "$here/rule.sh" "$root" || exit 1

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/docs" "$work/host/base" "$work/host/graph" "$work/host/plan" "$work/host/include/spikeport"
cp "$root/docs/ARCHITECTURE.md" "$work/docs"
echo '#include "base/mem.h"' >"$work/host/base/mem.c"
printf '#include "base/mem.h"\n#include <stdio.h>\n#include "graph/graph.h"\n#include "table.inc"\n' >"$work/host/plan/plan.c"
: >"$work/host/plan/table.inc"
sh "$here/rule.sh" "$work" >/dev/null || { echo "FAILED: a tree that keeps the rule is refused"; exit 1; }

expect() { # FILE LINE MESSAGE: with this line added, the message and exit 1
    mkdir -p "$(dirname "$work/$1")"
    echo "$2" >"$work/$1"
    if out=$(sh "$here/rule.sh" "$work"); then
        echo "FAILED: $2 in $1 was not found"
        exit 1
    fi
    case $out in
    *"$3"*) ;;
    *)
        echo "FAILED: \"$3\" is not in: $out"
        exit 1
        ;;
    esac
    rm "$work/$1"
}
expect host/base/a.c '#include "train/train.h"' 'host/base/a.c:1: host/base may not include "train/train.h"'
expect host/graph/a.h '  #  include "cl/device.h"' 'host/graph may not include "cl/device.h"'
expect host/plan/a.inc '#include "exec/executor.h"' 'host/plan may not include "exec/executor.h"'
expect host/plan/b.c '#include "train.h"' '"train.h" is not in the same folder'
expect host/include/spikeport/a.h '#include "base/mem.h"' 'host/include may not include "base/mem.h"'
expect host/attic/a.c '#include <stdio.h>' 'host/attic is not in the table'
