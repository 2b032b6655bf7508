/* Writes to a part of a buffer through a kernel, for devices with the quirk WRITE_IN_PART. Oclgrind's check
 * for uninitialised reads keeps one shadow a buffer and makes a new one, of the size written, at every host
 * write: after a write to a part all the rest counts as never written. Stores of a kernel are followed one by
 * one. The staging buffer lives as long as the device, because a buffer that takes a freed one's place keeps
 * the shadow of that one's size. */
#include "base/error.h"
#include "cl/internal.h"
#include "cl/program.h"

enum { STAGING_BYTES = 65536 };

static const char source[] = "__kernel void write_in_part(__global const uint *from, __global uint *to, "
                             "ulong at)\n"
                             "{\n"
                             "    to[at + get_global_id(0)] = from[get_global_id(0)];\n"
                             "}\n";

bool sp_write_needs_staging(const sp_device *dev, sp_range to, size_t bytes)
{
    size_t size = 0;
    return (dev->info.quirks & SP_QUIRK_WRITE_IN_PART) && bytes % 4 == 0 && to.at_bytes % 4 == 0 &&
           clGetMemObjectInfo(to.mem, CL_MEM_SIZE, sizeof size, &size, NULL) == CL_SUCCESS && bytes < size;
}

static cl_int copy(sp_device *dev, cl_kernel kernel, sp_range to, const char *from, size_t bytes)
{
    cl_ulong at = to.at_bytes / 4;
    size_t words = bytes / 4;
    cl_int code = clEnqueueWriteBuffer(dev->queue, dev->staging, CL_TRUE, 0, bytes, from, 0, NULL, NULL);
    if (code == CL_SUCCESS)
        code = clSetKernelArg(kernel, 0, sizeof dev->staging, &dev->staging);
    if (code == CL_SUCCESS)
        code = clSetKernelArg(kernel, 1, sizeof to.mem, &to.mem);
    if (code == CL_SUCCESS)
        code = clSetKernelArg(kernel, 2, sizeof at, &at);
    if (code == CL_SUCCESS)
        code = clEnqueueNDRangeKernel(dev->queue, kernel, 1, NULL, &words, NULL, 0, NULL, NULL);
    return code == CL_SUCCESS ? clFinish(dev->queue) : code;
}

sp_status sp_write_staged(sp_device *dev, sp_range to, const void *from, size_t bytes, sp_error *err)
{
    cl_program program;
    const sp_source piece = {"host/cl/staging.c", source};
    sp_status st = sp_program_get(dev, "write_in_part", &piece, 1, NULL, &program, err);
    if (st != SP_OK)
        return st;
    cl_int code;
    cl_kernel kernel = clCreateKernel(program, "write_in_part", &code);
    if (code == CL_SUCCESS && !dev->staging)
        dev->staging = clCreateBuffer(dev->context, CL_MEM_READ_ONLY, STAGING_BYTES, NULL, &code);
    for (size_t at = 0; at < bytes && code == CL_SUCCESS; at += STAGING_BYTES) {
        size_t n = bytes - at < STAGING_BYTES ? bytes - at : STAGING_BYTES;
        code = copy(dev, kernel, (sp_range){to.mem, to.at_bytes + at}, (const char *)from + at, n);
    }
    if (kernel)
        clReleaseKernel(kernel);
    return code == CL_SUCCESS
               ? SP_OK
               : SP_FAIL_CL(err, code, "writing %zu bytes to the device by a kernel failed: %s", bytes,
                            sp_cl_error_name(code));
}
