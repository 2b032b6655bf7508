/* Two kernels that do nothing but multiply-adds, and nothing but copying. */
#include "check/peaks.h"

#include "base/clock.h"
#include "base/error.h"
#include "cl/program.h"

enum { ROUNDS = 4096, CHAINS = 12, LANES = 16, COPY_BYTES = 64 << 20, TRIES = 5 };

static const char source[] =
    "__kernel void peak_fma(__global float *y, const float a, const float b, const int rounds)\n"
    "{\n"
    "    float16 v[12];\n"
    "    for (int i = 0; i < 12; i++) v[i] = (float16)(a + (float)i);\n"
    "    for (int k = 0; k < rounds; k++) {\n"
    "        v[0] = fma(v[0], a, b); v[1] = fma(v[1], a, b); v[2] = fma(v[2], a, b); v[3] = fma(v[3], a, "
    "b);\n"
    "        v[4] = fma(v[4], a, b); v[5] = fma(v[5], a, b); v[6] = fma(v[6], a, b); v[7] = fma(v[7], a, "
    "b);\n"
    "        v[8] = fma(v[8], a, b); v[9] = fma(v[9], a, b); v[10] = fma(v[10], a, b); v[11] = fma(v[11], a, "
    "b);\n"
    "    }\n"
    "    float16 s = v[0];\n"
    "    for (int i = 1; i < 12; i++) s += v[i];\n"
    "    vstore16(s, get_global_id(0), y);\n"
    "}\n"
    "__kernel void peak_copy(__global const float *x, __global float *y, const int n)\n"
    "{\n"
    "    const size_t at = get_global_id(0) * (size_t)n;\n"
    "    for (int i = 0; i < n; i += 16) vstore16(vload16(0, x + at + i), 0, y + at + i);\n"
    "}\n";

static sp_status run(sp_device *dev, cl_kernel k, const char *name, size_t global, double *seconds,
                     sp_error *err)
{
    const size_t local = 1;
    for (int i = 0; i < TRIES; i++) {
        SP_TRY(sp_device_finish(dev, err));
        uint64_t start = sp_clock_ns();
        SP_TRY(sp_device_enqueue(dev, k, name, 1, &global, &local, err));
        SP_TRY(sp_device_finish(dev, err));
        double s = (double)(sp_clock_ns() - start) * 1e-9;
        *seconds = i == 0 || s < *seconds ? s : *seconds;
    }
    return SP_OK;
}

static sp_status measure(sp_device *dev, cl_program p, cl_mem x, cl_mem y, sp_peaks *out, sp_error *err)
{
    cl_int code = CL_SUCCESS, code2 = CL_SUCCESS;
    cl_kernel fma = clCreateKernel(p, "peak_fma", &code), copy = clCreateKernel(p, "peak_copy", &code2);
    const float a = 0.999f, b = 0.001f;
    const cl_int rounds = ROUNDS, n = 4096;
    size_t items = (size_t)dev->info.compute_units * 32;
    double seconds = 1;
    sp_status st = SP_OK;
    if (code != CL_SUCCESS || code2 != CL_SUCCESS)
        SP_TRY_GOTO(SP_FAIL_CL(err, code ? code : code2, "the peaks' kernels: %s",
                               sp_cl_error_name(code ? code : code2)));
    clSetKernelArg(fma, 0, sizeof y, &y);
    clSetKernelArg(fma, 1, sizeof a, &a);
    clSetKernelArg(fma, 2, sizeof b, &b);
    clSetKernelArg(fma, 3, sizeof rounds, &rounds);
    SP_TRY_GOTO(run(dev, fma, "peak_fma", items, &seconds, err));
    out->gflops = (double)items * ROUNDS * CHAINS * LANES * 2.0 / seconds * 1e-9;
    clSetKernelArg(copy, 0, sizeof x, &x);
    clSetKernelArg(copy, 1, sizeof y, &y);
    clSetKernelArg(copy, 2, sizeof n, &n);
    SP_TRY_GOTO(run(dev, copy, "peak_copy", COPY_BYTES / sizeof(float) / 4096, &seconds, err));
    out->gbytes = 2.0 * COPY_BYTES / seconds * 1e-9;
done:
    if (fma)
        clReleaseKernel(fma);
    if (copy)
        clReleaseKernel(copy);
    return st;
}

sp_status sp_peaks_measure(sp_device *dev, sp_peaks *out, sp_error *err)
{
    const sp_source piece = {"peak", source};
    cl_program p;
    cl_mem x = NULL, y = NULL;
    sp_status st = SP_OK;
    SP_TRY(sp_program_get(dev, "peak", &piece, 1, "", &p, err));
    SP_TRY_GOTO(sp_device_alloc(dev, COPY_BYTES, "the copy peak", &x, err));
    SP_TRY_GOTO(sp_device_alloc(dev, COPY_BYTES, "the copy peak", &y, err));
    SP_TRY_GOTO(measure(dev, p, x, y, out, err));
done:
    if (x)
        sp_device_free(dev, &x);
    if (y)
        sp_device_free(dev, &y);
    return st;
}
