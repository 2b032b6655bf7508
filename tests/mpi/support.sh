# Sourced by the tests of this folder: PROGRAM LAUNCHER, which is openmpi or mpich. Skips (77) where the launcher or a device
# is missing.
program=$1 launcher=$2
. "$(dirname "$0")/../cli/support.sh"
tiny=$(cd "$(dirname "$0")/../../recipes" && pwd)/synthetic_tiny.yaml
mpirun=$(command -v "mpirun.$launcher" || command -v mpirun || true)
"${mpirun:-false}" --version 2>/dev/null | grep -qi "$([ "$launcher" = mpich ] && echo hydra || echo 'open mpi\|openrte\|open-mpi')" ||
    { echo "skipped: no mpirun of $launcher"; exit 77; }
[ -e "$(dirname "$program")/../lib/spikeport/mpi/$launcher.so" ] || { echo "skipped: built without $launcher"; exit 77; }
need_device

# As root, in a container, with more ranks than cores.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_btl_vader_single_copy_mechanism=none OMPI_MCA_btl_base_warn_component_unused=0 PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe

# ranks N train ...: as run, on N ranks.
ranks() {
    n=$1
    shift
    called="$* (on $n ranks, $launcher)"
    code=0
    timeout 300 "$mpirun" -n "$n" "$program" "$@" >"$work/out" 2>"$work/err" </dev/null || code=$?
}

same() {
    run diff "$1/checkpoint.safetensors" "$2/checkpoint.safetensors"
    expect_code 0
    expect_out "0 of"
}
