/* Contexts, queues, programs and kernels: counted, made to fail, and refused as the profile says. */
#define _GNU_SOURCE // memmem
#include "layer.h"

#include <stdlib.h>
#include <string.h>

static cl_context CL_API_CALL create_context(
    const cl_context_properties *properties, cl_uint n, const cl_device_id *ids,
    void(CL_CALLBACK *notify)(const char *, const void *, size_t, void *), void *user, cl_int *code)
{
    cl_int fault = fault_now(FAULT_CREATE, "clCreateContext");
    if (fault != CL_SUCCESS)
        return give_code(code, fault);
    cl_context c = driver.clCreateContext(properties, n, ids, notify, user, code);
    count_object(OBJECT_CONTEXT, c != NULL);
    return c;
}

static cl_int wrong_queue(cl_command_queue_properties wanted, const char *call)
{
    if (rules.on && !rules.out_of_order && (wanted & CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE))
        return refuse(CL_INVALID_QUEUE_PROPERTIES, call, "this device has no out-of-order queues");
    if (rules.on && !rules.profiling && (wanted & CL_QUEUE_PROFILING_ENABLE))
        return refuse(CL_INVALID_QUEUE_PROPERTIES, call, "this device has no profiling queues");
    return fault_now(FAULT_CREATE, call);
}

static cl_command_queue CL_API_CALL create_queue(cl_context c, cl_device_id id,
                                                 cl_command_queue_properties wanted, cl_int *code)
{
    cl_int wrong = wrong_queue(wanted, "clCreateCommandQueue");
    if (wrong != CL_SUCCESS)
        return give_code(code, wrong);
    cl_command_queue q = driver.clCreateCommandQueue(c, id, wanted, code);
    count_object(OBJECT_QUEUE, q != NULL);
    return q;
}

static cl_command_queue CL_API_CALL create_queue_2(cl_context c, cl_device_id id,
                                                   const cl_queue_properties *list, cl_int *code)
{
    static const char call[] = "clCreateCommandQueueWithProperties";
    cl_command_queue_properties wanted = 0;
    for (const cl_queue_properties *p = list; p && *p; p += 2)
        if (*p == CL_QUEUE_PROPERTIES)
            wanted = p[1];
    cl_int wrong = rules.on && rules.cl_major == 1
                       ? refuse(CL_INVALID_OPERATION, call, "this device is OpenCL 1.%d", rules.cl_minor)
                       : wrong_queue(wanted, call);
    if (wrong != CL_SUCCESS)
        return give_code(code, wrong);
    cl_command_queue q = driver.clCreateCommandQueueWithProperties(c, id, list, code);
    count_object(OBJECT_QUEUE, q != NULL);
    return q;
}

/* Whether one of the texts has the word anywhere, in a comment too. */
static bool has_word(cl_uint n, const char **texts, const size_t *lengths, const char *word)
{
    for (cl_uint i = 0; i < n; i++)
        if (memmem(texts[i], lengths && lengths[i] ? lengths[i] : strlen(texts[i]), word, strlen(word)))
            return true;
    return false;
}

/* Lines in front of a source that take away what the emulated device lacks; `double` becomes a word that does
 * not compile. Only words that the source has: one that needs nothing of it stays as it is, and the driver's
 * own cache knows it from every other device that was emulated. */
static char *prelude(cl_context context, cl_uint n, const char **texts, const size_t *lengths)
{
    static const char no_double[] =
        "#define double this_device_has_no_double\n#define double2 this_device_has_no_double\n"
        "#define double4 this_device_has_no_double\n#define double8 this_device_has_no_double\n"
        "#define double16 this_device_has_no_double\n#undef cl_khr_fp64\n#undef __opencl_c_fp64\n";
    char list[8192] = "", *save = NULL, *out = calloc(1, 16384);
    cl_device_id id = NULL;
    if (!out)
        layer_die("out of memory");
    driver.clGetContextInfo(context, CL_CONTEXT_DEVICES, sizeof id, &id, NULL);
    driver.clGetDeviceInfo(id, CL_DEVICE_EXTENSIONS, sizeof list, list, NULL);
    if (!rules.fp64 && (has_word(n, texts, lengths, "double") || has_word(n, texts, lengths, "fp64")))
        strcat(out, no_double);
    for (char *word = strtok_r(list, " ", &save); word; word = strtok_r(NULL, " ", &save))
        if (!profile_has_extension(word) && strlen(out) + strlen(word) < 16000 &&
            has_word(n, texts, lengths, word))
            strcat(strcat(strcat(out, "#undef "), word), "\n");
    if (*out)
        strcat(out, "#line 1\n"); // messages of the compiler count the source's own lines
    return out;
}

static cl_program CL_API_CALL program_with_source(cl_context context, cl_uint n, const char **texts,
                                                  const size_t *lengths, cl_int *code)
{
    static const char call[] = "clCreateProgramWithSource";
    cl_int fault = rules.on && !rules.compiler && rules.refuse_at_create
                       ? refuse(CL_INVALID_OPERATION, call, "this device takes binaries only")
                       : fault_now(FAULT_CREATE, call);
    if (fault != CL_SUCCESS)
        return give_code(code, fault);
    cl_program p;
    if (rules.on) {
        const char **all = calloc(n + 1, sizeof *all);
        size_t *sizes = calloc(n + 1, sizeof *sizes);
        if (!all || !sizes)
            layer_die("out of memory");
        all[0] = prelude(context, n, texts, lengths);
        for (cl_uint i = 0; i < n; i++) {
            all[i + 1] = texts[i];
            sizes[i + 1] = lengths ? lengths[i] : 0;
        }
        p = driver.clCreateProgramWithSource(context, n + 1, all, sizes, code);
        free((void *)all[0]);
        free(all);
        free(sizes);
    } else {
        p = driver.clCreateProgramWithSource(context, n, texts, lengths, code);
    }
    count_object(OBJECT_PROGRAM, p != NULL);
    return p;
}

static cl_program CL_API_CALL program_with_binary(cl_context context, cl_uint n, const cl_device_id *ids,
                                                  const size_t *lengths, const unsigned char **binaries,
                                                  cl_int *status, cl_int *code)
{
    cl_int fault = fault_now(FAULT_CREATE, "clCreateProgramWithBinary");
    if (fault == CL_SUCCESS && rules.on && !rules.binaries)
        fault = refuse(CL_INVALID_OPERATION, "clCreateProgramWithBinary", "this device takes no binaries");
    if (fault != CL_SUCCESS)
        return give_code(code, fault);
    cl_program p = driver.clCreateProgramWithBinary(context, n, ids, lengths, binaries, status, code);
    count_object(OBJECT_PROGRAM, p != NULL);
    return p;
}

static cl_program CL_API_CALL program_with_il(cl_context context, const void *il, size_t bytes, cl_int *code)
{
    cl_int fault = fault_now(FAULT_CREATE, "clCreateProgramWithIL");
    if (fault == CL_SUCCESS && rules.on && !profile_has_extension("cl_khr_il_program"))
        fault = refuse(CL_INVALID_OPERATION, "clCreateProgramWithIL", "this device takes no SPIR-V");
    if (fault != CL_SUCCESS)
        return give_code(code, fault);
    cl_program p = driver.clCreateProgramWithIL(context, il, bytes, code);
    count_object(OBJECT_PROGRAM, p != NULL);
    return p;
}

/* A program made of a binary has no source to tell. */
static bool is_source(cl_program p)
{
    size_t bytes = 0;
    return driver.clGetProgramInfo(p, CL_PROGRAM_SOURCE, 0, NULL, &bytes) == CL_SUCCESS && bytes > 1;
}

/* What is emulated are limits. The driver need not optimise kernels that were unrolled for another device,
 * which takes it most of the time of these tests. */
static char *unoptimised(const char *options)
{
    static const char off[] = " -cl-opt-disable";
    char *all = calloc(1, (options ? strlen(options) : 0) + sizeof off);
    if (!all)
        layer_die("out of memory");
    return strcat(strcpy(all, options ? options : ""), off);
}

static cl_int CL_API_CALL build_program(cl_program p, cl_uint n, const cl_device_id *ids, const char *options,
                                        void(CL_CALLBACK *notify)(cl_program, void *), void *user)
{
    if (rules.on && !rules.compiler && is_source(p))
        return refuse(CL_COMPILER_NOT_AVAILABLE, "clBuildProgram", "this device has no compiler");
    cl_int fault = fault_now(FAULT_BUILD, "clBuildProgram");
    if (fault != CL_SUCCESS)
        return fault;
    char *all = rules.on && is_source(p) ? unoptimised(options) : NULL;
    cl_int code = driver.clBuildProgram(p, n, ids, all ? all : options, notify, user);
    free(all);
    return code;
}

static cl_int CL_API_CALL compile_program(cl_program p, cl_uint n, const cl_device_id *ids,
                                          const char *options, cl_uint n_headers, const cl_program *headers,
                                          const char **names, void(CL_CALLBACK *notify)(cl_program, void *),
                                          void *user)
{
    if (rules.on && !rules.compiler)
        return refuse(CL_COMPILER_NOT_AVAILABLE, "clCompileProgram", "this device has no compiler");
    cl_int fault = fault_now(FAULT_BUILD, "clCompileProgram");
    return fault != CL_SUCCESS
               ? fault
               : driver.clCompileProgram(p, n, ids, options, n_headers, headers, names, notify, user);
}

static cl_int CL_API_CALL get_program_info(cl_program p, cl_program_info what, size_t size, void *value,
                                           size_t *size_ret)
{
    cl_int code = fault_now(FAULT_INFO, "clGetProgramInfo");
    return code != CL_SUCCESS ? code : driver.clGetProgramInfo(p, what, size, value, size_ret);
}

static cl_kernel CL_API_CALL create_kernel(cl_program p, const char *name, cl_int *code)
{
    cl_int fault = fault_now(FAULT_CREATE, "clCreateKernel");
    if (fault != CL_SUCCESS)
        return give_code(code, fault);
    cl_kernel k = driver.clCreateKernel(p, name, code);
    count_object(OBJECT_KERNEL, k != NULL);
    return k;
}

static cl_int CL_API_CALL create_kernels(cl_program p, cl_uint n, cl_kernel *out, cl_uint *n_ret)
{
    cl_uint made = 0;
    cl_int code = fault_now(FAULT_CREATE, "clCreateKernelsInProgram");
    if (code == CL_SUCCESS)
        code = driver.clCreateKernelsInProgram(p, n, out, &made);
    if (code == CL_SUCCESS && out)
        count_object(OBJECT_KERNEL, (int)made);
    if (n_ret)
        *n_ret = made;
    return code;
}

#define COUNTED(function, call, type, kind, by)                                                              \
    static cl_int CL_API_CALL function(type object)                                                          \
    {                                                                                                        \
        cl_int code = driver.call(object);                                                                   \
        if (code == CL_SUCCESS)                                                                              \
            count_object(kind, by);                                                                          \
        return code;                                                                                         \
    }
COUNTED(retain_context, clRetainContext, cl_context, OBJECT_CONTEXT, 1)
COUNTED(release_context, clReleaseContext, cl_context, OBJECT_CONTEXT, -1)
COUNTED(retain_queue, clRetainCommandQueue, cl_command_queue, OBJECT_QUEUE, 1)
COUNTED(release_queue, clReleaseCommandQueue, cl_command_queue, OBJECT_QUEUE, -1)
COUNTED(retain_program, clRetainProgram, cl_program, OBJECT_PROGRAM, 1)
COUNTED(release_program, clReleaseProgram, cl_program, OBJECT_PROGRAM, -1)
COUNTED(retain_kernel, clRetainKernel, cl_kernel, OBJECT_KERNEL, 1)
COUNTED(release_kernel, clReleaseKernel, cl_kernel, OBJECT_KERNEL, -1)

void program_install(cl_icd_dispatch *t)
{
    t->clCreateContext = create_context;
    t->clRetainContext = retain_context;
    t->clReleaseContext = release_context;
    t->clCreateCommandQueue = create_queue;
    t->clCreateCommandQueueWithProperties = create_queue_2;
    t->clRetainCommandQueue = retain_queue;
    t->clReleaseCommandQueue = release_queue;
    t->clCreateProgramWithSource = program_with_source;
    t->clCreateProgramWithBinary = program_with_binary;
    t->clCreateProgramWithIL = program_with_il;
    t->clRetainProgram = retain_program;
    t->clReleaseProgram = release_program;
    t->clBuildProgram = build_program;
    t->clCompileProgram = compile_program;
    t->clGetProgramInfo = get_program_info;
    t->clCreateKernel = create_kernel;
    t->clCreateKernelsInProgram = create_kernels;
    t->clRetainKernel = retain_kernel;
    t->clReleaseKernel = release_kernel;
}
