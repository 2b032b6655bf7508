/* Program binaries: from a driver, and back to it. The only place that asks a driver for binaries; on PoCL
 * the question compiles everything once more, so it is asked only when programs are written for offline use.
 */
#include "base/error.h"
#include "base/mem.h"
#include "cl/program.h"

sp_status sp_program_from_binary(sp_device *dev, const char *label, const unsigned char *bytes, size_t n,
                                 cl_program *out, sp_error *err)
{
    cl_int code, status = CL_SUCCESS;
    cl_program program =
        clCreateProgramWithBinary(dev->context, 1, &dev->info.device_id, &n, &bytes, &status, &code);
    if (code == CL_SUCCESS && status != CL_SUCCESS)
        code = status;
    if (code == CL_SUCCESS) /* asked for even where the binary is final: the emulators of FPGAs need it */
        code = clBuildProgram(program, 1, &dev->info.device_id, "", NULL, NULL);
    if (code != CL_SUCCESS) {
        if (program)
            clReleaseProgram(program);
        return sp_error_set(err, SP_E_BUILD, code, __FILE__, __LINE__,
                            "%s: \"%s\" (driver %s) refuses the binary: %s; it was made for another device "
                            "or driver, or is damaged",
                            label, dev->info.name, dev->info.driver, sp_cl_error_name(code));
    }
    dev->n_binaries++;
    *out = program;
    return SP_OK;
}

sp_status sp_program_binary(const sp_device *dev, const char *label, cl_program program,
                            unsigned char **bytes, size_t *n, sp_error *err)
{
    *bytes = NULL;
    cl_int code = clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof *n, n, NULL);
    if (code == CL_SUCCESS && *n == 0)
        return SP_FAIL(err, SP_E_BUILD, "%s: \"%s\" gives no binary", label, dev->info.name);
    if (code == CL_SUCCESS && !(*bytes = sp_alloc(*n)))
        return SP_FAIL(err, SP_E_MEMORY, "%s: out of memory for its binary (%zu bytes)", label, *n);
    if (code == CL_SUCCESS)
        code = clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof *bytes, bytes, NULL);
    if (code == CL_SUCCESS)
        return SP_OK;
    sp_free(*bytes);
    *bytes = NULL;
    return SP_FAIL_CL(err, code, "%s: \"%s\" gives no binary: %s", label, dev->info.name,
                      sp_cl_error_name(code));
}
