# The program links no MPI and starts where there is none; only a launcher's environment makes it look for one, and what is
# missing is said.
. "$(dirname "$0")/support.sh"
tiny=$(cd "$(dirname "$0")/../../recipes" && pwd)/synthetic_tiny.yaml
if command -v ldd >/dev/null && ldd "$program" | grep -iE 'mpi(ch)?\.so|openrte|open-pal|pmix'; then
    fail "the program links MPI"
fi
if command -v readelf >/dev/null && readelf -d "$program" | grep NEEDED | grep -i mpi; then
    fail "the program needs MPI"
fi
export SPIKEPORT_PREFIX=$work/none
run version
expect_code 0
for launcher in OMPI_COMM_WORLD PMI; do
    export ${launcher}_SIZE=2 ${launcher}_RANK=0
    run train "$tiny" --out "$work/run"
    expect_code 1
    expect_err "this spikeport was built without support for it"
    expect_err "-dev and build again"
    [ ! -e "$work/run" ] || fail "a folder was made"
    export ${launcher}_SIZE=1 # one process: no MPI is needed
    run train "$tiny" --out "$work/run" --print-recipe
    expect_code 0
    unset ${launcher}_SIZE ${launcher}_RANK
done
