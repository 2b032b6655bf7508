# What the scripts of this folder begin with: `. "$(dirname "$0")/support.sh"`, once $program and $layer are known. A scratch folder
# $work, the folder $here, the layer over the device underneath; 77 where there is none. The caller names the profile.
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
unset SPIKEPORT_DEVICE SPIKEPORT_PLUGIN_PATH
"$program" devices >/dev/null 2>&1
[ $? -eq 4 ] && { echo "skipped: no OpenCL device"; exit 77; }
export OPENCL_LAYERS="$layer"
export SPIKEPORT_PROGRAM_CACHE=off # under another platform's name the driver's habits do not hold
