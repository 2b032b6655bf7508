/* Matrix product through CLBlast (gemm/1). A shared object because CLBlast is a host library that chooses and
 * builds its kernels itself; this file is the border and the call, tuning.c and self_test.c keep a faulty
 * CLBlast away. */
#include "gemm_clblast.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct gemm {
    sp_plugin_variant variant; /* .data points back here */
    const sp_plugin_host *host;
    const sp_plugin_cl *cl;
    gemm_shape shape;
    int set; /* of parameters, tuning.c */
    uint64_t work_bytes;
    sp_plugin_range work; /* that temp is a part of */
    cl_mem temp;
} gemm;

int32_t gemm_fail(sp_plugin_error *err, int cl_code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, args);
    va_end(args);
    err->cl_code = cl_code;
    return SP_E_FAILED;
}

const char *gemm_code_name(int code)
{
    static const struct {
        int code;
        const char *name;
    } names[] = {{CLBlastOpenCLOutOfResources, "out of resources"},
                 {CLBlastTempBufferAllocFailure, "no memory for CLBlast's temporary buffer"},
                 {CLBlastOpenCLBuildProgramFailure, "CLBlast's kernels do not build"},
                 {CLBlastInvalidLocalMemUsage, "not enough local memory"},
                 {CLBlastInvalidLocalThreadsTotal, "CLBlast's work-groups are too large for this device"},
                 {CLBlastDatabaseError, "CLBlast knows no parameters for this device"},
                 {CLBlastInsufficientMemoryA, "a buffer is too small"},
                 {CLBlastInsufficientMemoryB, "a buffer is too small"},
                 {CLBlastInsufficientMemoryC, "a buffer is too small"},
                 {CLBlastInsufficientMemoryTemp, "the temporary buffer is too small"},
                 {CLBlastUnexpectedError, "unexpected error inside CLBlast"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].code == code)
            return names[i].name;
    return "see clblast_c.h for the code";
}

/* The transposed product in column-major order: the same memory, and one hidden copy less inside CLBlast than
 * the row-major call in every combination of TA and TB. */
static void column_major(const gemm_shape *s, CLBlastTranspose *tb, size_t *ldb, CLBlastTranspose *ta,
                         size_t *lda)
{
    *tb = s->tb ? CLBlastTransposeYes : CLBlastTransposeNo;
    *ta = s->ta ? CLBlastTransposeYes : CLBlastTransposeNo;
    *ldb = s->tb ? s->k : s->n;
    *lda = s->ta ? s->m : s->k;
}

CLBlastStatusCode gemm_call(const gemm_shape *s, sp_plugin_range a, sp_plugin_range b, sp_plugin_range c,
                            cl_command_queue queue, cl_event *event, cl_mem temp)
{
    CLBlastTranspose ta, tb;
    size_t lda, ldb;
    column_major(s, &tb, &ldb, &ta, &lda);
    float beta = s->acc ? 1.0f : 0.0f;
    if (temp)
        return CLBlastSgemmWithTempBuffer(CLBlastLayoutColMajor, tb, ta, s->n, s->m, s->k, 1.0f, b.mem,
                                          b.at_elems, ldb, a.mem, a.at_elems, lda, beta, c.mem, c.at_elems,
                                          s->n, &queue, event, temp);
    return CLBlastSgemm(CLBlastLayoutColMajor, tb, ta, s->n, s->m, s->k, 1.0f, b.mem, b.at_elems, ldb, a.mem,
                        a.at_elems, lda, beta, c.mem, c.at_elems, s->n, &queue, event);
}

/* Offsets are not known yet and a non-zero one costs CLBlast a copy, so the larger answer counts. CLBlast may
 * be asked only after gemm_make_safe, which therefore runs here, before prepare. */
static int32_t workspace(sp_plugin_variant *v, uint64_t *bytes, sp_plugin_error *err)
{
    gemm *g = v->data;
    CLBlastTranspose ta, tb;
    size_t lda, ldb;
    cl_command_queue queue = g->cl->queue;
    int32_t st = gemm_make_safe(g->cl, g->host->get_extension(g->host, SP_PLUGIN_EXT_LOG), g->host, err);
    if (st != SP_OK)
        return st;
    int fallback;
    st = gemm_acquire(g->cl, g->set, &fallback, err);
    if (st != SP_OK)
        return st;
    column_major(&g->shape, &tb, &ldb, &ta, &lda);
    *bytes = 0;
    CLBlastStatusCode code = CLBlastSuccess;
    for (size_t at = 0; at < 2; at++) {
        size_t need = 0;
        code = CLBlastSGemmTempBufferSize(CLBlastLayoutColMajor, tb, ta, g->shape.n, g->shape.m, g->shape.k,
                                          at, ldb, at, lda, at, g->shape.n, &queue, &need);
        if (need > *bytes)
            *bytes = need;
    }
    gemm_release();
    if (code != CLBlastSuccess)
        return gemm_fail(err, code, "CLBlast does not tell its need for memory: %s", gemm_code_name(code));
    g->work_bytes = *bytes;
    return SP_OK;
}

/* CLBlast takes a temporary buffer without an offset, so the workspace range becomes a sub-buffer; made again
 * only when the range changes, which within a plan it does not. Where the driver refuses, CLBlast allocates
 * for itself. */
static void take_work(gemm *g, sp_plugin_range work)
{
    if (g->work.mem == work.mem && g->work.at_elems == work.at_elems)
        return;
    if (g->temp)
        clReleaseMemObject(g->temp);
    g->work = work;
    cl_buffer_region region = {.origin = (size_t)work.at_elems * 4, .size = (size_t)g->work_bytes};
    g->temp = clCreateSubBuffer(work.mem, CL_MEM_READ_WRITE, CL_BUFFER_CREATE_TYPE_REGION, &region, NULL);
}

static int32_t enqueue(sp_plugin_variant *v, const sp_plugin_launch *launch, sp_plugin_error *err)
{
    gemm *g = v->data;
    const gemm_shape *s = &g->shape;
    const sp_plugin_range *b = launch->buffers;
    const uint64_t elems[3] = {s->m * s->k, s->k * s->n, s->m * s->n};
    for (int i = 0; i < 3; i++)
        if (b[i].at_elems + elems[i] > INT32_MAX)
            return gemm_fail(err, 0,
                             "a matrix ends beyond 2^31 elements of its buffer, which CLBlast cannot "
                             "address; "
                             "force another variant: --plugin gemm=reference");
    if (g->work_bytes && launch->work.mem)
        take_work(g, launch->work);
    int fallback;
    int32_t st = gemm_acquire(g->cl, g->set, &fallback, err);
    if (st != SP_OK)
        return st;
    /* the workspace was asked for with other parameters where they had to be replaced */
    CLBlastStatusCode code =
        gemm_call(s, b[0], b[1], b[2], launch->queue, launch->event, fallback ? NULL : g->temp);
    gemm_release();
    if (code != CLBlastSuccess)
        return gemm_fail(err, code, "CLBlast: %s (M=%zu N=%zu K=%zu TA=%d TB=%d)", gemm_code_name(code), s->m,
                         s->n, s->k, s->ta, s->tb);
    return SP_OK;
}

static void destroy(sp_plugin_variant *v)
{
    gemm *g = v->data;
    if (g->temp)
        clReleaseMemObject(g->temp);
    free(g);
}

static int64_t int_of(const sp_plugin_call *c, const char *name)
{
    for (uint32_t i = 0; i < c->n_ints; i++)
        if (strcmp(c->int_names[i], name) == 0)
            return c->ints[i];
    return 0;
}

static int flag_of(const sp_plugin_call *c, const char *name)
{
    for (uint32_t i = 0; i < c->n_flags; i++)
        if (strcmp(c->flag_names[i], name) == 0)
            return c->flags[i];
    return 0;
}

static int32_t create(uint32_t i, const sp_plugin_host *host, const sp_plugin_call *call,
                      sp_plugin_variant **out, sp_plugin_error *err)
{
    const sp_plugin_cl *cl = host->get_extension(host, SP_PLUGIN_EXT_CL);
    int64_t m = int_of(call, "M"), n = int_of(call, "N"), k = int_of(call, "K");
    if (i != 0 || !cl || !SP_PLUGIN_HAS(cl, sp_plugin_cl, flags))
        return gemm_fail(err, 0, "this host does not offer %s", SP_PLUGIN_EXT_CL);
    if (m <= 0 || n <= 0 || k <= 0)
        return gemm_fail(err, 0, "CLBlast needs M, N and K above 0, not %lld, %lld, %lld", (long long)m,
                         (long long)n, (long long)k);
    gemm *g = calloc(1, sizeof *g);
    if (!g)
        return gemm_fail(err, 0, "out of memory");
    g->host = host;
    g->cl = cl;
    g->shape = (gemm_shape){(size_t)m,           (size_t)n,           (size_t)k,
                            flag_of(call, "TA"), flag_of(call, "TB"), flag_of(call, "ACC")};
    for (uint32_t t = 0; SP_PLUGIN_HAS(call, sp_plugin_call, tune_values) && t < call->n_tunes; t++)
        if (strcmp(call->tune_names[t], "SET") == 0)
            g->set = (int)call->tune_values[t];
    if (g->set < 0 || g->set >= GEMM_SETS) {
        int32_t st = gemm_fail(err, 0, "there is no set of parameters %d", g->set);
        free(g);
        return st;
    }
    g->variant = (sp_plugin_variant){.struct_size = sizeof g->variant,
                                     .data = g,
                                     .workspace = workspace,
                                     .enqueue = enqueue,
                                     .destroy = destroy};
    *out = &g->variant;
    return SP_OK;
}

static uint32_t count(void)
{
    return 1;
}

static const sp_plugin_descriptor *get_descriptor(uint32_t i)
{
    static const sp_plugin_descriptor gemm_descriptor = {.struct_size = sizeof gemm_descriptor,
                                                         .op = "gemm/1",
                                                         .about = "SGEMM of CLBlast"};
    return i == 0 ? &gemm_descriptor : NULL;
}

static int32_t init(const sp_plugin_host *host, sp_plugin_error *err)
{
    (void)err;
    (void)host;
    return SP_OK;
}

static const void *get_factory(const char *id)
{
    static const sp_plugin_factory factory = {.struct_size = sizeof factory,
                                              .count = count,
                                              .get_descriptor = get_descriptor,
                                              .create = create};
    return strcmp(id, SP_PLUGIN_VARIANT_FACTORY) == 0 ? &factory : NULL;
}

const sp_plugin_interface sp_plugin_entry = {.struct_size = sizeof sp_plugin_entry,
                                             .abi_major = SP_PLUGIN_ABI_MAJOR,
                                             .abi_minor = SP_PLUGIN_ABI_MINOR,
                                             .init = init,
                                             .deinit = gemm_forget_devices,
                                             .get_factory = get_factory};
