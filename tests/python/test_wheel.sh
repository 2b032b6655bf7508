#!/usr/bin/env bash
# test_wheel.sh SOURCE_DIR: builds the wheel, installs it in an environment of its own and trains from there, without the
# source tree. Prints its size and the times.
set -euo pipefail
source=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python=/usr/bin/python3
for module in venv ensurepip numpy setuptools wheel; do
    "$python" -c "import $module" 2>/dev/null ||
        { echo "skipped: apt-get install python3-venv python3-numpy python3-setuptools python3-wheel"; exit 77; }
done
mkdir "$work/tree"
git -C "$source" ls-files -z --cached --others --exclude-standard | (cd "$source" && xargs -0 cp --parents -t "$work/tree" 2>/dev/null || true)
"$python" -m venv --system-site-packages "$work/env" # numpy, setuptools and wheel are the system's
start=$(date +%s)
"$work/env/bin/pip" -q wheel --no-deps --no-build-isolation -w "$work/dist" "$work/tree/python"
built=$(date +%s)
"$work/env/bin/pip" -q install --no-deps "$work"/dist/*.whl
echo "$(basename "$work"/dist/*.whl): $(du -k "$work"/dist/*.whl | cut -f1) KiB, built in $((built - start)) s, installed in $(($(date +%s) - built)) s"
rm -rf "$work/tree"
cd "$work"
"$work/env/bin/python" - <<'END'
import pathlib
import spikeport
here = pathlib.Path(spikeport.__file__).parent
assert (here / "_prefix/lib/libspikeport.so.0").exists() and "env" in str(here), here
libraries = sorted(p.name for p in (here / "_prefix/lib").glob("*.so*"))
print(libraries)
network = spikeport.train("synthetic_tiny", "run", set={"plugins.gemm": "gemm_clblast"})  # recipe and plugin of the wheel
assert network.evaluate().accuracy > 0.9
opened = {line.split()[-1] for line in open("/proc/self/maps") if ".so" in line}
for name in libraries:  # what is bundled is what runs, but for what Python itself had open
    assert name == "libz.so.1" or any(path.endswith("_prefix/lib/" + name) for path in opened), name
END
