/* Kernels in the queue and waiting: work-group limits, local and constant memory, counts, faults. */
#include "layer.h"

/* The driver would choose for itself, and more than the emulated device takes: largest divisors, first
 * dimension first. */
static void choose_local(cl_kernel kernel, cl_device_id id, cl_uint dims, const size_t *global, size_t most,
                         size_t *local)
{
    size_t wanted[3] = {0};
    driver.clGetKernelWorkGroupInfo(kernel, id, CL_KERNEL_COMPILE_WORK_GROUP_SIZE, sizeof wanted, wanted,
                                    NULL);
    for (cl_uint d = 0; d < dims; d++) {
        size_t limit = rules.max_work_item[d] && most > (size_t)rules.max_work_item[d]
                           ? (size_t)rules.max_work_item[d]
                           : most;
        local[d] = wanted[0] ? wanted[d] : limit < global[d] ? limit : global[d];
        while (local[d] > 1 && global[d] % local[d])
            local[d]--;
        most /= local[d] ? local[d] : 1;
    }
}

static cl_int wrong_groups(cl_kernel kernel, cl_device_id id, cl_uint dims, const size_t *local, size_t most,
                           const char *call)
{
    size_t items = 1;
    cl_ulong bytes = 0;
    for (cl_uint d = 0; d < dims; d++) {
        items *= local[d];
        if (rules.max_work_item[d] && local[d] > (size_t)rules.max_work_item[d])
            return refuse(CL_INVALID_WORK_ITEM_SIZE, call, "%zu items in dimension %u, the device takes %lld",
                          local[d], d, (long long)rules.max_work_item[d]);
    }
    if (most && items > most)
        return refuse(CL_INVALID_WORK_GROUP_SIZE, call, "groups of %zu items, the device takes %zu", items,
                      most);
    if (rules.local_bytes &&
        driver.clGetKernelWorkGroupInfo(kernel, id, CL_KERNEL_LOCAL_MEM_SIZE, sizeof bytes, &bytes, NULL) ==
            CL_SUCCESS &&
        bytes > (cl_ulong)rules.local_bytes)
        return refuse(CL_OUT_OF_RESOURCES, call, "%llu bytes of local memory, the device has %lld",
                      (unsigned long long)bytes, (long long)rules.local_bytes);
    return CL_SUCCESS;
}

static cl_int CL_API_CALL enqueue_kernel(cl_command_queue q, cl_kernel kernel, cl_uint dims,
                                         const size_t *offset, const size_t *global, const size_t *local,
                                         cl_uint n, const cl_event *waits, cl_event *event)
{
    static const char call[] = "clEnqueueNDRangeKernel";
    size_t most = (size_t)(rules.kernel_max_work_group ? rules.kernel_max_work_group : rules.max_work_group),
           chosen[3];
    cl_int code = fault_now(FAULT_ENQUEUE, call);
    if (code != CL_SUCCESS)
        return code;
    if (rules.on && dims >= 1 && dims <= 3 && global) {
        cl_device_id id = NULL;
        driver.clGetCommandQueueInfo(q, CL_QUEUE_DEVICE, sizeof id, &id, NULL);
        size_t own = 0;
        driver.clGetKernelWorkGroupInfo(kernel, id, CL_KERNEL_WORK_GROUP_SIZE, sizeof own, &own, NULL);
        if (!local && most && most < own) {
            choose_local(kernel, id, dims, global, most, chosen);
            local = chosen;
        }
        if (local && (code = wrong_groups(kernel, id, dims, local, most, call)) != CL_SUCCESS)
            return code;
    }
    code = rules.idle_kernels
               ? do_nothing(q, n, waits, event)
               : driver.clEnqueueNDRangeKernel(q, kernel, dims, offset, global, local, n, waits, event);
    count_object(OBJECT_EVENT, event && code == CL_SUCCESS);
    return code;
}

cl_int do_nothing(cl_command_queue q, cl_uint n, const cl_event *waits, cl_event *event)
{
    return driver.clEnqueueMarkerWithWaitList(q, n, waits, event);
}

/* A constant argument larger than the device's constant memory. */
static cl_int CL_API_CALL set_arg(cl_kernel kernel, cl_uint i, size_t size, const void *value)
{
    static const char call[] = "clSetKernelArg";
    cl_kernel_arg_address_qualifier space = 0;
    size_t bytes = 0;
    cl_int code = fault_now(FAULT_ARG, call);
    if (code != CL_SUCCESS)
        return code;
    if (rules.constant_bytes && size == sizeof(cl_mem) && value && *(const cl_mem *)value &&
        driver.clGetKernelArgInfo(kernel, i, CL_KERNEL_ARG_ADDRESS_QUALIFIER, sizeof space, &space, NULL) ==
            CL_SUCCESS &&
        space == CL_KERNEL_ARG_ADDRESS_CONSTANT &&
        driver.clGetMemObjectInfo(*(const cl_mem *)value, CL_MEM_SIZE, sizeof bytes, &bytes, NULL) ==
            CL_SUCCESS &&
        bytes > (size_t)rules.constant_bytes)
        return refuse(CL_OUT_OF_RESOURCES, call, "a constant buffer of %zu bytes, the device takes %lld",
                      bytes, (long long)rules.constant_bytes);
    return driver.clSetKernelArg(kernel, i, size, value);
}

static cl_int CL_API_CALL finish(cl_command_queue q)
{
    cl_int code = fault_now(FAULT_FINISH, "clFinish"),
           real = driver.clFinish(q); // a lost device waits for nothing
    return code != CL_SUCCESS ? code : real;
}

static cl_int CL_API_CALL flush(cl_command_queue q)
{
    cl_int code = fault_now(FAULT_FINISH, "clFlush");
    return code != CL_SUCCESS ? code : driver.clFlush(q);
}

static cl_int CL_API_CALL wait_for(cl_uint n, const cl_event *events)
{
    cl_int code = fault_now(FAULT_FINISH, "clWaitForEvents"), real = driver.clWaitForEvents(n, events);
    return code != CL_SUCCESS ? code : real;
}

static cl_int CL_API_CALL marker(cl_command_queue q, cl_uint n, const cl_event *waits, cl_event *event)
{
    cl_int code = fault_now(FAULT_ENQUEUE, "clEnqueueMarkerWithWaitList");
    if (code == CL_SUCCESS)
        code = driver.clEnqueueMarkerWithWaitList(q, n, waits, event);
    count_object(OBJECT_EVENT, event && code == CL_SUCCESS);
    return code;
}

static cl_int CL_API_CALL retain_event(cl_event e)
{
    cl_int code = driver.clRetainEvent(e);
    count_object(OBJECT_EVENT, code == CL_SUCCESS);
    return code;
}

static cl_int CL_API_CALL release_event(cl_event e)
{
    cl_int code = driver.clReleaseEvent(e);
    count_object(OBJECT_EVENT, code == CL_SUCCESS ? -1 : 0);
    return code;
}

void launch_install(cl_icd_dispatch *t)
{
    t->clEnqueueNDRangeKernel = enqueue_kernel;
    t->clSetKernelArg = set_arg;
    t->clFinish = finish;
    t->clFlush = flush;
    t->clWaitForEvents = wait_for;
    t->clEnqueueMarkerWithWaitList = marker;
    t->clRetainEvent = retain_event;
    t->clReleaseEvent = release_event;
}
