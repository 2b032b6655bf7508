/* The layer's own promises, through plain OpenCL calls: what a profile says is answered and enforced, faults
 * hit the call they are meant for, what is not released is seen. Each Test() is a process, so each has a
 * layer of its own. */
#include <CL/cl.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static cl_platform_id platform;
static cl_device_id device;
static cl_context context;
static cl_command_queue queue;

/* Before the first OpenCL call of the process. */
static void play(const char *profile, const char *set, const char *fault)
{
    char path[512];
    cl_int code;
    snprintf(path, sizeof path, "%s/%s.yaml", PROFILES, profile);
    setenv("OPENCL_LAYERS", LAYER, 1);
    setenv("SPIKEPORT_LAYER_PROFILE", *profile ? path : "", 1);
    setenv("SPIKEPORT_LAYER_SET", set, 1);
    setenv("SPIKEPORT_LAYER_FAULT", fault, 1);
    if (clGetPlatformIDs(1, &platform, NULL) != CL_SUCCESS ||
        clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL) != CL_SUCCESS)
        cr_skip_test("no OpenCL device");
    context = clCreateContext(NULL, 1, &device, NULL, NULL, &code);
    queue = context ? clCreateCommandQueue(context, device, 0, &code) : NULL;
}

static cl_kernel kernel_of(const char *source, cl_int *code)
{
    cl_program p = clCreateProgramWithSource(context, 1, &source, NULL, code);
    if (!p)
        return NULL;
    *code = clBuildProgram(p, 1, &device, "-cl-std=CL1.2 -cl-kernel-arg-info", NULL, NULL);
    cl_kernel k = *code == CL_SUCCESS ? clCreateKernel(p, "f", code) : NULL;
    clReleaseProgram(p);
    return k;
}

static const char plain[] = "kernel void f(global float *x) { x[get_global_id(0)] = get_local_size(0); }";

Test(layer, answers_are_the_profiles)
{
    char text[256];
    cl_device_type type;
    cl_uint bits;
    size_t group, items[3];
    cl_ulong most;
    play("amd_legacy", "", "");
    clGetDeviceInfo(device, CL_DEVICE_NAME, sizeof text, text, NULL);
    cr_assert_str_eq(text, "Ellesmere");
    clGetPlatformInfo(platform, CL_PLATFORM_NAME, sizeof text, text, NULL);
    cr_assert_str_eq(text, "AMD Accelerated Parallel Processing");
    clGetDeviceInfo(device, CL_DEVICE_TYPE, sizeof type, &type, NULL);
    cr_assert_eq(type, CL_DEVICE_TYPE_GPU);
    clGetDeviceInfo(device, CL_DEVICE_MEM_BASE_ADDR_ALIGN, sizeof bits, &bits, NULL);
    cr_assert_eq(bits, 2048u);
    clGetDeviceInfo(device, CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof group, &group, NULL);
    cr_assert_eq(group, 256u);
    clGetDeviceInfo(device, CL_DEVICE_MAX_WORK_ITEM_SIZES, sizeof items, items, NULL);
    cr_assert_eq(items[2], 256u);
    clGetDeviceInfo(device, CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof most, &most, NULL);
    cr_assert_eq(most, 3381921792u);
    cr_assert_eq(clGetDeviceIDs(platform, CL_DEVICE_TYPE_CPU, 1, &device, NULL), CL_DEVICE_NOT_FOUND);
}

Test(layer, groups_over_the_limit_are_refused)
{
    cl_int code;
    size_t global[3] = {1024, 1, 1}, big[3] = {512, 1, 1}, deep[3] = {1, 1, 128},
           deep_global[3] = {1, 1, 128}, most;
    play("amd_rocm", "max_work_item=[1024, 1024, 64]", "");
    cl_kernel k = kernel_of(plain, &code);
    cr_assert_eq(code, CL_SUCCESS);
    cl_mem m = clCreateBuffer(context, CL_MEM_READ_WRITE, 4096, NULL, &code);
    clSetKernelArg(k, 0, sizeof m, &m);
    clGetKernelWorkGroupInfo(k, device, CL_KERNEL_WORK_GROUP_SIZE, sizeof most, &most, NULL);
    cr_assert_eq(most, 256u);
    cr_assert_eq(clEnqueueNDRangeKernel(queue, k, 1, NULL, global, big, 0, NULL, NULL),
                 CL_INVALID_WORK_GROUP_SIZE);
    cr_assert_eq(clEnqueueNDRangeKernel(queue, k, 3, NULL, deep_global, deep, 0, NULL, NULL),
                 CL_INVALID_WORK_ITEM_SIZE);
    cr_assert_eq(clEnqueueNDRangeKernel(queue, k, 1, NULL, global, NULL, 0, NULL, NULL), CL_SUCCESS);
    float x[1024];
    clEnqueueReadBuffer(queue, m, CL_TRUE, 0, sizeof x, x, 0, NULL, NULL);
    cr_assert_eq(x[0], 256.0f, "the driver was left to choose groups of %g", (double)x[0]);
}

Test(layer, buffers_keep_to_the_limits)
{
    cl_int code;
    cl_buffer_region off = {128, 256}, at = {4096, 256};
    play("apple", "max_alloc_bytes=65536;global_bytes=100000", "");
    cl_mem m = clCreateBuffer(context, CL_MEM_READ_WRITE, 65536, NULL, &code);
    cr_assert_eq(code, CL_SUCCESS);
    cr_assert_null(clCreateBuffer(context, CL_MEM_READ_WRITE, 65537, NULL, &code));
    cr_assert_eq(code, CL_INVALID_BUFFER_SIZE);
    cr_assert_null(clCreateBuffer(context, CL_MEM_READ_WRITE, 50000, NULL, &code));
    cr_assert_eq(code, CL_MEM_OBJECT_ALLOCATION_FAILURE);
    cr_assert_null(clCreateSubBuffer(m, 0, CL_BUFFER_CREATE_TYPE_REGION, &off, &code));
    cr_assert_eq(code, CL_MISALIGNED_SUB_BUFFER_OFFSET);
    cr_assert_not_null(clCreateSubBuffer(m, 0, CL_BUFFER_CREATE_TYPE_REGION, &at, &code));
}

Test(layer, a_device_without_compiler_builds_no_source)
{
    cl_int code = 0;
    play("intel_fpga", "", "");
    kernel_of(plain, &code);
    cr_assert_eq(code, CL_COMPILER_NOT_AVAILABLE);
}

Test(layer, where_sources_are_refused_at_once)
{
    cl_int code = 0;
    const char *source = plain;
    play("amd_fpga", "", "");
    cr_assert_null(clCreateProgramWithSource(context, 1, &source, NULL, &code));
    cr_assert_eq(code, CL_INVALID_OPERATION);
}

Test(layer, double_does_not_compile_where_there_is_none)
{
    cl_int code = 0;
    play("rusticl", "", "");
    kernel_of("kernel void f(global float *x) { double y = x[0]; x[1] = (float)y; }", &code);
    cr_assert_eq(code, CL_BUILD_PROGRAM_FAILURE);
    kernel_of("#ifdef cl_khr_fp64\n#error it says it has\n#endif\nkernel void f(global float *x) { x[1] = 1; "
              "}",
              &code);
    cr_assert_eq(code, CL_SUCCESS);
}

Test(layer, queues_local_memory_and_constants)
{
    cl_int code;
    size_t one = 1;
    play("amd_rocm", "local_bytes=1024;constant_bytes=4096", "");
    cr_assert_null(clCreateCommandQueue(context, device, CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE, &code));
    cr_assert_eq(code, CL_INVALID_QUEUE_PROPERTIES);
    cl_kernel k = kernel_of("kernel void f(constant float *c, global float *x) { local float t[512]; "
                            "t[get_local_id(0)] = c[0];"
                            " barrier(CLK_LOCAL_MEM_FENCE); x[0] = t[0]; }",
                            &code);
    cr_assert_eq(code, CL_SUCCESS);
    cl_mem large = clCreateBuffer(context, CL_MEM_READ_ONLY, 8192, NULL, &code),
           m = clCreateBuffer(context, 0, 4096, NULL, &code);
    cr_assert_eq(clSetKernelArg(k, 0, sizeof large, &large), CL_OUT_OF_RESOURCES);
    cr_assert_eq(clSetKernelArg(k, 0, sizeof m, &m), CL_SUCCESS);
    cr_assert_eq(clSetKernelArg(k, 1, sizeof m, &m), CL_SUCCESS);
    cr_assert_eq(clEnqueueNDRangeKernel(queue, k, 1, NULL, &one, &one, 0, NULL, NULL), CL_OUT_OF_RESOURCES);
}

Test(layer, the_nth_call_of_a_kind_fails_and_no_other)
{
    cl_int code;
    play("", "", "alloc:2:CL_OUT_OF_HOST_MEMORY");
    for (int n = 1; n <= 4; n++) {
        cl_mem m = clCreateBuffer(context, CL_MEM_READ_WRITE, 64, NULL, &code);
        cr_assert_eq(code, n == 2 ? CL_OUT_OF_HOST_MEMORY : CL_SUCCESS);
        cr_assert_eq(m == NULL, n == 2);
    }
}

Test(layer, a_lost_device_stays_lost)
{
    cl_int code;
    play("", "", "finish:1:lost");
    clReleaseMemObject(clCreateBuffer(context, CL_MEM_READ_WRITE, 64, NULL, &code));
    cr_assert_eq(code, CL_SUCCESS);
    cr_assert_eq(clFinish(queue), CL_DEVICE_NOT_AVAILABLE);
    cr_assert_eq(clFinish(queue), CL_DEVICE_NOT_AVAILABLE);
    clCreateBuffer(context, CL_MEM_READ_WRITE, 64, NULL, &code);
    cr_assert_eq(code, CL_DEVICE_NOT_AVAILABLE);
}

Test(layer, what_is_not_released_is_counted)
{
    char path[] = "/tmp/layer-report-XXXXXX", line[64];
    int fd = mkstemp(path), status, leaks = -1;
    cr_assert(fd >= 0);
    setenv("SPIKEPORT_LAYER_REPORT", path, 1);
    pid_t child = fork();
    if (child == 0) {
        cl_int code;
        play("", "", "");
        clCreateBuffer(context, CL_MEM_READ_WRITE, 64, NULL, &code);
        clReleaseCommandQueue(queue);
        clReleaseContext(context);
        exit(0); // through the destructors
    }
    waitpid(child, &status, 0);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f))
        sscanf(line, "leaks %d", &leaks);
    fclose(f);
    close(fd);
    unlink(path);
    cr_assert_eq(leaks, 1, "%d", leaks);
}
