#!/bin/sh
# amx.sh PROGRAM PLUGIN FOLDER CASE...: reference cases with every convolution and product on tiles. Networks of the cases are smaller than
# those that tiles are made for: a copy of the plugin in FOLDER takes any number of channels. A product's error of 5e-6 grows by the slopes
# of surrogates on its way through the network: 1e-4 holds for nearly all cases, not for all. Exit 4, skipped: no AMX, not even emulated, or no
# such case.
set -eu
program=$1 plugin=$2 folder=$3
shift 3
[ -e "$1" ] || exit 4
"$program" devices --json 2>/dev/null | grep -q '"amx_bf16": *true' || exit 4
rm -rf "$folder"
mkdir -p "$folder"
cp "$plugin"/*.cl "$plugin"/*.clh "$folder"
sed -i 's/^\(\/\/@ plugin: *\)cpu_amx /\1any_amx /; s/C >= 8 && O >= 1*[68]/C >= 1/; s/M >= 16 && N >= 96 && K >= 32/M >= 1/' "$folder"/*.cl
if grep -E '^//@ (when|plugin):.*( >= [2-9]| >= 1[0-9]|cpu_amx)' "$folder"/*.cl; then
    echo "FAILED: these lines of the copy still ask for more than one channel"
    exit 1
fi
"$program" verify "$@" --brief --tolerance 5e-4 --plugins "$folder" --plugin conv=any_amx --plugin gemm=any_amx 2>&1 |
    tee "$folder/log"
grep -q 'cases pass at' "$folder/log" && ! grep -q skipped "$folder/log"
