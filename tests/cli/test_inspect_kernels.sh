#!/bin/sh
# What scripts/inspect_kernels says of wrong arguments and broken tools: one sentence and exit code 2, never a traceback, and a row for a
# source that does not compile. Vendors' compilers are stood in for by scripts, so that nothing needs to be unpacked. And how it reads
# what ptxas tells of several kernels, and a zebin's .ze_info.
set -eu
program=$1
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/tools/root/usr/bin" "$work/empty"
ocloc=$work/tools/root/usr/bin/ocloc
printf '#!/bin/sh\necho "1:4:7: error: no such name"\nexit 245\n' >"$ocloc"
chmod +x "$ocloc"
echo '__kernel void a(__global float *x) { x[0] = 1; }' >"$work/one.cl"
echo 'version: 1' >"$work/r.yaml"

expect() { # CODE TEXT ARGUMENT...
    want=$1 text=$2 code=0
    shift 2
    "$root/scripts/inspect_kernels" --tools "$work/tools" --target dg2 "$@" >"$work/out" 2>&1 || code=$?
    [ "$code" = "$want" ] || { cat "$work/out"; echo "exit code $code instead of $want: $*"; exit 1; }
    grep -qF -e "$text" "$work/out" || { cat "$work/out"; echo "no '$text': $*"; exit 1; }
    ! grep -q Traceback "$work/out" || { cat "$work/out"; echo "a traceback: $*"; exit 1; }
}
expect 2 'nothing.cl is neither a file nor a folder' "$work/nothing.cl"
expect 2 'gemm__tile is neither a file nor a folder' gemm__tile
expect 2 'has no manifest.json' "$work/empty"
expect 2 "there is no program $work/absent" --program "$work/absent" "$work/r.yaml"
expect 2 '--launches is not offered for dg2' "$work/r.yaml" --launches
expect 2 "$work/plugins is neither" --plugins "$work/plugins" "$work/one.cl"
expect 1 '| one.cl | dg2 | does not compile: ocloc: line 4:7: error: no such name |' "$work/one.cl"
expect 1 '"error": "ocloc: line 4:7: error: no such name"' --json "$work/one.cl"
expect 77 'skipped: the compiler for dg2' --tools "$work/empty" "$work/one.cl"
echo '{' >"$work/empty/manifest.json"
expect 2 'is not JSON' "$work/empty"

# A kernel of an outside plugin, whose metadata are found with --plugins alone.
mkdir -p "$work/folder/kernels" "$work/more/mine"
cp "$work/one.cl" "$work/folder/kernels/one.cl"
cat >"$work/folder/manifest.json" <<'JSON'
{"programs": [{"hash": "1", "op": "fill", "variant": "mine:all", "source": "kernels/one.cl", "kernels": [{"name": "a"}]}],
 "calls": [{"op": "fill", "variant": "mine:all", "program": "1", "shape": "M=4", "work": "4"}]}
JSON
printf '//@ op: fill\n//@ kernel: all\n' >"$work/more/mine/k.cl"
expect 2 'plugin mine, whose kernel all a program has, is neither in plugins/' "$work/folder"
expect 1 'no such name' --plugins "$work/more" "$work/folder"
printf '//@ op: fill\n//@ kernel: other\n' >"$work/more/mine/k.cl"
expect 2 'mine has no kernel all of op fill' --plugins "$work/more" "$work/folder"

# Interrupted while the compiler runs, which ends by itself.
printf '#!/bin/sh\ntouch "%s/started"\nsleep 1\n' "$work" >"$ocloc"
python3 - "$root/scripts/inspect_kernels" "$work" <<'PY'
import os, signal, subprocess, sys, time
work = sys.argv[2]
p = subprocess.Popen([sys.executable, sys.argv[1], "--tools", work + "/tools", "--target", "dg2", work + "/one.cl"], stderr=subprocess.PIPE,
                     stdout=subprocess.DEVNULL, text=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
for _ in range(3000):
    if os.path.exists(work + "/started"):
        break
    time.sleep(0.01)
p.send_signal(signal.SIGINT)
told = p.communicate()[1]
assert p.returncode == 130 and told == "inspect_kernels: stopped\n", (p.returncode, told)
PY
chmod -x "$ocloc"
expect 2 'ocloc cannot be run (Permission denied)' "$work/one.cl"

python3 - "$root/scripts/inspect_kernels" <<'PY'
import importlib.machinery, importlib.util, struct, sys
sys.dont_write_bytecode = True
loader = importlib.machinery.SourceFileLoader("inspect_kernels", sys.argv[1])
tool = importlib.util.module_from_spec(importlib.util.spec_from_loader("inspect_kernels", loader))
loader.exec_module(tool)

told = """ptxas info    : Compiling entry function 'plain' for 'sm_90'
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 12 registers
ptxas info    : Compiling entry function 'tile' for 'sm_90'
    4000 bytes stack frame, 8 bytes spill stores, 8 bytes spill loads
ptxas info    : Used 32 registers, 17408 bytes smem
"""
plain, tile = (tool.nvidia_resources(told, name) for name in ("plain", "tile"))
assert (plain["local"], plain["scratch"], plain["waves"]) == (0, 0, 16), plain
assert (tile["local"], tile["scratch"], tile["waves"]) == (17408, 4000, None), tile # the frame has the spills
assert tool.fault_of(tool.nvidia_resources(None, "tile")) == "scratch unknown"

def amd(private, spills):
    part = "".join("    .%s: %d\n" % x for x in (("group_segment_fixed_size", 0), ("private_segment_fixed_size", private), ("vgpr_count", 256),
                                                  ("vgpr_spill_count", spills), ("wavefront_size", 32)))
    return tool.amd_resources("one:\n; Occupancy: 4\namdhsa.kernels:\n  - .args:\n    .name: one\n" + part, "one")["scratch"]
assert (amd(572, 242), amd(0, 0), amd(64, 0), amd(0, 2)) == (572, 0, 64, 8) # clang 19 told the first of a kernel with "ScratchSize: 572"

text = b"""---
version: '1.20'
kernels:
  - name:            one
    execution_env:
      simd_size:       32
      slm_size:        1024
    per_thread_memory_buffers:
      - type:            global
        usage:           private_space
        size:            4000
        is_simt_thread:  true
      - type:            scratch
        usage:           spill_fill_space
        size:            64
  - name:            two
    execution_env:
      simd_size:       16
kernels_misc_info:
  - name:            one
"""
def section(kind):
    return struct.pack("<IIQQQQ24x", 0, kind, 0, 0, 64 if kind else 0, len(text) if kind else 0)
def elf(kind):
    return struct.pack("<40xQ10xHH2x", 64 + len(text), 64, 2) + text + section(0) + section(kind)
assert tool.ze_info(elf(tool.ZE_INFO)) == {"one": (32, 128064, 1024), "two": (16, 0, 0)}, tool.ze_info(elf(tool.ZE_INFO))
assert tool.ze_info(elf(1)) == {}
PY
