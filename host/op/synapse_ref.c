/* C references of the layer `synapse`: y = x + decay y[t-1]. */
#include <math.h>

#include "op/references.h"

void synapse_decay_ref(const sp_op_call *call, void *const *buf)
{
    const float *w = buf[0];
    float *decay = buf[1];

    for (int64_t c = 0; c < sp_call_int(call, "C"); c++)
        decay[c] = (float)(1.0 - 1.0 / (1.0 + exp(-(double)w[c])));
}

static double decay_of(const sp_op_call *call, const float *decay, int64_t c)
{
    if (!sp_call_flag(call, "LEARNT"))
        return (double)(float)sp_call_float(call, "decay");
    return (double)decay[sp_call_flag(call, "EACH") ? c : 0];
}

void synapse_forward_ref(const sp_op_call *call, void *const *buf)
{
    const int64_t M = sp_call_int(call, "M"), C = sp_call_int(call, "C");
    const int bits = sp_call_flag(call, "X_BITS");
    const float *y_prev = buf[1];
    float *y = buf[3];

    for (int64_t m = 0; m < M; m++)
        for (int64_t c = 0; c < C; c++) {
            const double before = sp_call_int(call, "first") ? 0 : (double)y_prev[m * C + c];
            y[m * C + c] = (float)(ref_value(buf[0], bits, m, c, C) + decay_of(call, buf[2], c) * before);
        }
}

void synapse_backward_ref(const sp_op_call *call, void *const *buf)
{
    const int64_t M = sp_call_int(call, "M"), C = sp_call_int(call, "C");
    const float *g = buf[0], *y_prev = buf[1];
    float *carry = buf[3], *g_x = buf[4], *g_hat = buf[5];

    for (int64_t m = 0; m < M; m++)
        for (int64_t c = 0; c < C; c++) {
            const int64_t i = m * C + c;
            const double decay = decay_of(call, buf[2], c);
            const double behind = carry && !sp_call_int(call, "last") ? (double)carry[i] : 0;
            const double all = (double)g[i] + decay * behind;
            if (g_hat)
                g_hat[i] =
                    (float)(sp_call_int(call, "first") ? 0 : -all * (double)y_prev[i] * decay * (1 - decay));
            if (carry)
                carry[i] = (float)all;
            g_x[i] = (float)all;
        }
}
