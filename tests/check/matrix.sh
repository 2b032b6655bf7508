#!/bin/sh
# matrix.sh CHECK OPTION...: plugins/gpu_matrix against the C references with each matrix unit emulated but the first, which is the
# default and checked by check.gpu. Each lane's loads, the order of its results and all indices are those of a GPU; the instruction is not.
set -eu
check=$1
shift
for layout in 2 3 4 5 6; do
    "$check" --plugin 'gpu_matrix:*__emulated' --tune "LAYOUT=$layout" "$@"
done
