#!/bin/sh
# vendors.sh PROGRAM TOOLS TARGETS: three kernels of a tiny network, specialised as for a GPU, through a vendor's compiler: no spills,
# no stack frame, at least SIMD16, with the tunables that the metadata give the vendor. Products on matrix units have the units' own instructions. An array in private memory is scratch, and local memory
# is that of its kernel. Exit 77, skipped: TOOLS has no such compiler.
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
cat >"$work/private.cl" <<'CL'
__kernel void private_array(__global float *x, __global const int *k, int n) {
    float a[1000];
    for (int j = 0; j < 1000; j++) a[j] = x[get_global_id(0) + j * n];
    for (int j = 0; j < n; j++) a[k[j] % 1000] += a[k[j + n] % 1000];
    for (int j = 0; j < 1000; j++) x[get_global_id(0) + j * n] = a[j];
}
__kernel __attribute__((reqd_work_group_size(64, 1, 1))) void local_array(__global float *x) {
    __local float a[64];
    a[get_local_id(0)] = x[get_global_id(0)];
    barrier(CLK_LOCAL_MEM_FENCE);
    x[get_global_id(0)] = a[63 - get_local_id(0)];
}
CL
code=0
"$root/scripts/inspect_kernels" --tools "$tools" --target "$targets" --check --brief "$work/private.cl" >"$work/private" 2>&1 || code=$?
cat "$work/private"
[ "$code" -ne 77 ] || exit 77
[ "$code" -ne 0 ] || { echo "an array of 1000 numbers passes for no scratch memory"; exit 1; }
grep -Eq '^  private_array .*scratch [0-9]{4,} bytes' "$work/private"
grep -Eq '^\| local_array \|[^|]*\|[^|]*\| 0 \| 256 \|' "$work/private"
"$program" compile "$root/recipes/synthetic_tiny.yaml" --target offline --as gpu --no-wisdom --quiet --out "$work/out" \
    --plugin '*=reference' --plugin conv.forward=gpu_conv --plugin gemm=gpu_gemm --plugin neuron.forward=gpu_neuron
"$root/scripts/inspect_kernels" --tools "$tools" --target "$targets" --check --json \
    --kernel 'conv_forward__narrow*,gemm__tile*,neuron_forward__words*' "$work/out" >"$work/report"
cut -c1-400 "$work/report"
case $targets in
gfx*) with_units=gfx90a,gfx1100,gfx1201 ;;
sm_*) with_units=$targets ;;
*) with_units=dg2,pvc ;;
esac
"$program" compile "$root/recipes/synthetic_tiny.yaml" --target offline --as gpu --no-wisdom --quiet --out "$work/matrix" \
    --plugin '*=reference' --plugin gemm=gpu_matrix:gemm__emulated
"$root/scripts/inspect_kernels" --tools "$tools" --target "$with_units" --check --json --brief --kernel 'gemm__emulated*' "$work/matrix" >"$work/units"
cut -c1-400 "$work/units"
grep -q '"unit": true' "$work/units" || { echo "no product was compiled for a matrix unit"; exit 1; }
case $targets in
gfx* | sm_*) want=8 ;; # "vendor:" lines of both kernels of tiles
*) want=4 ;;
esac
[ "$(grep -c "\"TM\": $want" "$work/report")" -ge 2 ] || { echo "the tunables are not those of the vendor"; exit 1; }
