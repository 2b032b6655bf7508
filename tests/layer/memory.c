/* Buffers and transfers: limits of the emulated device, counts, faults. */
#include "layer.h"

static _Atomic long long live_bytes; // of all buffers, sub-buffers not counted twice

static cl_int wrong_size(size_t bytes, const char *call)
{
    if (rules.max_alloc_bytes && bytes > (size_t)rules.max_alloc_bytes)
        return refuse(CL_INVALID_BUFFER_SIZE, call, "%zu bytes, the device takes %lld", bytes,
                      (long long)rules.max_alloc_bytes);
    if (rules.global_bytes && live_bytes + (long long)bytes > rules.global_bytes)
        return refuse(CL_MEM_OBJECT_ALLOCATION_FAILURE, call,
                      "%zu bytes more than the %lld in use do not fit", bytes, live_bytes);
    return fault_now(FAULT_ALLOC, call);
}

static void check_host(const void *host)
{
    if (rules.host_align_bytes && host && (uintptr_t)host % (uintptr_t)rules.host_align_bytes)
        count_unaligned_host();
}

static cl_mem CL_API_CALL create_buffer(cl_context c, cl_mem_flags flags, size_t bytes, void *host,
                                        cl_int *code)
{
    cl_int wrong = wrong_size(bytes, "clCreateBuffer");
    if (wrong != CL_SUCCESS)
        return give_code(code, wrong);
    check_host(host);
    cl_mem m = driver.clCreateBuffer(c, flags, bytes, host, code);
    count_object(OBJECT_BUFFER, m != NULL);
    live_bytes += m ? (long long)bytes : 0;
    return m;
}

static cl_mem CL_API_CALL create_sub_buffer(cl_mem parent, cl_mem_flags flags, cl_buffer_create_type type,
                                            const void *info, cl_int *code)
{
    const cl_buffer_region *region = info;
    size_t align = (size_t)rules.base_align_bits / 8;
    if (type == CL_BUFFER_CREATE_TYPE_REGION && region && align && region->origin % align)
        return give_code(code, refuse(CL_MISALIGNED_SUB_BUFFER_OFFSET, "clCreateSubBuffer",
                                      "offset %zu is not a multiple of %zu", region->origin, align));
    cl_int fault = fault_now(FAULT_ALLOC, "clCreateSubBuffer");
    if (fault != CL_SUCCESS)
        return give_code(code, fault);
    cl_mem m = driver.clCreateSubBuffer(parent, flags, type, info, code);
    count_object(OBJECT_BUFFER, m != NULL);
    return m;
}

static cl_int CL_API_CALL retain_mem(cl_mem m)
{
    cl_int code = driver.clRetainMemObject(m);
    count_object(OBJECT_BUFFER, code == CL_SUCCESS);
    return code;
}

static cl_int CL_API_CALL release_mem(cl_mem m)
{
    cl_uint references = 0;
    size_t bytes = 0;
    cl_mem parent = NULL;
    driver.clGetMemObjectInfo(m, CL_MEM_REFERENCE_COUNT, sizeof references, &references, NULL);
    driver.clGetMemObjectInfo(m, CL_MEM_SIZE, sizeof bytes, &bytes, NULL);
    driver.clGetMemObjectInfo(m, CL_MEM_ASSOCIATED_MEMOBJECT, sizeof parent, &parent, NULL);
    cl_int code = driver.clReleaseMemObject(m);
    if (code == CL_SUCCESS) {
        count_object(OBJECT_BUFFER, -1);
        live_bytes -= references == 1 && !parent ? (long long)bytes : 0;
    }
    return code;
}

static cl_int CL_API_CALL enqueue_read(cl_command_queue q, cl_mem m, cl_bool blocking, size_t at,
                                       size_t bytes, void *to, cl_uint n, const cl_event *waits,
                                       cl_event *event)
{
    cl_int code = fault_now(FAULT_READ, "clEnqueueReadBuffer");
    if (code != CL_SUCCESS)
        return code;
    check_host(to);
    code = rules.idle_transfers ? do_nothing(q, n, waits, event)
                                : driver.clEnqueueReadBuffer(q, m, blocking, at, bytes, to, n, waits, event);
    count_object(OBJECT_EVENT, event && code == CL_SUCCESS);
    return code;
}

static cl_int CL_API_CALL enqueue_write(cl_command_queue q, cl_mem m, cl_bool blocking, size_t at,
                                        size_t bytes, const void *from, cl_uint n, const cl_event *waits,
                                        cl_event *event)
{
    cl_int code = fault_now(FAULT_WRITE, "clEnqueueWriteBuffer");
    if (code != CL_SUCCESS)
        return code;
    check_host(from);
    code = rules.idle_transfers
               ? do_nothing(q, n, waits, event)
               : driver.clEnqueueWriteBuffer(q, m, blocking, at, bytes, from, n, waits, event);
    count_object(OBJECT_EVENT, event && code == CL_SUCCESS);
    return code;
}

static cl_int CL_API_CALL enqueue_copy(cl_command_queue q, cl_mem from, cl_mem to, size_t from_at,
                                       size_t to_at, size_t bytes, cl_uint n, const cl_event *waits,
                                       cl_event *event)
{
    cl_int code = fault_now(FAULT_ENQUEUE, "clEnqueueCopyBuffer");
    if (code == CL_SUCCESS)
        code = rules.idle_transfers
                   ? do_nothing(q, n, waits, event)
                   : driver.clEnqueueCopyBuffer(q, from, to, from_at, to_at, bytes, n, waits, event);
    count_object(OBJECT_EVENT, event && code == CL_SUCCESS);
    return code;
}

static cl_int CL_API_CALL enqueue_fill(cl_command_queue q, cl_mem m, const void *pattern,
                                       size_t pattern_bytes, size_t at, size_t bytes, cl_uint n,
                                       const cl_event *waits, cl_event *event)
{
    static const char call[] = "clEnqueueFillBuffer";
    bool old = rules.on && rules.cl_major == 1 && rules.cl_minor < 2;
    cl_int code = old ? refuse(CL_INVALID_OPERATION, call, "this device is OpenCL 1.%d", rules.cl_minor)
                      : fault_now(FAULT_ENQUEUE, call);
    if (code == CL_SUCCESS)
        code = rules.idle_transfers
                   ? do_nothing(q, n, waits, event)
                   : driver.clEnqueueFillBuffer(q, m, pattern, pattern_bytes, at, bytes, n, waits, event);
    count_object(OBJECT_EVENT, event && code == CL_SUCCESS);
    return code;
}

static void *CL_API_CALL enqueue_map(cl_command_queue q, cl_mem m, cl_bool blocking, cl_map_flags flags,
                                     size_t at, size_t bytes, cl_uint n, const cl_event *waits,
                                     cl_event *event, cl_int *code)
{
    cl_int fault = fault_now(FAULT_READ, "clEnqueueMapBuffer");
    if (fault != CL_SUCCESS)
        return give_code(code, fault);
    void *p = driver.clEnqueueMapBuffer(q, m, blocking, flags, at, bytes, n, waits, event, code);
    count_object(OBJECT_EVENT, event && p);
    return p;
}

static cl_int CL_API_CALL enqueue_unmap(cl_command_queue q, cl_mem m, void *p, cl_uint n,
                                        const cl_event *waits, cl_event *event)
{
    cl_int code = fault_now(FAULT_WRITE, "clEnqueueUnmapMemObject");
    if (code == CL_SUCCESS)
        code = driver.clEnqueueUnmapMemObject(q, m, p, n, waits, event);
    count_object(OBJECT_EVENT, event && code == CL_SUCCESS);
    return code;
}

void memory_install(cl_icd_dispatch *t)
{
    t->clCreateBuffer = create_buffer;
    t->clCreateSubBuffer = create_sub_buffer;
    t->clRetainMemObject = retain_mem;
    t->clReleaseMemObject = release_mem;
    t->clEnqueueReadBuffer = enqueue_read;
    t->clEnqueueWriteBuffer = enqueue_write;
    t->clEnqueueCopyBuffer = enqueue_copy;
    t->clEnqueueFillBuffer = enqueue_fill;
    t->clEnqueueMapBuffer = enqueue_map;
    t->clEnqueueUnmapMemObject = enqueue_unmap;
}
