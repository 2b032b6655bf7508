/* CLBlast's products against sums in double: all combinations of transposition and accumulation, with
 * offsets, on shapes that are neither square nor multiples of a tile. The outside of c must stay as it was.
 */
#include "gemm_clblast.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { AT = 3, TAIL = 64, LARGE_SAMPLES = 2000 }; /* elements before and behind each matrix */

typedef struct matrices {
    float *a, *b, *c, *result;
    size_t na, nb, nc; /* elements with offset and tail */
} matrices;

/* -1 to 1, the same at every run. */
static void fill(float *x, size_t n, uint32_t seed)
{
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = (float)(int32_t)seed / 2147483648.0f;
    }
}

static void matrices_fini(matrices *h)
{
    free(h->a);
    free(h->b);
    free(h->c);
    free(h->result);
}

static int matrices_init(matrices *h, const gemm_shape *s)
{
    h->na = AT + s->m * s->k + TAIL;
    h->nb = AT + s->k * s->n + TAIL;
    h->nc = AT + s->m * s->n + TAIL;
    h->a = malloc(h->na * sizeof *h->a);
    h->b = malloc(h->nb * sizeof *h->b);
    h->c = malloc(h->nc * sizeof *h->c);
    h->result = malloc(h->nc * sizeof *h->result);
    if (!h->a || !h->b || !h->c || !h->result)
        return 0;
    fill(h->a, h->na, 1);
    fill(h->b, h->nb, 2);
    fill(h->c, h->nc, 3);
    return 1;
}

static int32_t run_on_device(const sp_plugin_cl *cl, const gemm_shape *s, matrices *h, sp_plugin_error *err)
{
    cl_mem mem[3] = {NULL, NULL, NULL};
    float *const from[3] = {h->a, h->b, h->c};
    const size_t n[3] = {h->na, h->nb, h->nc};
    cl_int code = CL_SUCCESS;
    for (int i = 0; i < 3 && code == CL_SUCCESS; i++)
        mem[i] = clCreateBuffer(cl->context, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR, n[i] * sizeof(float),
                                from[i], &code);
    if (code == CL_SUCCESS)
        code = gemm_call(s, (sp_plugin_range){mem[0], AT}, (sp_plugin_range){mem[1], AT},
                         (sp_plugin_range){mem[2], AT}, cl->queue, NULL, NULL);
    if (code == CL_SUCCESS)
        code = clEnqueueReadBuffer(cl->queue, mem[2], CL_TRUE, 0, h->nc * sizeof(float), h->result, 0, NULL,
                                   NULL);
    for (int i = 0; i < 3; i++)
        if (mem[i])
            clReleaseMemObject(mem[i]);
    return code == CL_SUCCESS ? SP_OK
                              : gemm_fail(err, code, "CLBlast's self-test stopped: %s", gemm_code_name(code));
}

static double expected(const gemm_shape *s, const matrices *h, size_t row, size_t col)
{
    const float *a = h->a + AT, *b = h->b + AT;
    double sum = s->acc ? (double)h->c[AT + row * s->n + col] : 0;
    for (size_t i = 0; i < s->k; i++) {
        double x = (double)(s->ta ? a[i * s->m + row] : a[row * s->k + i]);
        double y = (double)(s->tb ? b[col * s->k + i] : b[i * s->n + col]);
        sum += x * y;
    }
    return sum;
}

static int32_t compare(const gemm_shape *s, const matrices *h, sp_plugin_error *err)
{
    size_t total = s->m * s->n, step = total > LARGE_SAMPLES ? total / LARGE_SAMPLES : 1;
    double tolerance = 2e-6 * (double)(s->k + 16); /* terms are at most 1 */
    for (size_t i = 0; i < total; i += step) {
        size_t row = i / s->n, col = i % s->n;
        double want = expected(s, h, row, col), got = (double)h->result[AT + i];
        if (!(fabs(got - want) <= tolerance))
            return gemm_fail(err, 0,
                             "CLBlast is wrong on this device: M=%zu N=%zu K=%zu TA=%d TB=%d ACC=%d, "
                             "c[%zu][%zu] "
                             "is %g, must be %g",
                             s->m, s->n, s->k, s->ta, s->tb, s->acc, row, col, got, want);
    }
    if (memcmp(h->result, h->c, AT * sizeof(float)) != 0 ||
        memcmp(h->result + AT + total, h->c + AT + total, TAIL * sizeof(float)) != 0)
        return gemm_fail(err, 0,
                         "CLBlast writes outside of c on this device: M=%zu N=%zu K=%zu TA=%d TB=%d ACC=%d",
                         s->m, s->n, s->k, s->ta, s->tb, s->acc);
    return SP_OK;
}

static int32_t test_one(const sp_plugin_cl *cl, const gemm_shape *s, sp_plugin_error *err)
{
    matrices h = {0};
    int32_t st = matrices_init(&h, s) ? run_on_device(cl, s, &h, err) : gemm_fail(err, 0, "out of memory");
    if (st == SP_OK)
        st = compare(s, &h, err);
    matrices_fini(&h);
    return st;
}

int32_t gemm_self_test(const sp_plugin_cl *cl, int large, sp_plugin_error *err)
{
    static const size_t sizes[][3] = {{33, 17, 29}, {5, 70, 9}, {64, 64, 32}, {1030, 1090, 1045}};
    const int n = large ? 4 : 3;
    for (int i = 0; i < n; i++)
        for (int combo = 0; combo < 8; combo++) {
            const gemm_shape s = {sizes[i][0], sizes[i][1],    sizes[i][2],
                                  combo & 1,   combo >> 1 & 1, combo >> 2};
            int32_t st = test_one(cl, &s, err);
            if (st != SP_OK)
                return st;
        }
    return SP_OK;
}
