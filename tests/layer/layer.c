/* The loader's side: clGetLayerInfo and clInitLayer. The loader calls these by name when OPENCL_LAYERS names
 * this file. */
#include "layer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

cl_icd_dispatch driver;
static cl_icd_dispatch table;

void layer_die(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fputs("test layer: ", stderr);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
    fflush(NULL);
    _exit(99);
}

__attribute__((visibility("default"))) CL_API_ENTRY cl_int CL_API_CALL clGetLayerInfo(cl_layer_info what,
                                                                                      size_t size,
                                                                                      void *value,
                                                                                      size_t *size_ret)
{
    static const cl_layer_api_version version = CL_LAYER_API_VERSION_100;
    static const char name[] = "spikeport test layer";
    const void *from = what == CL_LAYER_API_VERSION ? (const void *)&version : name;
    size_t bytes = what == CL_LAYER_API_VERSION ? sizeof version : sizeof name;
    if (what != CL_LAYER_API_VERSION && what != CL_LAYER_NAME)
        return CL_INVALID_VALUE;
    if (value && size < bytes)
        return CL_INVALID_VALUE;
    if (value)
        memcpy(value, from, bytes);
    if (size_ret)
        *size_ret = bytes;
    return CL_SUCCESS;
}

__attribute__((visibility("default"))) CL_API_ENTRY cl_int CL_API_CALL
clInitLayer(cl_uint n, const cl_icd_dispatch *target, cl_uint *n_ret, const cl_icd_dispatch **out)
{
    size_t bytes = n * sizeof(void *); // an older loader has fewer entries; those it has come first
    memcpy(&driver, target, bytes < sizeof driver ? bytes : sizeof driver);
    table = driver;
    profile_load();
    fault_load();
    describe_install(&table);
    program_install(&table);
    memory_install(&table);
    launch_install(&table);
    *n_ret = sizeof table / sizeof(void *);
    *out = &table;
    return CL_SUCCESS;
}
