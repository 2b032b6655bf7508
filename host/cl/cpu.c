/* What the processor under this process can do that no OpenCL query tells. Kernels may use it only where they
 * run in this process: the quirk INLINE_ASSEMBLY says which drivers do that. */
#define _GNU_SOURCE /* syscall, RTLD_DEFAULT */
#include "cl/internal.h"

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <dlfcn.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Registers that the system saves: AVX (1, 2), AVX-512 (5 to 7), AMX tile configuration and tile data (17,
 * 18). */
enum { VECTORS = 0x6 | 0xe0, TILES = 0x60000 };

static bool saves_state(unsigned needed)
{
    unsigned a, b, c, d, low, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
        return false;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & needed) == needed;
}

/* AVX-512 with products of bf16 and, where `amx` is set, AMX tiles and theirs. */
static bool has_instructions(bool amx)
{
    enum { F = 1 << 16, BW = 1 << 30, AMX_BF16 = 1 << 22, AMX_TILE = 1 << 24, AVX512_BF16 = 1 << 5 };
    const unsigned vl = 1u << 31;
    unsigned a, b, c, d, a1, b1, c1, d1;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && __get_cpuid_count(7, 1, &a1, &b1, &c1, &d1) &&
           (b & F) && (b & BW) && (b & vl) && (a1 & AVX512_BF16) &&
           (!amx || ((d & AMX_BF16) && (d & AMX_TILE)));
}

bool sp_cpu_has_avx512_bf16(void)
{
    return has_instructions(false) && saves_state(VECTORS);
}

/* Linux asks a process to request tile data once before any of its threads uses them. The permission holds
 * for the whole process, also for threads that a driver has started before. */
bool sp_cpu_has_amx_bf16(void)
{
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, TILE_DATA = 18 };
    return has_instructions(true) && saves_state(VECTORS | TILES) &&
           syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, TILE_DATA) == 0;
}

/* tests/emulate/amx.c, preloaded, takes the signals that tiles raise on a processor without them. */
bool sp_cpu_emulates_amx_bf16(void)
{
    bool (*emulates)(void);
    *(void **)&emulates = dlsym(RTLD_DEFAULT, "spikeport_emulates_amx_bf16");
    return emulates && emulates() && sp_cpu_has_avx512_bf16() && !sp_cpu_has_amx_bf16();
}
#else
bool sp_cpu_has_avx512_bf16(void)
{
    return false;
}

bool sp_cpu_has_amx_bf16(void)
{
    return false;
}

bool sp_cpu_emulates_amx_bf16(void)
{
    return false;
}
#endif
