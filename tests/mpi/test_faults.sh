# Calls of MPI that fail, wait or hang, and ranks that are killed at any moment: see fault_sweep.
. "$(dirname "$0")/support.sh"
command -v python3 >/dev/null || { echo "skipped: no python3"; exit 77; }
"$(dirname "$0")/fault_sweep" "$program" "$(dirname "$program")/../tests/mpi/fault_$launcher.so" "$launcher" --most 2 --waits 1 --kills 30
