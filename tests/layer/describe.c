/* Answers to questions: what the profile names is answered from it, everything else by the driver. */
#include "layer.h"

#include <string.h>

typedef enum { STRING, UINT, ULONG, SIZE, SIZES, FLAG } answer_kind;

typedef struct answer {
    cl_uint what;
    const char *key;
    answer_kind kind;
} answer;

static const answer device_answers[] = {
    {CL_DEVICE_NAME, "name", STRING},
    {CL_DEVICE_VENDOR, "vendor", STRING},
    {CL_DEVICE_VERSION, "version", STRING},
    {CL_DRIVER_VERSION, "driver", STRING},
    {CL_DEVICE_OPENCL_C_VERSION, "c_version", STRING},
    {CL_DEVICE_PROFILE, "profile", STRING},
    {CL_DEVICE_EXTENSIONS, "extensions", STRING},
    {CL_DEVICE_VENDOR_ID, "vendor_id", UINT},
    {CL_DEVICE_MAX_COMPUTE_UNITS, "compute_units", UINT},
    {CL_DEVICE_MAX_CLOCK_FREQUENCY, "clock_mhz", UINT},
    {CL_DEVICE_MEM_BASE_ADDR_ALIGN, "base_align_bits", UINT},
    {CL_DEVICE_PREFERRED_VECTOR_WIDTH_FLOAT, "vector_float", UINT},
    {CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT, "vector_float", UINT},
    {CL_DEVICE_MAX_CONSTANT_ARGS, "constant_args", UINT},
    {0x4038, "amd_board", STRING}, // CL_DEVICE_BOARD_NAME_AMD: CLBlast asks it of AMD's GPUs
    {0x4000, "nv_major", UINT},    // CL_DEVICE_COMPUTE_CAPABILITY_MAJOR_NV, _MINOR_NV
    {0x4001, "nv_minor", UINT},
    {CL_DEVICE_GLOBAL_MEM_SIZE, "global_bytes", ULONG},
    {CL_DEVICE_MAX_MEM_ALLOC_SIZE, "max_alloc_bytes", ULONG},
    {CL_DEVICE_LOCAL_MEM_SIZE, "local_bytes", ULONG},
    {CL_DEVICE_MAX_CONSTANT_BUFFER_SIZE, "constant_bytes", ULONG},
    {CL_DEVICE_MAX_WORK_GROUP_SIZE, "max_work_group", SIZE},
    {CL_DEVICE_MAX_PARAMETER_SIZE, "parameter_bytes", SIZE},
    {CL_DEVICE_MAX_WORK_ITEM_SIZES, "max_work_item", SIZES},
    {CL_DEVICE_COMPILER_AVAILABLE, "compiler", FLAG},
    {CL_DEVICE_LINKER_AVAILABLE, "compiler", FLAG},
    {CL_DEVICE_HOST_UNIFIED_MEMORY, "unified", FLAG},
};

static const answer platform_answers[] = {
    {CL_PLATFORM_NAME, "name", STRING},
    {CL_PLATFORM_VENDOR, "vendor", STRING},
    {CL_PLATFORM_VERSION, "version", STRING},
    {CL_PLATFORM_PROFILE, "profile", STRING},
    {CL_PLATFORM_EXTENSIONS, "extensions", STRING},
};

static cl_int give(const void *from, size_t bytes, size_t size, void *value, size_t *size_ret)
{
    if (value && size < bytes)
        return CL_INVALID_VALUE;
    if (value)
        memcpy(value, from, bytes);
    if (size_ret)
        *size_ret = bytes;
    return CL_SUCCESS;
}

static cl_int give_answer(const answer *a, const sp_yaml *y, size_t size, void *value, size_t *size_ret)
{
    size_t three[3];
    switch (a->kind) {
    case STRING: return give(y->text, strlen(y->text) + 1, size, value, size_ret);
    case UINT: return give(&(cl_uint){(cl_uint)y->integer}, sizeof(cl_uint), size, value, size_ret);
    case ULONG: return give(&(cl_ulong){(cl_ulong)y->integer}, sizeof(cl_ulong), size, value, size_ret);
    case SIZE: return give(&(size_t){(size_t)y->integer}, sizeof(size_t), size, value, size_ret);
    case FLAG: return give(&(cl_bool){y->integer != 0}, sizeof(cl_bool), size, value, size_ret);
    case SIZES:
        for (int i = 0; i < 3; i++)
            three[i] = (size_t)rules.max_work_item[i];
        return give(three, sizeof three, size, value, size_ret);
    }
    return CL_INVALID_VALUE;
}

static cl_device_type type_of(const sp_yaml *y)
{
    static const struct {
        const char *name;
        cl_device_type type;
    } types[] = {{"cpu", CL_DEVICE_TYPE_CPU},
                 {"gpu", CL_DEVICE_TYPE_GPU},
                 {"accelerator", CL_DEVICE_TYPE_ACCELERATOR}};
    for (size_t i = 0; i < 3; i++)
        if (strcmp(y->text, types[i].name) == 0)
            return types[i].type;
    layer_die("%s:%d: type is cpu, gpu or accelerator, not \"%s\"", y->file, y->line, y->text);
}

/* Answers that are made of a flag of the profile. */
static bool derived(cl_device_id id, cl_device_info what, size_t size, void *value, size_t *size_ret,
                    cl_int *code)
{
    const sp_yaml *y;
    cl_ulong bits = 0;
    if (what == CL_DEVICE_TYPE && (y = profile_get("type")) != NULL) {
        *code = give(&(cl_device_type){type_of(y)}, sizeof(cl_device_type), size, value, size_ret);
    } else if (what == CL_DEVICE_LOCAL_MEM_TYPE && (y = profile_get("local_type")) != NULL) {
        cl_device_local_mem_type type = strcmp(y->text, "global") == 0 ? CL_GLOBAL : CL_LOCAL;
        *code = give(&type, sizeof type, size, value, size_ret);
    } else if (what == CL_DEVICE_QUEUE_PROPERTIES && rules.on) {
        driver.clGetDeviceInfo(id, what, sizeof bits, &bits, NULL);
        bits &= ~(rules.out_of_order ? 0 : (cl_ulong)CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE);
        bits &= ~(rules.profiling ? 0 : (cl_ulong)CL_QUEUE_PROFILING_ENABLE);
        *code = give(&bits, sizeof bits, size, value, size_ret);
    } else if (what == CL_DEVICE_DOUBLE_FP_CONFIG && !rules.fp64 && rules.on) {
        *code = give(&bits, sizeof bits, size, value, size_ret);
    } else if (what == CL_DEVICE_PREFERRED_VECTOR_WIDTH_DOUBLE && !rules.fp64 && rules.on) {
        *code = give(&(cl_uint){0}, sizeof(cl_uint), size, value, size_ret);
    } else if (what == CL_DEVICE_IL_VERSION && rules.on && !profile_has_extension("cl_khr_il_program")) {
        *code = rules.cl_major < 2 ? CL_INVALID_VALUE : give("", 1, size, value, size_ret);
    } else if (what == CL_DEVICE_MAX_NUM_SUB_GROUPS && rules.on && !rules.sub_groups) {
        *code = rules.cl_major < 2 ? CL_INVALID_VALUE
                                   : give(&(cl_uint){0}, sizeof(cl_uint), size, value, size_ret);
    } else {
        return false;
    }
    return true;
}

static cl_int CL_API_CALL get_device_info(cl_device_id id, cl_device_info what, size_t size, void *value,
                                          size_t *size_ret)
{
    cl_int code = fault_now(FAULT_INFO, "clGetDeviceInfo");
    if (code != CL_SUCCESS || derived(id, what, size, value, size_ret, &code))
        return code;
    for (size_t i = 0; i < sizeof device_answers / sizeof *device_answers; i++) {
        const sp_yaml *y = device_answers[i].what == what ? profile_get(device_answers[i].key) : NULL;
        if (y)
            return give_answer(&device_answers[i], y, size, value, size_ret);
    }
    return driver.clGetDeviceInfo(id, what, size, value, size_ret);
}

static cl_int CL_API_CALL get_platform_info(cl_platform_id id, cl_platform_info what, size_t size,
                                            void *value, size_t *size_ret)
{
    cl_int code = fault_now(FAULT_INFO, "clGetPlatformInfo");
    if (code != CL_SUCCESS)
        return code;
    for (size_t i = 0; i < sizeof platform_answers / sizeof *platform_answers; i++) {
        const sp_yaml *y =
            platform_answers[i].what == what ? profile_platform(platform_answers[i].key) : NULL;
        if (y)
            return give_answer(&platform_answers[i], y, size, value, size_ret);
    }
    return driver.clGetPlatformInfo(id, what, size, value, size_ret);
}

/* The driver lists by its own types; the emulated type decides which devices there are. */
static cl_int CL_API_CALL get_device_ids(cl_platform_id id, cl_device_type type, cl_uint n, cl_device_id *out,
                                         cl_uint *n_ret)
{
    cl_int code = fault_now(FAULT_INFO, "clGetDeviceIDs");
    const sp_yaml *emulated = profile_get("type");
    if (code != CL_SUCCESS)
        return code;
    if (emulated && type != CL_DEVICE_TYPE_ALL && type != CL_DEVICE_TYPE_DEFAULT) {
        if (!(type & type_of(emulated)))
            return CL_DEVICE_NOT_FOUND;
        type = CL_DEVICE_TYPE_ALL;
    }
    return driver.clGetDeviceIDs(id, type, n, out, n_ret);
}

static cl_int CL_API_CALL get_platform_ids(cl_uint n, cl_platform_id *out, cl_uint *n_ret)
{
    cl_int code = fault_now(FAULT_INFO, "clGetPlatformIDs");
    return code != CL_SUCCESS ? code : driver.clGetPlatformIDs(n, out, n_ret);
}

/* Whether the kernel's program was built with the option that the profile names. */
static bool is_spilling(cl_kernel kernel, cl_device_id id)
{
    cl_program program = NULL;
    char options[4096] = "";
    driver.clGetKernelInfo(kernel, CL_KERNEL_PROGRAM, sizeof program, &program, NULL);
    driver.clGetProgramBuildInfo(program, id, CL_PROGRAM_BUILD_OPTIONS, sizeof options - 1, options, NULL);
    return strstr(options, rules.spills) != NULL;
}

static cl_int CL_API_CALL get_group_info(cl_kernel kernel, cl_device_id id, cl_kernel_work_group_info what,
                                         size_t size, void *value, size_t *size_ret)
{
    cl_int code = fault_now(FAULT_INFO, "clGetKernelWorkGroupInfo");
    if (code != CL_SUCCESS)
        return code;
    if (what == CL_KERNEL_PREFERRED_WORK_GROUP_SIZE_MULTIPLE && rules.preferred_multiple)
        return give(&(size_t){(size_t)rules.preferred_multiple}, sizeof(size_t), size, value, size_ret);
    if (what == CL_KERNEL_PRIVATE_MEM_SIZE && rules.on) /* PoCL's own, of a CPU, would count as spills */
        return give(&(cl_ulong){rules.spills && is_spilling(kernel, id) ? 1024 : 0}, sizeof(cl_ulong), size,
                    value, size_ret);
    code = driver.clGetKernelWorkGroupInfo(kernel, id, what, size, value, size_ret);
    int64_t most = rules.kernel_max_work_group ? rules.kernel_max_work_group : rules.max_work_group;
    if (code == CL_SUCCESS && what == CL_KERNEL_WORK_GROUP_SIZE && value && most &&
        *(size_t *)value > (size_t)most)
        *(size_t *)value = (size_t)most;
    return code;
}

static cl_int CL_API_CALL get_arg_info(cl_kernel kernel, cl_uint i, cl_kernel_arg_info what, size_t size,
                                       void *value, size_t *size_ret)
{
    cl_int code = fault_now(FAULT_INFO, "clGetKernelArgInfo");
    if (code != CL_SUCCESS)
        return code;
    if (rules.on && (!rules.arg_info || profile_refuses("clGetKernelArgInfo")))
        return refuse(CL_KERNEL_ARG_INFO_NOT_AVAILABLE, "clGetKernelArgInfo", "this device does not tell");
    return driver.clGetKernelArgInfo(kernel, i, what, size, value, size_ret);
}

static cl_int CL_API_CALL get_kernel_info(cl_kernel kernel, cl_kernel_info what, size_t size, void *value,
                                          size_t *size_ret)
{
    cl_int code = fault_now(FAULT_INFO, "clGetKernelInfo");
    return code != CL_SUCCESS ? code : driver.clGetKernelInfo(kernel, what, size, value, size_ret);
}

static cl_int CL_API_CALL get_mem_info(cl_mem mem, cl_mem_info what, size_t size, void *value,
                                       size_t *size_ret)
{
    cl_int code = fault_now(FAULT_INFO, "clGetMemObjectInfo");
    return code != CL_SUCCESS ? code : driver.clGetMemObjectInfo(mem, what, size, value, size_ret);
}

static cl_int CL_API_CALL get_event_times(cl_event event, cl_profiling_info what, size_t size, void *value,
                                          size_t *size_ret)
{
    cl_int code = fault_now(FAULT_INFO, "clGetEventProfilingInfo");
    return code != CL_SUCCESS ? code : driver.clGetEventProfilingInfo(event, what, size, value, size_ret);
}

/* Extensions that are not emulated have no functions. */
static void *CL_API_CALL get_extension(cl_platform_id id, const char *name)
{
    return rules.on && rules.extensions ? NULL : driver.clGetExtensionFunctionAddressForPlatform(id, name);
}

static cl_int CL_API_CALL get_sub_group_info(cl_kernel kernel, cl_device_id id, cl_kernel_sub_group_info what,
                                             size_t in_size, const void *in, size_t size, void *value,
                                             size_t *size_ret)
{
    if (rules.on && !rules.sub_groups)
        return refuse(CL_INVALID_OPERATION, "clGetKernelSubGroupInfo", "this device has no sub-groups");
    return driver.clGetKernelSubGroupInfo(kernel, id, what, in_size, in, size, value, size_ret);
}

void describe_install(cl_icd_dispatch *t)
{
    t->clGetDeviceInfo = get_device_info;
    t->clGetPlatformInfo = get_platform_info;
    t->clGetDeviceIDs = get_device_ids;
    t->clGetPlatformIDs = get_platform_ids;
    t->clGetKernelWorkGroupInfo = get_group_info;
    t->clGetKernelArgInfo = get_arg_info;
    t->clGetKernelInfo = get_kernel_info;
    t->clGetMemObjectInfo = get_mem_info;
    t->clGetEventProfilingInfo = get_event_times;
    t->clGetExtensionFunctionAddressForPlatform = get_extension;
    t->clGetKernelSubGroupInfo = get_sub_group_info;
}
