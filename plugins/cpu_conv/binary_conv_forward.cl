//@ plugin:    cpu_conv 1.0.0
//@ abi:       1
//@ include:   macros.clh
//@ all:       device: cpu
//@ all:       bake: H W C O KH KW SH SW PH PW DH DW HO WO
//@ let:       WINDOW = KH*KW*ceildiv(C, 32)
//@ op:        binary_conv.forward/1
//@ kernel:    binary_conv_forward__planes
//@ global:    cu*16
//@ local:     1
//@ when:      O >= 16 && WINDOW <= 4000 && 64*WINDOW + 131072 <= private_bytes
//@ score:     80
//@ about:     32 input channels of 16 outputs at a time; carry-save adders count bits in planes, for two pixels together

/* y = x * w [+ bias] of spikes and binary weights: 2 popcount(x & w) - popcount(x), summed over the words of a window. A
 * work-item takes units: a strip of output pixels and a panel of outputs. It copies the windows of the strip, each to a row
 * of words (zeros for what lies outside, which add nothing), and for 16 outputs their words of weights; then bits of x & w
 * are added up in every place of a word by itself, by adders that take three bits to a sum and a carry: no instruction for
 * population counts is needed, and few CPUs have one for vectors. Eights are counted by bytes. */

#define WORDS SP_WORDS(C)
#define WINDOW (KH * KW * WORDS)
#define PIXELS MAX(2, MIN(64, 16384 / WINDOW / 2 * 2))
#define VECS CEIL(O, 16)
#define PANELS CEIL(VECS, 8)

#define ODD 0x55555555u
#define PAIRS 0x33333333u
#define NIBBLES 0x0f0f0f0fu
#define HALVES 0x00ff00ffu

/* Two words for a and b: their sum in each place. */
#define ADD3(carry, sum, a, b, c)                                                                            \
    do {                                                                                                     \
        const uint16 a_ = a, b_ = b, c_ = c, either = a_ ^ b_;                                               \
        carry = (a_ & ~either) | (c_ & either);                                                              \
        sum = either ^ c_;                                                                                   \
    } while (0)

/* Numbers of bits of each nibble, and of each byte. */
SP_INLINE uint16 nibbles_of(uint16 x)
{
    x -= (x >> 1u) & (uint16)(ODD);
    return (x & (uint16)(PAIRS)) + ((x >> 2u) & (uint16)(PAIRS));
}

SP_INLINE uint16 bytes_of(uint16 nibbles)
{
    return (nibbles + (nibbles >> 4u)) & (uint16)(NIBBLES);
}

/* The same where nibbles hold more than 7. */
SP_INLINE uint16 both_nibbles(uint16 x)
{
    return (x & (uint16)(NIBBLES)) + ((x >> 4u) & (uint16)(NIBBLES));
}

SP_INLINE uint16 halves_of(uint16 bytes)
{
    return (bytes & (uint16)(HALVES)) + ((bytes >> 8u) & (uint16)(HALVES));
}

/* Bits of both windows and weights. w: [WINDOW] vectors. */
typedef struct {
    uint16 ones, twos, fours, bytes, halves;
} planes;

#define BOTH(k) (w[k] & (uint16)(x[k]))

SP_INLINE void add_four(planes *p, uint16 *four, const uint *x, const uint16 *w)
{
    uint16 a, b;
    ADD3(a, p->ones, p->ones, BOTH(0), BOTH(1));
    ADD3(b, p->ones, p->ones, BOTH(2), BOTH(3));
    ADD3(*four, p->twos, p->twos, a, b);
}

SP_INLINE void add_eight(planes *p, const uint *x, const uint16 *w)
{
    uint16 a, b, eight;
    add_four(p, &a, x, w);
    add_four(p, &b, x + 4, w + 4);
    ADD3(eight, p->fours, p->fours, a, b);
    p->bytes += bytes_of(nibbles_of(eight));
}

/* The last words of a window, fewer than eight, and the sum of all. */
SP_INLINE uint16 finish(planes *p, const uint *x, const uint16 *w)
{
    uint16 eight = (uint16)(0u), carry;
#define CARRY(plane)                                                                                         \
    do {                                                                                                     \
        const uint16 next = p->plane & carry;                                                                \
        p->plane ^= carry;                                                                                   \
        carry = next;                                                                                        \
    } while (0)
#if WINDOW & 4
    add_four(p, &carry, x, w);
    CARRY(fours);
    eight |= carry;
    x += 4, w += 4;
#endif
#if WINDOW & 2
    ADD3(carry, p->ones, p->ones, BOTH(0), BOTH(1));
    CARRY(twos);
    CARRY(fours);
    eight |= carry;
    x += 2, w += 2;
#endif
#if WINDOW & 1
    carry = BOTH(0);
    CARRY(ones);
    CARRY(twos);
    CARRY(fours);
    eight |= carry;
#endif
    /* at most 12 a nibble and 24 a byte; then 120 a byte */
    const uint16 low = nibbles_of(p->ones) + 2u * nibbles_of(p->twos), high = nibbles_of(p->fours) + 2u * nibbles_of(eight);
    const uint16 few = both_nibbles(low) + 4u * both_nibbles(high);
    const uint16 halves = 8u * (p->halves + halves_of(p->bytes)) + halves_of(few);
    return (halves & (uint16)(0xffffu)) + (halves >> 16u);
}

SP_INLINE void flush(planes *p)
{
    p->halves += halves_of(p->bytes);
    p->bytes = (uint16)(0u);
}

/* The windows of output pixels m .. m + n - 1, and how many spikes are in each. */
SP_INLINE void gather(uint *to, int *spikes, __global const uint *x, long m, int n)
{
    for (int i = 0; i < n; i++, m++) {
        const int iy0 = (int)(m / WO % HO) * SH - PH, ix0 = (int)(m % WO) * SW - PW;
        __global const uint *image = x + m / (HO * WO) * (H * W * WORDS);
        int sum = 0;
        for (int ky = 0; ky < KH; ky++)
            for (int kx = 0; kx < KW; kx++) {
                const int iy = iy0 + ky * DH, ix = ix0 + kx * DW;
                const bool inside = iy >= 0 && iy < H && ix >= 0 && ix < W;
                for (int k = 0; k < WORDS; k++) {
                    const uint word = inside ? image[(iy * W + ix) * WORDS + k] : 0u;
                    sum += (int)popcount(word);
                    *to++ = word;
                }
            }
        spikes[i] = sum;
    }
}

/* 2 both - spikes as float, without a conversion of vectors of integers, which takes some compilers long. */
SP_INLINE float16 difference(uint16 both, int spikes)
{
    return as_float16(both + both + (uint16)(0x4b400000u - (uint)spikes)) - (float16)(12582912.0f);
}

SP_INLINE void strip(const uint16 *w, __global const float *bias, __global float *y, const uint *x, const int *spikes, int n)
{
    const planes none = {(uint16)(0u), (uint16)(0u), (uint16)(0u), (uint16)(0u), (uint16)(0u)};
#if BIAS
    const float16 start = vload16(0, bias);
#else
    const float16 start = (float16)(0.0f);
#endif
    for (int i = 0; i < n; i += 2) {
        const int next = min(i + 1, n - 1); /* the last pixel once more where their number is odd */
        const uint *xa = x + i * WINDOW, *xb = x + next * WINDOW;
        planes a = none, b = none;
        int k = 0;
        for (int block = 0; block < WINDOW / 8; block++, k += 8) {
            add_eight(&a, xa + k, w + k);
            add_eight(&b, xb + k, w + k);
            if (WINDOW > 248 && block % 31 == 30) {
                flush(&a); /* before a byte is full */
                flush(&b);
            }
        }
        vstore16(start + difference(finish(&a, xa + k, w + k), spikes[i]), 0, y + (ulong)i * O);
        vstore16(start + difference(finish(&b, xb + k, w + k), spikes[next]), 0, y + (ulong)next * O);
    }
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void binary_conv_forward__planes(SP_IN(uint, x), SP_IN(uint, w),
#if BIAS
                                 SP_IN(float, bias),
#endif
                                 SP_OUT(float, y), int N)
{
    SP_AT(x); SP_AT(w); SP_AT(y);
#if BIAS
    SP_AT(bias);
#else
    __global const float *bias = y;
#endif
    uint windows[PIXELS * WINDOW];
    uint16 signs[WINDOW];
    int spikes[PIXELS];
    const long pixels = (long)N * HO * WO, strips = CEIL(pixels, PIXELS), units = strips * PANELS;
    const long item = (long)get_global_id(0), items = (long)get_global_size(0);
    for (long unit = item * units / items; unit < (item + 1) * units / items; unit++) {
        const long m = unit / PANELS * PIXELS;
        const int panel = (int)(unit % PANELS), n = (int)min((long)PIXELS, pixels - m);
        gather(windows, spikes, x, m, n);
        for (int v = panel * VECS / PANELS; v < (panel + 1) * VECS / PANELS; v++) {
            const int o = min(v * 16, O - 16); /* the last vector begins early where O is no multiple of 16 */
            for (int k = 0; k < WINDOW; k++)
                signs[k] = vload16(0, w + (ulong)k * O + o);
            strip(signs, bias + o, y + (ulong)m * O + o, windows, spikes, n);
        }
    }
}
