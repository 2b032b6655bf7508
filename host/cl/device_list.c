/* Listing every device of every platform and asking each for its limits. Believes nothing but what is
 * answered: a question a driver refuses leaves a zero. */
#define CL_USE_DEPRECATED_OPENCL_1_1_APIS    /* clGetExtensionFunctionAddress: the loader has no platform to \
                                                ask for */
#include "cl/internal.h"

#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"

const char *sp_device_type_name(sp_device_type type)
{
    static const char *const names[] = {"cpu", "gpu", "accelerator", "other"};
    return names[type];
}

const char *sp_device_unusable(const sp_device_info *info)
{
    if (info->unanswered[0])
        return info->unanswered;
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

/* A device whose limits are not known is not used: zeros in their place would only fail later, or compute
 * nothing. */
static cl_int needed(sp_device_info *info, const char *question, cl_int code)
{
    if (code != CL_SUCCESS && !info->unanswered[0])
        snprintf(info->unanswered, sizeof info->unanswered, "its driver does not answer %s (%s)", question,
                 sp_cl_error_name(code));
    return code;
}
#define ASK(info, what, out)                                                                                 \
    needed(info, #what, clGetDeviceInfo((info)->device_id, what, sizeof *(out), out, NULL))

/* A device's string of any length; an empty one if the driver refuses. NULL: out of memory. */
static char *device_string(sp_device_info *info, cl_device_info what, const char *question)
{
    size_t bytes = 0;
    cl_int code = clGetDeviceInfo(info->device_id, what, 0, NULL, &bytes);
    char *s = sp_alloc(bytes + 1);
    if (s && code == CL_SUCCESS)
        code = clGetDeviceInfo(info->device_id, what, bytes, s, NULL);
    if (s && code != CL_SUCCESS)
        s[0] = '\0';
    if (question)
        needed(info, question, code);
    return s;
}

static char *platform_name(sp_device_info *info)
{
    size_t bytes = 0;
    cl_int code = clGetPlatformInfo(info->platform_id, CL_PLATFORM_NAME, 0, NULL, &bytes);
    char *s = sp_alloc(bytes + 1);
    if (s && code == CL_SUCCESS)
        code = clGetPlatformInfo(info->platform_id, CL_PLATFORM_NAME, bytes, s, NULL);
    if (s && code != CL_SUCCESS)
        s[0] = '\0';
    needed(info, "CL_PLATFORM_NAME", code);
    return s;
}

static bool read_strings(sp_device_info *info)
{
    const struct {
        cl_device_info what;
        const char *question; // NULL: OpenCL 1.0 does not know it
        char *out;
        size_t out_size;
    } wanted[] = {
        {CL_DEVICE_NAME, "CL_DEVICE_NAME", info->name, sizeof info->name},
        {CL_DEVICE_VENDOR, "CL_DEVICE_VENDOR", info->vendor, sizeof info->vendor},
        {CL_DEVICE_VERSION, "CL_DEVICE_VERSION", info->version, sizeof info->version},
        {CL_DRIVER_VERSION, "CL_DRIVER_VERSION", info->driver, sizeof info->driver},
        {CL_DEVICE_OPENCL_C_VERSION, NULL, info->c_version, sizeof info->c_version},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        char *s = device_string(info, wanted[i].what, wanted[i].question);
        if (!s)
            return false;
        copy_trimmed(wanted[i].out, wanted[i].out_size, s);
        sp_free(s);
    }
    char *s = platform_name(info);
    if (!s)
        return false;
    copy_trimmed(info->platform, sizeof info->platform, s);
    sp_free(s);
    if (sscanf(info->version, "OpenCL %d.%d", &info->cl_major, &info->cl_minor) != 2)
        info->cl_major = info->cl_minor = 0;
    info->extensions = device_string(info, CL_DEVICE_EXTENSIONS, "CL_DEVICE_EXTENSIONS");
    return info->extensions != NULL;
}

static sp_device_type read_type(sp_device_info *info)
{
    cl_device_type bits = 0;
    ASK(info, CL_DEVICE_TYPE, &bits);
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

enum { AMX_BF16, AVX512_BF16, N_CPU_FEATURES };
static const char *const cpu_features[N_CPU_FEATURES] = {"amx_bf16", "avx512_bf16"};

const char *sp_device_feature_name(size_t i)
{
    const size_t unit = i - N_CPU_FEATURES + SP_MATRIX_NONE + 1;
    return i < N_CPU_FEATURES ? cpu_features[i] : unit < SP_N_MATRIX_UNITS ? sp_matrix_unit_name(unit) : NULL;
}

bool sp_device_has(const sp_device_info *info, const char *name)
{
    if ((info->amx_bf16 && strcmp(name, cpu_features[AMX_BF16]) == 0) ||
        (info->avx512_bf16 && strcmp(name, cpu_features[AVX512_BF16]) == 0) ||
        (info->matrix && strcmp(name, sp_matrix_unit_name(info->matrix)) == 0))
        return true;
    return (info->extensions && has_word(info->extensions, name)) ||
           (info->fp64 && strcmp(name, "cl_khr_fp64") == 0) ||
           (info->fp16 && strcmp(name, "cl_khr_fp16") == 0);
}

/* What a thread's stack leaves to the arrays of a kernel: the driver's own calls lie there too, and what the
 * compiler keeps beside the arrays. Intel's runtime may put those of 16 work-items on the stack beside those
 * of one; it takes other memory for what would not fit one of 8 MiB, but does not ask how large the stack is.
 */
static uint64_t private_bytes_of(const sp_device_info *info, uint64_t stack)
{
    const uint64_t other = 256 * 1024, room = stack > 2 * other ? stack - other : stack / 2;
    const bool sixteen = strstr(info->platform, "Intel") != NULL && stack < 8 * 1024 * 1024;
    return sixteen ? room / 17 : room;
}

static void read_limits(sp_device_info *info)
{
    size_t items[16] = {0}; // a device may have more than the three dimensions used here
    cl_uint dims = 0;
    ASK(info, CL_DEVICE_MAX_COMPUTE_UNITS, &info->compute_units);
    info->compute_units =
        info->compute_units ? info->compute_units : 1; // FPGA runtimes: 0 until an image is loaded
    ASK(info, CL_DEVICE_MEM_BASE_ADDR_ALIGN, &info->base_align_bytes);
    info->base_align_bytes /= 8; // asked in bits
    ASK(info, CL_DEVICE_MAX_WORK_GROUP_SIZE, &info->max_work_group);
    ASK(info, CL_DEVICE_GLOBAL_MEM_SIZE, &info->global_bytes);
    ASK(info, CL_DEVICE_MAX_MEM_ALLOC_SIZE, &info->max_alloc_bytes);
    ASK(info, CL_DEVICE_LOCAL_MEM_SIZE, &info->local_bytes);
    ASK(info, CL_DEVICE_MAX_WORK_ITEM_DIMENSIONS, &dims);
    dims = dims < 16 ? dims : 16;
    needed(info, "CL_DEVICE_MAX_WORK_ITEM_SIZES",
           clGetDeviceInfo(info->device_id, CL_DEVICE_MAX_WORK_ITEM_SIZES, sizeof items, items, NULL));
    for (cl_uint i = 0; i < 3 && i < dims; i++)
        info->max_work_item[i] = items[i];
    if (info->type == SP_DEVICE_CPU)
        info->private_bytes = private_bytes_of(info, sp_thread_stack_bytes());
}

static void read_numbers(sp_device_info *info)
{
    cl_bool available = CL_FALSE, compiler = CL_FALSE, little = CL_FALSE;
    cl_device_fp_config doubles = 0;
    cl_device_local_mem_type local = 0;
    cl_uint floats = 16;
    info->type = read_type(info);
    ASK(info, CL_DEVICE_AVAILABLE, &available);
    ASK(info, CL_DEVICE_COMPILER_AVAILABLE, &compiler);
    ASK(info, CL_DEVICE_ENDIAN_LITTLE, &little);
    info->available = available;
    info->compiler_available = compiler;
    info->little_endian = little;
    clGetDeviceInfo(info->device_id, CL_DEVICE_DOUBLE_FP_CONFIG, sizeof doubles, &doubles,
                    NULL); // OpenCL 1.2
    info->fp64 = doubles != 0 || has_word(info->extensions, "cl_khr_fp64");
    info->fp16 = has_word(info->extensions, "cl_khr_fp16");
    clGetDeviceInfo(info->device_id, CL_DEVICE_MAX_CLOCK_FREQUENCY, sizeof info->clock_mhz, &info->clock_mhz,
                    NULL);
    read_limits(info);
    info->quirks = sp_quirks_find(info);
    info->matrix = sp_matrix_find(info);
    ASK(info, CL_DEVICE_LOCAL_MEM_TYPE, &local);
    if (local == CL_GLOBAL)
        info->quirks |= SP_QUIRK_LOCAL_MEMORY_IS_GLOBAL;
    clGetDeviceInfo(info->device_id, CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT, sizeof floats, &floats, NULL);
    if (info->type == SP_DEVICE_CPU && floats < 16)
        info->quirks |= SP_QUIRK_NARROW_CPU;
    /* A driver that compiles for narrower vectors than the processor has cannot take instructions on 16
     * floats. */
    const bool assembly = (info->quirks & SP_QUIRK_INLINE_ASSEMBLY) && !(info->quirks & SP_QUIRK_NARROW_CPU);
    info->avx512_bf16 = assembly && sp_cpu_has_avx512_bf16();
    info->amx_emulated = assembly && sp_cpu_emulates_amx_bf16();
    info->amx_bf16 = info->amx_emulated || (assembly && sp_cpu_has_amx_bf16());
}

static sp_status add_device(sp_device_list *list, sp_device_info info, sp_error *err)
{
    if (!read_strings(&info))
        return SP_FAIL(err, SP_E_MEMORY, "out of memory while listing OpenCL devices");
    read_numbers(&info);
    sp_device_info *item = sp_array_push(&list->items, list->n, sizeof *item);
    if (!item) {
        sp_free(info.extensions);
        return SP_FAIL(err, SP_E_MEMORY, "out of memory while listing OpenCL devices");
    }
    *item = info;
    list->n++;
    return SP_OK;
}

static sp_status add_platform(sp_device_list *list, cl_platform_id platform, int platform_index,
                              sp_error *err)
{
    cl_uint n = 0;
    cl_device_id *ids = NULL;
    cl_int code = clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 0, NULL, &n);
    if (code == CL_DEVICE_NOT_FOUND)
        return SP_OK;
    if (code == CL_SUCCESS && n > 0) {
        if (!(ids = sp_alloc_array(n, sizeof *ids)))
            return SP_FAIL(err, SP_E_MEMORY, "out of memory while listing OpenCL devices");
        code = clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, n, ids, NULL);
    }
    if (code != CL_SUCCESS)
        sp_log(SP_LOG_WARNING, "OpenCL platform %d could not list its devices (%s); it is left out",
               platform_index, sp_cl_error_name(code));
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

static sp_status list_devices(sp_device_list *list, sp_error *err)
{
    *list = (sp_device_list){0};
    cl_uint n = 0;
    cl_int code = clGetPlatformIDs(0, NULL, &n);
    if (code == -1001 ||
        (code == CL_SUCCESS && n == 0)) // CL_PLATFORM_NOT_FOUND_KHR: the loader works, but there is no driver
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

/* One thread at a time: PoCL 3.1 crashes where two ask for devices first. A driver that compiles in threads
 * of its own starts them here. */
sp_status sp_device_list_init(sp_device_list *list, sp_error *err)
{
    static pthread_mutex_t first = PTHREAD_MUTEX_INITIALIZER;
    sigset_t before;
    pthread_mutex_lock(&first);
    sp_handlers_note();
    sp_signals_hold(&before);
    sp_status st = list_devices(list, err);
    sp_handlers_restore();
    sp_signals_release(&before);
    pthread_mutex_unlock(&first);
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
    if (address && ask(VENDOR, sizeof vendor - 1, vendor, NULL) == CL_SUCCESS &&
        ask(VERSION, sizeof version - 1, version, NULL) == CL_SUCCESS)
        snprintf(out, size, "%s %s", vendor, version);
    else
        snprintf(out, size, "unknown");
}
