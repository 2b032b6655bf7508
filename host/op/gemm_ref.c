/* C reference of gemm: c = op(a) op(b) [+ c], row-major. Where TA is set a is stored [K][M], where TB is set
 * b is stored [N][K]. */
#include "op/references.h"

void gemm_ref(const sp_op_call *call, void *const *buf)
{
    const float *a = buf[0], *b = buf[1];
    float *c = buf[2];
    int64_t M = sp_call_int(call, "M"), N = sp_call_int(call, "N"), K = sp_call_int(call, "K");
    int ta = sp_call_flag(call, "TA"), tb = sp_call_flag(call, "TB"), acc = sp_call_flag(call, "ACC");
    const int bf16 = sp_call_flag(call, "BF16");

    for (int64_t m = 0; m < M; m++)
        for (int64_t n = 0; n < N; n++) {
            double sum = acc ? (double)c[m * N + n] : 0.0;
            for (int64_t k = 0; k < K; k++)
                sum += ref_factor((double)a[ta ? k * M + m : m * K + k], bf16) *
                       ref_factor((double)b[tb ? n * K + k : k * N + n], bf16);
            c[m * N + n] = (float)sum;
        }
}
