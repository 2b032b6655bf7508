/* build.sh of a package for FPGAs: the vendor's commands from the files to one image, and link.cfg for v++.
 * The image is one for all kernels, because changing it on the device costs seconds. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/mem.h"
#include "registry/package_internal.h"

static void add_intel(sp_text *t, const sp_package *p)
{
    sp_text_add(t, "#!/bin/sh\n"
                   "# Intel FPGA SDK for OpenCL (Pro Edition; last release 22.4). Usage:\n"
                   "#   ./build.sh emulator            minutes; for the fast emulator\n"
                   "#   BOARD=name ./build.sh report   minutes; area and loop report, no image\n"
                   "#   BOARD=name ./build.sh hardware hours\n"
                   "# BOARD: one of `aoc -list-boards`. AOCFLAGS is passed on.\n"
                   "set -eu\n"
                   "cd \"$(dirname \"$0\")\"\n"
                   "board=${BOARD:+-board=$BOARD}\n"
                   "files=\"");
    for (size_t i = 0; i < p->n_programs; i++)
        sp_text_add(t, "%s%s", i ? "\n" : "", p->programs[i].source);
    sp_text_add(t, "\"\n"
                   "case ${1:-emulator} in\n"
                   "emulator) aoc -march=emulator $board ${AOCFLAGS:-} $files -o spikeport.aocx ;;\n"
                   "report) exec aoc -rtl -report $board ${AOCFLAGS:-} $files -o spikeport.aocr ;;\n"
                   "hardware) aoc -report $board ${AOCFLAGS:-} $files -o spikeport.aocx ;;\n"
                   "*) echo \"usage: build.sh emulator|report|hardware\" >&2; exit 2 ;;\n"
                   "esac\n"
                   "cksum <spikeport.aocx >spikeport.aocx.cksum # a run refuses an image without its "
                   "checksum\n");
}

static void add_amd(sp_text *t, const sp_package *p)
{
    sp_text_add(t, "#!/bin/sh\n"
                   "# AMD Vitis with XRT. Usage:\n"
                   "#   PLATFORM=xilinx_... ./build.sh sw_emu|hw_emu|hw\n"
                   "# PLATFORM: one of `platforminfo -l`. VPPFLAGS is passed on. Banks of memory: link.cfg.\n"
                   "set -eu\n"
                   "cd \"$(dirname \"$0\")\"\n"
                   "target=${1:-sw_emu}\n"
                   ": \"${PLATFORM:?set PLATFORM to the name or .xpfm file of the platform}\"\n"
                   "mkdir -p xo\n"
                   "kernel() { # NAME FILE\n"
                   "    v++ -c -t \"$target\" --platform \"$PLATFORM\" ${VPPFLAGS:-} -k \"$1\" -o "
                   "\"xo/$1.xo\" \"$2\"\n"
                   "}\n");
    for (size_t i = 0; i < p->n_programs; i++)
        for (int k = 0; k < p->programs[i].n_kernels; k++)
            sp_text_add(t, "kernel %s %s\n", p->programs[i].kernels[k].name, p->programs[i].source);
    sp_text_add(t, "v++ -l -t \"$target\" --platform \"$PLATFORM\" ${VPPFLAGS:-} --config link.cfg -o "
                   "spikeport.xclbin xo/*.xo\n"
                   "[ \"$target\" = hw ] || emconfigutil --platform \"$PLATFORM\" --nd 1 # emconfig.json, "
                   "for XCL_EMULATION_MODE\n"
                   "cksum <spikeport.xclbin >spikeport.xclbin.cksum # a run refuses an image without its "
                   "checksum\n");
}

/* One instance of each kernel, all in the first bank: replace DDR[0] where a platform has others (HBM[n],
 * PLRAM[n]). Buffers are ranges of one arena, so every argument of a run must see the same bank. */
static void add_link(sp_text *t, const sp_package *p)
{
    sp_text_add(t, "[connectivity]\n");
    for (size_t i = 0; i < p->n_programs; i++)
        for (int k = 0; k < p->programs[i].n_kernels; k++) {
            const sp_packed_kernel *q = &p->programs[i].kernels[k];
            sp_text_add(t, "nk=%s:1:%s_1\n", q->name, q->name);
            for (cl_uint a = 0; a < q->n_args; a++)
                if (q->args[a].global)
                    sp_text_add(t, "sp=%s_1.%s:DDR[0]\n", q->name, q->args[a].name);
        }
}

sp_status sp_package_write_scripts(const sp_package *p, const sp_package_options *o, sp_error *err)
{
    sp_text script = {0}, link = {0};
    bool amd = p->target == SP_TARGET_AMD_FPGA;
    if (amd) {
        add_amd(&script, p);
        add_link(&link, p);
    } else {
        add_intel(&script, p);
    }
    char *path = sp_format("%s/build.sh", o->folder);
    sp_status st = script.failed || link.failed || !path
                       ? SP_FAIL(err, SP_E_MEMORY, "out of memory for build.sh")
                       : SP_OK;
    if (st == SP_OK)
        st = sp_package_write_file(o->folder, "build.sh", script.s, script.n, err);
    if (st == SP_OK && amd)
        st = sp_package_write_file(o->folder, "link.cfg", link.s, link.n, err);
    if (st == SP_OK && chmod(path, 0755) != 0)
        st = SP_FAIL(err, SP_E_IO, "%s cannot be made executable", path);
    sp_free(path);
    sp_text_free(&script);
    sp_text_free(&link);
    return st;
}
