#!/bin/sh
# run.sh BUILD_DIR SOURCE_DIR MODULE TEST: a test of the Python package with the library of the build tree, by the first
# Python that has MODULE: SPIKEPORT_PYTHON, python3 of the path, that of the system.
build=$1 source=$2 module=$3 test=$4
for python in "$SPIKEPORT_PYTHON" python3 /usr/bin/python3; do
    [ -n "$python" ] && "$python" -c "import $module" 2>/dev/null && break
    python=
done
if [ -z "$python" ]; then
    echo "skipped: no Python with $module (SPIKEPORT_PYTHON names one; for numpy: apt-get install python3-numpy)"
    exit 77
fi
export SPIKEPORT_LIBRARY="$build/lib/libspikeport.so" SPIKEPORT_PROGRAM="$build/bin/spikeport" PYTHONPATH="$source/python"
export PYTHONDONTWRITEBYTECODE=1
exec "$python" "$source/tests/python/$test"
