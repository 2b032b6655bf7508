#!/bin/sh
# vendors.sh PROGRAM TOOLS TARGETS: three kernels of a tiny network, specialised as for a GPU, through a vendor's compiler: no spills,
# no stack frame, at least SIMD16, with the tunables that the metadata give the vendor. Exit 77, skipped: TOOLS has no such compiler.
# It downloads nothing; scripts/vendor_tools does.
set -eu
program=$1 tools=$2 targets=$3
root=$(cd "$(dirname "$0")/../.." && pwd)
if [ ! -d "$tools" ]; then
    echo "skipped: no vendors' compilers in $tools; scripts/vendor_tools unpacks them there, or SPIKEPORT_VENDOR_TOOLS names another folder"
    exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$program" compile "$root/recipes/synthetic_tiny.yaml" --target offline --as gpu --no-wisdom --quiet --out "$work/out" \
    --plugin '*=reference' --plugin conv.forward=gpu_conv --plugin gemm=gpu_gemm --plugin neuron.forward=gpu_neuron
"$root/scripts/inspect_kernels" --tools "$tools" --target "$targets" --check --json \
    --kernel 'conv_forward__narrow*,gemm__tile*,neuron_forward__words*' "$work/out" >"$work/report"
cut -c1-400 "$work/report"
case $targets in
gfx* | sm_*) want=8 ;; # "vendor:" lines of both kernels of tiles
*) want=4 ;;
esac
[ "$(grep -c "\"TM\": $want" "$work/report")" -ge 2 ] || { echo "the tunables are not those of the vendor"; exit 1; }
