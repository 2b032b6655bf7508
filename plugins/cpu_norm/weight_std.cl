//@ plugin:    cpu_norm 1.0.0
//@ abi:       1
//@ include:   lanes.clh
//@ all:       device: cpu
//@ all:       score: 50
//@ all:       define: SLOTS = 64
//@ op:        weight_std.forward/1
//@ kernel:    weight_std_forward__slots
//@ global:    min(ceildiv(K, 16), SLOTS)
//@ local:     1
//@ kernel:    weight_std_forward__combine
//@ global:    ceildiv(O, 16)
//@ local:     1
//@ kernel:    weight_std_forward__apply
//@ global:    min(K, cu*16)
//@ local:     1
//@ define:    BACKWARD = 0
//@ workspace: min(ceildiv(K, 16), SLOTS)*4*O + 4*O
//@ about:     rows as they lie in memory: pairs of floats per slot of rows, then per output channel, then the weights
//@ op:        weight_std.backward/1
//@ kernel:    weight_std_backward__slots
//@ global:    min(ceildiv(K, 16), SLOTS)
//@ local:     1
//@ kernel:    weight_std_backward__combine
//@ global:    ceildiv(O, 16)
//@ local:     1
//@ kernel:    weight_std_backward__apply
//@ global:    min(K, cu*16)
//@ local:     1
//@ define:    BACKWARD = 1
//@ workspace: min(ceildiv(K, 16), SLOTS)*4*O + 2*O
//@ about:     rows as they lie in memory: two compensated sums per slot of rows, then the gradient of the weights

/* Weights [K][O], output channels in the lanes. work: [slot][4][O], two sums as pairs of floats (high, low) of the slot's rows, and
 * behind the slots what the last pass needs. Why pairs: see the reference kernel, cl_kernels/norm/weight_std.cl. Forward, sums are
 * of distances from the first row, so that one walk makes mean and variance and a mean far from zero does not drown the rest. */
#pragma OPENCL FP_CONTRACT OFF

#define BLOCK 4 /* vectors of sums in registers */

typedef struct {
    float16 hi, lo;
} pair;

/* Pairs travel by pointer: what returns a struct leaves marks in LLVM's code that Oclgrind 21.10 does not know. */
SP_INLINE void clear(pair *s)
{
    s->hi = s->lo = (float16)(0.0f);
}

/* s + v; what hi cannot hold goes to lo (Knuth's sum, no assumption on which is larger). */
SP_INLINE void add(pair *s, float16 v)
{
    const float16 t = s->hi + v, b = t - s->hi;
    s->lo += (s->hi - (t - b)) + (v - b);
    s->hi = t;
}

SP_INLINE void load_pair(pair *v, __global const float *p, int O, int lanes)
{
    v->hi = sp_load_lanes(p, lanes);
    v->lo = sp_load_lanes(p + O, lanes);
}

SP_INLINE void store_pair(const pair *v, __global float *p, int O, int lanes)
{
    sp_store_lanes(v->hi, p, lanes);
    sp_store_lanes(v->lo, p + O, lanes);
}

/* Both sums of 16 channels over the slots, in their order. */
SP_INLINE void join(__global const float *work, int slots, int O, int lanes, pair *a, pair *b)
{
    pair x, y;
    clear(a);
    clear(b);
    for (int s = 0; s < slots; s++, work += 4 * (ulong)O) {
        load_pair(&x, work, O, lanes);
        load_pair(&y, work + 2 * (ulong)O, O, lanes);
        add(a, x.hi);
        add(b, y.hi);
        a->lo += x.lo;
        b->lo += y.lo;
    }
}

#define SLOT_COUNT(K) min(((K) + 15) / 16, SLOTS)
#define SLOT_ROWS                                                                                            \
    const long slot = (long)get_global_id(0), slots = (long)get_global_size(0);                              \
    const int start = (int)(slot * K / slots), end = (int)((slot + 1) * K / slots);

/* EACH(vectors, lanes) for every block of channels from c on. */
#define BLOCKS(EACH)                                                                                         \
    int c = 0;                                                                                               \
    for (; c + 16 * BLOCK <= O; c += 16 * BLOCK)                                                             \
        EACH(BLOCK, 16);                                                                                     \
    for (; c + 16 <= O; c += 16)                                                                             \
        EACH(1, 16);                                                                                         \
    if (c < O)                                                                                               \
        EACH(1, O - c);

#if !BACKWARD
SP_INLINE void moments(__global const float *w, __global float *work, int start, int end, int O, int lanes, int vectors)
{
    float16 guess[BLOCK];
    pair sum[BLOCK], square[BLOCK];
    for (int v = 0; v < vectors; v++) {
        guess[v] = sp_load_lanes(w + v * 16, lanes);
        clear(&sum[v]);
        clear(&square[v]);
    }
    w += (ulong)start * (ulong)O;
    for (int k = start; k < end; k++, w += O)
        for (int v = 0; v < vectors; v++) {
            const float16 d = sp_load_lanes(w + v * 16, lanes) - guess[v], d2 = d * d;
            add(&sum[v], d);
            add(&square[v], d2);
            square[v].lo += fma(d, d, -d2);
        }
    for (int v = 0; v < vectors; v++) {
        store_pair(&sum[v], work + v * 16, O, lanes);
        store_pair(&square[v], work + 2 * (ulong)O + v * 16, O, lanes);
    }
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void weight_std_forward__slots(SP_IN(float, w), SP_OUT(float, work), int K, int O)
{
    SP_AT(w); SP_AT(work);
    SLOT_ROWS
    work += (ulong)slot * 4 * (ulong)O;
#define MOMENTS(vectors, lanes) moments(w + c, work + c, start, end, O, lanes, vectors)
    BLOCKS(MOMENTS)
}

/* Behind the slots: mean, its low part, and gain rstd as a pair. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void weight_std_forward__combine(SP_IN(float, w), SP_IN(float, gain), SP_IO(float, work), SP_OUT(float, mean),
                                 SP_OUT(float, rstd), int K, int O, float eps)
{
    SP_AT(w); SP_AT(gain); SP_AT(work); SP_AT(mean); SP_AT(rstd);
    const int c = (int)get_global_id(0) * 16, lanes = O - c, slots = SLOT_COUNT(K);
    const float n = (float)K, n1 = (float)max(K - 1, 1);
    const float16 guess = sp_load_lanes(w + c, lanes);
    pair sum, q;
    join(work + c, slots, O, lanes, &sum, &q);
    /* d = mean - guess, a pair; mean = guess + d, a pair */
    const float16 d = (sum.hi + sum.lo) / n, d_lo = (fma(-d, (float16)(n), sum.hi) + sum.lo) / n;
    pair mu = {guess, d_lo};
    add(&mu, d);
    const float16 mu_hi = mu.hi + mu.lo;
    mu.lo += mu.hi - mu_hi;
    mu.hi = mu_hi;
    /* squares of distances from the mean: q - n d^2, of which the high parts may cancel */
    const float16 s = sum.hi + sum.lo, s_lo = (sum.hi - s) + sum.lo;
    const float16 p = s * d, p_lo = fma(s, d, -p) + (s * d_lo + s_lo * d);
    add(&q, -p);
    q.lo -= p_lo;
    const float16 m2 = fmax(q.hi + q.lo, (float16)(0.0f)), m2_lo = (q.hi - (q.hi + q.lo)) + q.lo;
    /* var K = m2 n / (n - 1), as a pair, and a Newton step for the low part of 1 / sqrt */
    const float16 qn = m2 * n, qn_lo = fma(m2, (float16)(n), -qn) + m2_lo * n;
    const float16 t = qn / n1, t_lo = (fma(-t, (float16)(n1), qn) + qn_lo) / n1;
    pair v = {t, t_lo};
    add(&v, (float16)(eps));
    const float16 r = 1.0f / sqrt(v.hi), r2 = r * r;
    const float16 r_lo = -0.5f * r * (fma(v.hi, r2, (float16)(-1.0f)) + fma(v.hi, fma(r, r, -r2), v.lo * r2));
    const float16 g = sp_load_lanes(gain + c, lanes), scale = g * r;
    sp_store_lanes(mu.hi, mean + c, lanes);
    sp_store_lanes(r + r_lo, rstd + c, lanes);
    work += (ulong)slots * 4 * (ulong)O + c;
    store_pair(&mu, work, O, lanes);
    sp_store_lanes(scale, work + 2 * (ulong)O, lanes);
    sp_store_lanes(fma(g, r, -scale) + g * r_lo, work + 3 * (ulong)O, lanes);
}

/* w_hat = gain rstd (w - mean) */
SP_INLINE void standardise(__global const float *w, __global float *w_hat, __global const float *last, int O, int lanes)
{
    pair mu, scale;
    load_pair(&mu, last, O, lanes);
    load_pair(&scale, last + 2 * (ulong)O, O, lanes);
    const float16 d = (sp_load_lanes(w, lanes) - mu.hi) - mu.lo;
    sp_store_lanes(fma(d, scale.hi, d * scale.lo), w_hat, lanes);
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void weight_std_forward__apply(SP_IN(float, w), SP_OUT(float, w_hat), SP_IN(float, work), int K, int O)
{
    SP_AT(w); SP_AT(w_hat); SP_AT(work);
    SLOT_ROWS
    work += (ulong)SLOT_COUNT(K) * 4 * (ulong)O;
    for (int k = start; k < end; k++) {
        __global const float *from = w + (ulong)k * (ulong)O;
        __global float *to = w_hat + (ulong)k * (ulong)O;
#define STANDARDISE(vectors, lanes)                                                                          \
        for (int v = 0; v < (vectors); v++)                                                                  \
            standardise(from + c + v * 16, to + c + v * 16, work + c + v * 16, O, lanes)
        BLOCKS(STANDARDISE)
    }
}
#else

/* Sums of g and g z, z = (w - mean) rstd. */
SP_INLINE void sums(__global const float *g, __global const float *w, __global const float *mean,
                    __global const float *rstd, __global float *work, int rows, int O, int lanes, int vectors)
{
    float16 mu[BLOCK], r[BLOCK];
    pair sum_g[BLOCK], sum_gz[BLOCK];
    #pragma unroll
    for (int v = 0; v < vectors; v++) {
        mu[v] = sp_load_lanes(mean + v * 16, lanes);
        r[v] = sp_load_lanes(rstd + v * 16, lanes);
        clear(&sum_g[v]);
        clear(&sum_gz[v]);
    }
    for (int k = 0; k < rows; k++, g += O, w += O)
        #pragma unroll
        for (int v = 0; v < vectors; v++) {
            const float16 e = sp_load_lanes(g + v * 16, lanes);
            add(&sum_g[v], e);
            add(&sum_gz[v], e * ((sp_load_lanes(w + v * 16, lanes) - mu[v]) * r[v]));
        }
    #pragma unroll
    for (int v = 0; v < vectors; v++) {
        store_pair(&sum_g[v], work + v * 16, O, lanes);
        store_pair(&sum_gz[v], work + 2 * (ulong)O + v * 16, O, lanes);
    }
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
weight_std_backward__slots(SP_IN(float, g_w_hat), SP_IN(float, w), SP_IN(float, mean), SP_IN(float, rstd),
                           SP_OUT(float, work), int K, int O)
{
    SP_AT(g_w_hat); SP_AT(w); SP_AT(mean); SP_AT(rstd); SP_AT(work);
    SLOT_ROWS
    work += (ulong)slot * 4 * (ulong)O;
    g_w_hat += (ulong)start * (ulong)O;
    w += (ulong)start * (ulong)O;
#define SUMS(vectors, lanes)                                                                                 \
    sums(g_w_hat + c, w + c, mean + c, rstd + c, work + c, end - start, O, lanes, vectors)
    BLOCKS(SUMS)
}

/* Behind the slots: mean(g) and K / (K - 1) sum(g z). */
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void weight_std_backward__combine(SP_IO(float, work), SP_IO(float, g_gain), int K, int O)
{
    SP_AT(work); SP_AT(g_gain);
    const int c = (int)get_global_id(0) * 16, lanes = O - c, slots = SLOT_COUNT(K);
    pair sum_g, sum_gz;
    join(work + c, slots, O, lanes, &sum_g, &sum_gz);
    const float16 gz = sum_gz.hi + sum_gz.lo;
    sp_store_lanes(sp_load_lanes(g_gain + c, lanes) + gz, g_gain + c, lanes);
    work += (ulong)slots * 4 * (ulong)O + c;
    sp_store_lanes((sum_g.hi + sum_g.lo) / (float)K, work, lanes);
    sp_store_lanes((float)K / (float)max(K - 1, 1) * gz, work + O, lanes);
}

/* g_w += gain rstd (g - mean(g) - z K / (K - 1) sum(g z)) */
SP_INLINE void add_gradient(__global const float *g, __global const float *w, __global const float *gain,
                            __global const float *mean, __global const float *rstd, __global const float *last,
                            __global float *g_w, int O, int lanes)
{
    const float16 r = sp_load_lanes(rstd, lanes), z = (sp_load_lanes(w, lanes) - sp_load_lanes(mean, lanes)) * r;
    const float16 left = (sp_load_lanes(g, lanes) - sp_load_lanes(last, lanes)) - z * sp_load_lanes(last + O, lanes);
    sp_store_lanes(fma(sp_load_lanes(gain, lanes) * r, left, sp_load_lanes(g_w, lanes)), g_w, lanes);
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void weight_std_backward__apply(SP_IN(float, g_w_hat), SP_IN(float, w), SP_IN(float, gain), SP_IN(float, mean),
                                SP_IN(float, rstd), SP_IN(float, work), SP_IO(float, g_w), int K, int O)
{
    SP_AT(g_w_hat); SP_AT(w); SP_AT(gain); SP_AT(mean); SP_AT(rstd); SP_AT(work); SP_AT(g_w);
    SLOT_ROWS
    work += (ulong)SLOT_COUNT(K) * 4 * (ulong)O;
    for (int k = start; k < end; k++) {
        const ulong row = (ulong)k * (ulong)O;
#define GRADIENT(vectors, lanes)                                                                             \
        for (int at = c; at < c + (vectors) * 16; at += 16)                                                  \
            add_gradient(g_w_hat + row + at, w + row + at, gain + at, mean + at, rstd + at, work + at,       \
                         g_w + row + at, O, lanes)
        BLOCKS(GRADIENT)
    }
}
#endif
