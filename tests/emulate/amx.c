/* The tile instructions of AMX with products of bf16, for a processor that has AVX-512 but no AMX. Preloaded
 * (LD_PRELOAD), it answers the signal of an unknown instruction: it reads the instruction, does in C what
 * Intel's Software Developer's Manual says of it, and goes on behind it. So kernels of plugins/cpu_amx run
 * as they are, instruction by instruction, thousands of times slower than on tiles. Their results are
 * checked, their speed is not. */
#define _GNU_SOURCE /* RTLD_NEXT, registers of ucontext_t */
#include <dlfcn.h>
#include <immintrin.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>

#define EXPORTED __attribute__((visibility("default")))

/* What host/cl/cpu.c looks for. */
EXPORTED bool spikeport_emulates_amx_bf16(void);
bool spikeport_emulates_amx_bf16(void)
{
    return true;
}

enum { N_TILES = 8, N_ROWS = 16, ROW = 64 };

/* Of each thread: its tiles, 16 rows of 64 bytes, and what ldtilecfg has said of them. */
typedef struct unit {
    bool configured;
    uint8_t rows[N_TILES];
    uint16_t bytes[N_TILES]; /* of a row */
    _Alignas(64) uint8_t tile[N_TILES][N_ROWS][ROW];
} unit;
static _Thread_local unit tiles __attribute__((tls_model("initial-exec"))); // a handler must not allocate

typedef struct instruction {
    int map, prefix, opcode, vvvv, reg, rm;
    bool memory, plain; /* neither VEX.W nor VEX.L */
    uint8_t *address;
    int64_t index; /* of the memory operand, scaled: the distance of rows */
    size_t size;
} instruction;

/* General register `i` as instructions number them. */
static int64_t general(const ucontext_t *u, int i)
{
    static const int at[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                               REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
    return u->uc_mcontext.gregs[at[i]];
}

/* ModRM and what follows it: SIB and displacement. False: relative to the instruction pointer. */
static bool decode_memory(const ucontext_t *u, const uint8_t *p, bool x, bool b, instruction *i)
{
    const int mod = p[0] >> 6;
    int base = (p[0] & 7) + 8 * b;
    size_t n = 1;
    i->index = 0;
    if ((p[0] & 7) == 4) {
        const int index = (p[1] >> 3 & 7) + 8 * x;
        base = (p[1] & 7) + 8 * b;
        if (index != 4)
            i->index = (int64_t)((uint64_t)general(u, index) << (p[1] >> 6));
        n = 2;
    }
    const bool none = mod == 0 && (base & 7) == 5; // no base, but a displacement of 32 bits
    if (none && n == 1)
        return false;
    int64_t displacement = 0;
    if (mod == 1) {
        displacement = (int8_t)p[n];
        n += 1;
    } else if (mod == 2 || none) {
        int32_t d;
        memcpy(&d, p + n, sizeof d);
        displacement = d;
        n += sizeof d;
    }
    i->address = (uint8_t *)(uintptr_t)((none ? 0 : general(u, base)) + displacement);
    i->size += n;
    return true;
}

/* An instruction with a VEX prefix of three bytes: C4, then R X B and the map, then W vvvv L and the prefix,
 * then the opcode. */
static bool decode(const ucontext_t *u, const uint8_t *p, instruction *i)
{
    if (p[0] != 0xc4)
        return false;
    const bool r = !(p[1] & 0x80), x = !(p[1] & 0x40), b = !(p[1] & 0x20);
    *i = (instruction){.map = p[1] & 31, .prefix = p[2] & 3, .opcode = p[3], .vvvv = ~(p[2] >> 3) & 15};
    i->plain = !(p[2] & 0x84);
    i->reg = (p[4] >> 3 & 7) + 8 * r;
    i->rm = (p[4] & 7) + 8 * b;
    i->memory = p[4] >> 6 != 3;
    i->size = 4;
    if (i->memory)
        return decode_memory(u, p + 4, x, b, i);
    i->size++;
    return true;
}

static bool configure(const uint8_t *from)
{
    if (from[0] > 1) // palette: 0 releases the tiles, 1 is the only other one
        return false;
    memset(&tiles, 0, sizeof tiles);
    tiles.configured = from[0] == 1;
    for (int i = 0; tiles.configured && i < N_TILES; i++) {
        memcpy(&tiles.bytes[i], from + 16 + 2 * i, 2);
        tiles.rows[i] = from[48 + i];
        if (tiles.rows[i] > N_ROWS || tiles.bytes[i] > ROW)
            return false;
    }
    return true;
}

static bool is_tile(int i)
{
    return i < N_TILES && tiles.configured && tiles.rows[i] && tiles.bytes[i];
}

static void load(int t, const uint8_t *from, int64_t step)
{
    memset(tiles.tile[t], 0, sizeof tiles.tile[t]);
    for (int r = 0; r < tiles.rows[t]; r++)
        memcpy(tiles.tile[t][r], from + r * step, tiles.bytes[t]);
}

static void store(int t, uint8_t *to, int64_t step)
{
    for (int r = 0; r < tiles.rows[t]; r++)
        memcpy(to + r * step, tiles.tile[t][r], tiles.bytes[t]);
}

/* tdpbf16ps: pairs of bf16 of row m of `a` times those of column n of `b`. The even and the odd ones have
 * sums of their own, which begin at zero, are rounded to nearest even after each product and sum, and take
 * numbers too small for a normal one as zero. */
__attribute__((target("avx512f"))) static bool multiply(int sum, int a, int b)
{
    const __m512i odd = _mm512_set1_epi32((int)0xffff0000u);
    const int pairs = tiles.bytes[a] / 4;
    if (tiles.rows[sum] != tiles.rows[a] || tiles.bytes[sum] != tiles.bytes[b] || tiles.rows[b] != pairs)
        return false;
    const unsigned before = _mm_getcsr();
    _mm_setcsr(0x9fc0); // no exceptions, to nearest even, no subnormal numbers
    for (int m = 0; m < tiles.rows[a]; m++) {
        __m512 s0 = _mm512_setzero_ps(), s1 = s0;
        for (int k = 0; k < pairs; k++) {
            int pair;
            memcpy(&pair, tiles.tile[a][m] + 4 * k, sizeof pair);
            const __m512i left = _mm512_set1_epi32(pair), right = _mm512_load_si512(tiles.tile[b][k]);
            s0 = _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_slli_epi32(left, 16)),
                                 _mm512_castsi512_ps(_mm512_slli_epi32(right, 16)), s0);
            s1 = _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_and_si512(left, odd)),
                                 _mm512_castsi512_ps(_mm512_and_si512(right, odd)), s1);
        }
        float *to = (float *)tiles.tile[sum][m];
        _mm512_store_ps(to, _mm512_add_ps(_mm512_load_ps(to), _mm512_add_ps(s0, s1)));
    }
    _mm_setcsr(before);
    return true;
}

/* False: none of these instructions, or one that a processor with AMX would refuse. */
static bool run(const instruction *i)
{
    enum { NONE, P66, PF3, PF2, TILES = 0x49, DATA = 0x4b, PRODUCT = 0x5c };
    if (i->map != 2 || !i->plain)
        return false;
    if (i->opcode == PRODUCT && i->prefix == PF3 && !i->memory)
        return is_tile(i->reg) && is_tile(i->rm) && is_tile(i->vvvv) && i->reg != i->rm &&
               i->reg != i->vvvv && i->rm != i->vvvv && multiply(i->reg, i->rm, i->vvvv);
    if (i->vvvv != 0)
        return false;
    if (i->opcode == DATA && i->memory && i->prefix != NONE) { // PF2, P66 (with a hint): load, PF3: store
        if (!is_tile(i->reg))
            return false;
        if (i->prefix == PF3)
            store(i->reg, i->address, i->index);
        else
            load(i->reg, i->address, i->index);
        return true;
    }
    if (i->opcode != TILES)
        return false;
    if (i->prefix == PF2 && !i->memory && is_tile(i->reg)) { // tilezero
        memset(tiles.tile[i->reg], 0, sizeof tiles.tile[0]);
        return true;
    }
    if (i->prefix == NONE && !i->memory && i->reg == 0 && i->rm == 0) { // tilerelease
        memset(&tiles, 0, sizeof tiles);
        return true;
    }
    return i->prefix == NONE && i->memory && i->reg == 0 && configure(i->address); // ldtilecfg
}

/* Handlers of others, LLVM's among them, which it puts in place while it writes files. */
static struct sigaction others;

static void pass_on(int number, siginfo_t *info, void *context)
{
    if (others.sa_flags & SA_SIGINFO) {
        others.sa_sigaction(number, info, context);
    } else if (others.sa_handler != SIG_DFL && others.sa_handler != SIG_IGN) {
        others.sa_handler(number);
    } else { // the instruction is met again, and the process ends as it would have
        signal(number, SIG_DFL);
    }
}

static void on_unknown_instruction(int number, siginfo_t *info, void *context)
{
    ucontext_t *u = context;
    instruction i;
    size_t n = 0;
    for (;; n++) { // a signal for several of them that follow each other
        const uint8_t *at = (const uint8_t *)(uintptr_t)u->uc_mcontext.gregs[REG_RIP];
        if (!decode(u, at, &i) || !run(&i))
            break;
        u->uc_mcontext.gregs[REG_RIP] += (greg_t)i.size;
    }
    if (n == 0)
        pass_on(number, info, context);
}

typedef int set_action(int, const struct sigaction *, struct sigaction *);

static set_action *next_sigaction(void)
{
    set_action *f;
    *(void **)&f = dlsym(RTLD_NEXT, "sigaction");
    return f;
}

/* The handler stays, whoever wants another one. */
EXPORTED int sigaction(int number, const struct sigaction *wanted, struct sigaction *before)
{
    if (number != SIGILL)
        return next_sigaction()(number, wanted, before);
    const struct sigaction old = others;
    if (wanted)
        others = *wanted;
    if (before)
        *before = old;
    return 0;
}

__attribute__((constructor)) static void begin(void)
{
    struct sigaction own = {.sa_sigaction = on_unknown_instruction, .sa_flags = SA_SIGINFO};
    sigemptyset(&own.sa_mask);
    next_sigaction()(SIGILL, &own, NULL);
}
