/* Listing every device of every platform and asking each for its limits. Believes nothing but what is answered: a
 * question a driver refuses leaves a zero. */
#define CL_USE_DEPRECATED_OPENCL_1_1_APIS /* clGetExtensionFunctionAddress: the loader has no platform to ask for */
#include "cl/internal.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"

const char *sp_device_type_name(sp_device_type type)
{
    static const char *const names[] = {"cpu", "gpu", "accelerator", "other"};
    return names[type];
}

const char *sp_device_unusable(const sp_device_info *info)
{
    if (!info->available)
        return "the driver says it is not available";
    if (!info->binaries_only && !info->compiler_available)
        return "it has no compiler for kernel sources";
    if (!info->binaries_only && (info->cl_major < 1 || (info->cl_major == 1 && info->cl_minor < 2)))
        return "it is older than OpenCL 1.2";
    if (!info->little_endian)
        return "its byte order is not little-endian";
    return NULL;
}

/* Copies what fits, without the spaces some vendors put around their names. */
static void copy_trimmed(char *out, size_t out_size, const char *from)
{
    while (isspace((unsigned char)*from))
        from++;
    size_t n = strlen(from);
    while (n > 0 && isspace((unsigned char)from[n - 1]))
        n--;
    if (n >= out_size)
        n = out_size - 1;
    memcpy(out, from, n);
    out[n] = '\0';
}

/* A device's string of any length; an empty one if the driver refuses. NULL: out of memory. */
static char *device_string(cl_device_id id, cl_device_info what)
{
    size_t bytes = 0;
    cl_int code = clGetDeviceInfo(id, what, 0, NULL, &bytes);
    char *s = sp_alloc(bytes + 1);
    if (s && (code != CL_SUCCESS || clGetDeviceInfo(id, what, bytes, s, NULL) != CL_SUCCESS))
        s[0] = '\0';
    return s;
}

static char *platform_string(cl_platform_id id, cl_platform_info what)
{
    size_t bytes = 0;
    cl_int code = clGetPlatformInfo(id, what, 0, NULL, &bytes);
    char *s = sp_alloc(bytes + 1);
    if (s && (code != CL_SUCCESS || clGetPlatformInfo(id, what, bytes, s, NULL) != CL_SUCCESS))
        s[0] = '\0';
    return s;
}

static bool read_strings(sp_device_info *info)
{
    const struct {
        cl_device_info what;
        char *out;
        size_t out_size;
    } wanted[] = {
        {CL_DEVICE_NAME, info->name, sizeof info->name},
        {CL_DEVICE_VENDOR, info->vendor, sizeof info->vendor},
        {CL_DEVICE_VERSION, info->version, sizeof info->version},
        {CL_DRIVER_VERSION, info->driver, sizeof info->driver},
        {CL_DEVICE_OPENCL_C_VERSION, info->c_version, sizeof info->c_version},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        char *s = device_string(info->device_id, wanted[i].what);
        if (!s)
            return false;
        copy_trimmed(wanted[i].out, wanted[i].out_size, s);
        sp_free(s);
    }
    char *s = platform_string(info->platform_id, CL_PLATFORM_NAME);
    if (!s)
        return false;
    copy_trimmed(info->platform, sizeof info->platform, s);
    sp_free(s);
    if (sscanf(info->version, "OpenCL %d.%d", &info->cl_major, &info->cl_minor) != 2)
        info->cl_major = info->cl_minor = 0;
    info->extensions = device_string(info->device_id, CL_DEVICE_EXTENSIONS);
    return info->extensions != NULL;
}

static cl_uint read_uint(cl_device_id id, cl_device_info what)
{
    cl_uint v = 0;
    return clGetDeviceInfo(id, what, sizeof v, &v, NULL) == CL_SUCCESS ? v : 0;
}

static cl_ulong read_ulong(cl_device_id id, cl_device_info what)
{
    cl_ulong v = 0;
    return clGetDeviceInfo(id, what, sizeof v, &v, NULL) == CL_SUCCESS ? v : 0;
}

static size_t read_size(cl_device_id id, cl_device_info what)
{
    size_t v = 0;
    return clGetDeviceInfo(id, what, sizeof v, &v, NULL) == CL_SUCCESS ? v : 0;
}

static sp_device_type read_type(cl_device_id id)
{
    cl_ulong bits = read_ulong(id, CL_DEVICE_TYPE);
    if (bits & CL_DEVICE_TYPE_GPU)
        return SP_DEVICE_GPU;
    if (bits & CL_DEVICE_TYPE_ACCELERATOR)
        return SP_DEVICE_ACCELERATOR;
    return bits & CL_DEVICE_TYPE_CPU ? SP_DEVICE_CPU : SP_DEVICE_OTHER;
}

static bool has_word(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *at = list; (at = strstr(at, word)) != NULL; at += n)
        if ((at == list || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0'))
            return true;
    return false;
}

static void read_numbers(sp_device_info *info)
{
    cl_device_id id = info->device_id;
    size_t items[16] = {0}; // a device may have more than the three dimensions used here
    info->type = read_type(id);
    info->available = read_uint(id, CL_DEVICE_AVAILABLE) != 0;
    info->compiler_available = read_uint(id, CL_DEVICE_COMPILER_AVAILABLE) != 0;
    info->little_endian = read_uint(id, CL_DEVICE_ENDIAN_LITTLE) != 0;
    info->fp64 = read_ulong(id, CL_DEVICE_DOUBLE_FP_CONFIG) != 0 || has_word(info->extensions, "cl_khr_fp64");
    info->fp16 = has_word(info->extensions, "cl_khr_fp16");
    info->compute_units = read_uint(id, CL_DEVICE_MAX_COMPUTE_UNITS);
    info->clock_mhz = read_uint(id, CL_DEVICE_MAX_CLOCK_FREQUENCY);
    info->base_align_bytes = read_uint(id, CL_DEVICE_MEM_BASE_ADDR_ALIGN) / 8; // asked in bits
    info->max_work_group = read_size(id, CL_DEVICE_MAX_WORK_GROUP_SIZE);
    info->global_bytes = read_ulong(id, CL_DEVICE_GLOBAL_MEM_SIZE);
    info->max_alloc_bytes = read_ulong(id, CL_DEVICE_MAX_MEM_ALLOC_SIZE);
    info->local_bytes = read_ulong(id, CL_DEVICE_LOCAL_MEM_SIZE);
    cl_uint dims = read_uint(id, CL_DEVICE_MAX_WORK_ITEM_DIMENSIONS);
    if (dims <= 16 &&
        clGetDeviceInfo(id, CL_DEVICE_MAX_WORK_ITEM_SIZES, dims * sizeof *items, items, NULL) == CL_SUCCESS)
        memcpy(info->max_work_item, items, sizeof info->max_work_item);
    info->quirks = sp_quirks_find(info);
    if (read_uint(id, CL_DEVICE_LOCAL_MEM_TYPE) == CL_GLOBAL)
        info->quirks |= SP_QUIRK_LOCAL_MEMORY_IS_GLOBAL;
}

static sp_status add_device(sp_device_list *list, sp_device_info info, sp_error *err)
{
    if (!read_strings(&info))
        return SP_FAIL(err, SP_E_MEMORY, "out of memory while listing OpenCL devices");
    read_numbers(&info);
    sp_device_info *items = sp_realloc(list->items, (list->n + 1) * sizeof *items);
    if (!items) {
        sp_free(info.extensions);
        return SP_FAIL(err, SP_E_MEMORY, "out of memory while listing OpenCL devices");
    }
    list->items = items;
    list->items[list->n++] = info;
    return SP_OK;
}

static sp_status add_platform(sp_device_list *list, cl_platform_id platform, int platform_index,
                              sp_error *err)
{
    cl_uint n = 0;
    cl_int code = clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 0, NULL, &n);
    if (code != CL_SUCCESS && code != CL_DEVICE_NOT_FOUND)
        sp_log(SP_LOG_WARNING, "OpenCL platform %d could not list its devices (%s); it is left out",
               platform_index, sp_cl_error_name(code));
    if (code != CL_SUCCESS || n == 0)
        return SP_OK;
    cl_device_id *ids = sp_alloc_array(n, sizeof *ids);
    if (!ids)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory while listing OpenCL devices");
    code = clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, n, ids, NULL);
    sp_status st = SP_OK;
    for (cl_uint i = 0; i < n && code == CL_SUCCESS && st == SP_OK; i++)
        st = add_device(list,
                        (sp_device_info){.index = (int)list->n,
                                         .platform_index = platform_index,
                                         .device_index = (int)i,
                                         .platform_id = platform,
                                         .device_id = ids[i]},
                        err);
    sp_free(ids);
    return st;
}

sp_status sp_device_list_init(sp_device_list *list, sp_error *err)
{
    *list = (sp_device_list){0};
    cl_uint n = 0;
    cl_int code = clGetPlatformIDs(0, NULL, &n);
    if (code == -1001 || n == 0) // CL_PLATFORM_NOT_FOUND_KHR: the loader works, but there is no driver
        return SP_OK;
    if (code != CL_SUCCESS)
        return SP_FAIL_CL(err, code, "the OpenCL loader could not list its platforms: %s",
                          sp_cl_error_name(code));
    cl_platform_id *ids = sp_alloc_array(n, sizeof *ids);
    if (!ids)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory while listing OpenCL platforms");
    sp_status st = SP_OK;
    if ((code = clGetPlatformIDs(n, ids, NULL)) != CL_SUCCESS)
        st = SP_FAIL_CL(err, code, "the OpenCL loader could not list its platforms: %s",
                        sp_cl_error_name(code));
    for (cl_uint i = 0; i < n && st == SP_OK; i++)
        st = add_platform(list, ids[i], (int)i, err);
    sp_free(ids);
    list->n_platforms = n;
    if (st != SP_OK)
        sp_device_list_fini(list);
    return st;
}

void sp_device_list_fini(sp_device_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        sp_free(list->items[i].extensions);
    sp_free(list->items);
    *list = (sp_device_list){0};
}

/* Extension cl_loader_info, which older headers do not declare. */
void sp_device_loader(char *out, size_t size)
{
    typedef cl_int(CL_API_CALL * loader_info)(cl_uint what, size_t bytes, void *value, size_t *needed);
    enum { VERSION = 2, VENDOR = 4 };
    char vendor[128] = "", version[64] = "";
    loader_info ask;
    void *address = clGetExtensionFunctionAddress("clGetICDLoaderInfoOCLICD");
    memcpy(&ask, &address, sizeof ask); /* ISO C has no cast between the two */
    if (address && ask(VENDOR, sizeof vendor - 1, vendor, NULL) == CL_SUCCESS && ask(VERSION, sizeof version - 1, version, NULL) == CL_SUCCESS)
        snprintf(out, size, "%s %s", vendor, version);
    else
        snprintf(out, size, "unknown");
}
