/* C references of quantised weights, where all is exact in float32 but the one rounding, and of neurons whose
 * state is an integer. */
#include "op/quantise.h"

#include <math.h>
#include <string.h>

#include "op/references.h"

int sp_quantise_exponent(float largest, int bits)
{
    int e = (largest > 0 && isfinite(largest) ? ilogbf(largest) : 0) - bits;
    while (ldexpf(1.5f * (float)sp_quantise_most(bits), e) < largest)
        e++;
    return e;
}

float sp_quantise_code(float x, int exponent, int bits)
{
    const float q = (float)sp_quantise_most(bits), r = rintf(ldexpf(x, -exponent));
    return r > q ? q : r < -q ? -q : r;
}

void quantise_largest_ref(const sp_op_call *call, void *const *buf)
{
    const float *x = buf[0];
    float *largest = buf[1];

    largest[0] = 0;
    for (int64_t i = 0; i < sp_call_int(call, "M"); i++)
        largest[0] = fmaxf(largest[0], fabsf(x[i]));
}

void quantise_column_largest_ref(const sp_op_call *call, void *const *buf)
{
    const float *x = buf[0];
    float *largest = buf[1];
    const int64_t M = sp_call_int(call, "M"), C = sp_call_int(call, "C");

    for (int64_t c = 0; c < C; c++) {
        largest[c] = 0;
        for (int64_t i = c; i < M * C; i += C)
            largest[c] = fmaxf(largest[c], fabsf(x[i]));
    }
}

void quantise_apply_ref(const sp_op_call *call, void *const *buf)
{
    const float *x = buf[0], *largest = buf[1];
    float *y = buf[2];
    const int bits = (int)sp_call_int(call, "bits");
    const int64_t M = sp_call_int(call, "M"), C = sp_call_int(call, "C");

    for (int64_t c = 0; c < C; c++) {
        const int e = sp_quantise_exponent(largest[c], bits);
        for (int64_t i = c; i < M * C; i += C)
            y[i] = ldexpf(sp_quantise_code(x[i], e, bits), e);
    }
}

/* v / 2^k rounded down, also of negative numbers, whose >> C leaves to the compiler. */
static int32_t shift_down(int32_t v, int k)
{
    return v >= 0 ? v >> k : -1 - ((-1 - v) >> k);
}

static int32_t leak(int32_t v, int k, int keeps_most)
{
    return keeps_most ? v - shift_down(v, k) : shift_down(v, k);
}

void integer_neuron_ref(const sp_op_call *call, void *const *buf)
{
    const int64_t M = sp_call_int(call, "M"), C = sp_call_int(call, "C");
    const int first = sp_call_int(call, "first") != 0, shift = (int)sp_call_int(call, "shift");
    const int32_t unit = 1 << sp_call_int(call, "fraction");
    const int32_t most = (int32_t)((UINT32_C(1) << (sp_call_int(call, "width") - 1)) - 1);
    const int32_t *x = buf[0], *bias = buf[1], *threshold = buf[2], *reset = buf[3], *u_prev = buf[4];
    int32_t *u = buf[5];
    uint32_t *s = buf[6];

    for (int64_t m = 0; m < M; m++) {
        memset(s + m * ref_words(C), 0, (size_t)ref_words(C) * sizeof *s);
        for (int64_t c = 0; c < C; c++) {
            const int64_t i = m * C + c;
            int32_t v = reset ? reset[c] : 0;
            if (!first && u_prev[i] < threshold[c])
                v = u_prev[i];
            else if (!first && !reset)
                v = u_prev[i] - threshold[c];
            v = leak(v, shift, sp_call_flag(call, "LEAK")) + x[i] * unit + bias[c];
            u[i] = v > most ? most : v < -most - 1 ? -most - 1 : v;
            if (u[i] >= threshold[c])
                s[m * ref_words(C) + c / 32] |= UINT32_C(1) << (c % 32);
        }
    }
}
