/* An opened device: context, in-order queue, counted buffers, launches. Everything that can fail says which
 * buffer or kernel it was about; drivers report a failing kernel late, hence the synchronous debugging mode.
 */
#define _DEFAULT_SOURCE /* madvise */
#include "cl/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/scope.h"

static void CL_CALLBACK driver_says(const char *text, const void *data, size_t data_bytes, void *ctx)
{
    (void)data;
    (void)data_bytes;
    (void)ctx;
    sp_log(SP_LOG_DEBUG, "OpenCL driver: %s", text);
}

/* Keeps one of the parts the device is cut into, with an equal share of the compute units (the last takes the
 * rest). */
static sp_status take_part(sp_device *dev, sp_error *err)
{
    enum { MOST = 64 };
    const int parts = dev->options.parts;
    const cl_uint units = dev->info.compute_units;
    cl_device_partition_property by_counts[MOST + 3];
    cl_device_id all[MOST];
    cl_uint n = 0;
    if (parts > MOST || (cl_uint)parts > units)
        return SP_FAIL(err, SP_E_DEVICE, "\"%s\" has %u compute units and cannot be cut into %d parts",
                       dev->info.name, units, parts);
    by_counts[0] = CL_DEVICE_PARTITION_BY_COUNTS;
    for (int i = 0; i < parts; i++)
        by_counts[i + 1] = (cl_device_partition_property)(units / (cl_uint)parts +
                                                          (i == parts - 1 ? units % (cl_uint)parts : 0));
    by_counts[parts + 1] = CL_DEVICE_PARTITION_BY_COUNTS_LIST_END;
    by_counts[parts + 2] = 0;
    const cl_device_partition_property equally[] = {CL_DEVICE_PARTITION_EQUALLY,
                                                    (cl_device_partition_property)(units / (cl_uint)parts),
                                                    0};
    cl_int code = clCreateSubDevices(dev->info.device_id, by_counts, MOST, all, &n);
    if (code != CL_SUCCESS)
        code = clCreateSubDevices(dev->info.device_id, equally, MOST, all, &n);
    if (code == CL_SUCCESS && n < (cl_uint)parts)
        code = CL_DEVICE_PARTITION_FAILED;
    if (code != CL_SUCCESS)
        return SP_FAIL_CL(err, code, "\"%s\" cannot be cut into %d sub-devices: %s", dev->info.name, parts,
                          sp_cl_error_name(code));
    for (cl_uint i = 0; i < n; i++)
        if (i != (cl_uint)dev->options.part)
            clReleaseDevice(all[i]);
    dev->info.device_id = all[dev->options.part];
    dev->is_part = true;
    code = clGetDeviceInfo(all[dev->options.part], CL_DEVICE_MAX_COMPUTE_UNITS,
                           sizeof dev->info.compute_units, &dev->info.compute_units, NULL);
    return code == CL_SUCCESS ? SP_OK
                              : SP_FAIL_CL(err, code, "a part of \"%s\" does not tell its compute units: %s",
                                           dev->info.name, sp_cl_error_name(code));
}

static sp_status open_queue(sp_device *dev, sp_error *err)
{
    const cl_context_properties properties[] = {CL_CONTEXT_PLATFORM,
                                                (cl_context_properties)dev->info.platform_id, 0};
    cl_int code;
    sigset_t before;
    sp_handlers_note();
    sp_signals_hold(&before); // threads of the driver may start here as well
    dev->context = clCreateContext(properties, 1, &dev->info.device_id, driver_says, NULL, &code);
    sp_handlers_restore();
    sp_signals_release(&before);
    if (code != CL_SUCCESS)
        return SP_FAIL_CL(err, code, "no OpenCL context on \"%s\": %s; is the driver in order?",
                          dev->info.name, sp_cl_error_name(code));
    dev->queue = clCreateCommandQueue(dev->context, dev->info.device_id,
                                      dev->options.profiling ? CL_QUEUE_PROFILING_ENABLE : 0, &code);
    if (code != CL_SUCCESS)
        return SP_FAIL_CL(err, code, "no command queue on \"%s\": %s", dev->info.name,
                          sp_cl_error_name(code));
    if (dev->options.profiling && !(dev->profiler = sp_profiler_create(dev->queue)))
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for the profile");
    return SP_OK;
}

static sp_status choose(sp_device *dev, const char *selector, sp_error *err)
{
    sp_device_list list;
    SP_TRY(sp_device_list_init(&list, err));
    size_t chosen = 0;
    for (size_t i = 0; i < list.n; i++)
        list.items[i].binaries_only = dev->options.binaries_only;
    sp_status st = sp_device_choose(&list, selector, &chosen, dev->why, sizeof dev->why, err);
    if (st != SP_OK)
        goto done;
    char why[sizeof dev->why];
    size_t usual = list.n;
    dev->is_named = selector && (sp_device_choose(&list, NULL, &usual, why, sizeof why, NULL) != SP_OK ||
                                 usual != chosen);
    dev->info = list.items[chosen];
    list.items[chosen].extensions = NULL; // now the device's
    if (dev->options.records) {           // where the programs will run is not known
        dev->info.amx_bf16 = dev->info.amx_emulated = dev->info.avx512_bf16 = false;
        dev->info.matrix = SP_MATRIX_NONE;
    }
    for (int type = SP_DEVICE_CPU; dev->options.as_type && type <= SP_DEVICE_ACCELERATOR; type++)
        if (strcmp(dev->options.as_type, sp_device_type_name((sp_device_type)type)) == 0)
            dev->info.type = (sp_device_type)type;
done:
    sp_device_list_fini(&list);
    return st;
}

sp_status sp_device_open(const char *selector, const sp_device_options *options, sp_device **out,
                         sp_error *err)
{
    SP_TRY(sp_settings_check(err));
    sp_device *dev = sp_alloc(sizeof *dev);
    if (!dev)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for the device");
    if (options)
        dev->options = *options;
    const char *sync = sp_setting("SPIKEPORT_SYNC_DEBUG");
    if (sync && strcmp(sync, "1") == 0)
        dev->options.sync_debug = true;
    sp_status st = choose(dev, selector, err);
    if (st == SP_OK && dev->options.parts > 1)
        st = take_part(dev, err);
    if (st == SP_OK)
        st = open_queue(dev, err);
    if (st != SP_OK)
        sp_device_close(&dev);
    else
        *out = dev;
    return st;
}

void sp_device_close(sp_device **dev)
{
    sp_device *d = *dev;
    if (!d)
        return;
    sp_profiler_destroy(&d->profiler);
    if (d->queue)
        sp_device_finish(d, NULL);
    if (d->staging)
        clReleaseMemObject(d->staging);
    sp_program_table_free(&d->programs);
    if (d->queue)
        clReleaseCommandQueue(d->queue);
    if (d->context)
        clReleaseContext(d->context);
    if (d->is_part)
        clReleaseDevice(d->info.device_id);
    sp_free(d->info.extensions);
    sp_free(d);
    *dev = NULL;
}

static double mib(uint64_t bytes)
{
    return (double)bytes / (1024.0 * 1024.0);
}

/* A CPU walks several maps at once: with pages of 4 KiB it spends much of its time looking addresses up.
 * Where Linux gives large pages to those who ask, ask for them; the driver's memory is where a mapped buffer
 * lies. Only speed hangs on it. */
static cl_int ask_for_large_pages(sp_device *dev, cl_mem mem, size_t bytes)
{
#ifdef MADV_HUGEPAGE
    const uintptr_t page = 2 << 20;
    cl_int code;
    if (dev->info.type != SP_DEVICE_CPU || bytes < 2 * page)
        return CL_SUCCESS;
    void *p = clEnqueueMapBuffer(dev->queue, mem, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, 0, bytes, 0, NULL,
                                 NULL, &code);
    if (code != CL_SUCCESS)
        return CL_SUCCESS;
    uintptr_t from = ((uintptr_t)p + page - 1) / page * page, to = ((uintptr_t)p + bytes) / page * page;
    madvise((void *)from, to - from, MADV_HUGEPAGE); // refused where the kernel has none
    return clEnqueueUnmapMemObject(dev->queue, mem, p, 0, NULL, NULL);
#else
    (void)dev, (void)mem, (void)bytes;
    return CL_SUCCESS;
#endif
}

sp_status sp_device_alloc(sp_device *dev, uint64_t bytes, const char *what, cl_mem *out, sp_error *err)
{
    if (bytes == 0)
        return SP_FAIL(err, SP_E_FAILED, "%s: a device buffer of 0 bytes was asked for", what);
    if (bytes > dev->info.max_alloc_bytes || bytes > SIZE_MAX)
        return SP_FAIL(err, SP_E_DEVICE, "%s needs %.1f MiB in one buffer, but \"%s\" allows %.1f MiB", what,
                       mib(bytes), dev->info.name, mib(dev->info.max_alloc_bytes));
    if (dev->live_bytes + bytes > dev->info.global_bytes)
        return SP_FAIL(err, SP_E_DEVICE,
                       "%s needs %.1f MiB more, but %.1f of the %.1f MiB of \"%s\" are in use", what,
                       mib(bytes), mib(dev->live_bytes), mib(dev->info.global_bytes), dev->info.name);
    cl_int code;
    cl_mem mem = clCreateBuffer(dev->context, CL_MEM_READ_WRITE, (size_t)bytes, NULL, &code);
    if (code != CL_SUCCESS)
        return sp_error_set(err, code == CL_MEM_OBJECT_ALLOCATION_FAILURE ? SP_E_DEVICE : SP_E_OPENCL, code,
                            __FILE__, __LINE__, "%s: no buffer of %.1f MiB on \"%s\" (%.1f MiB in use): %s",
                            what, mib(bytes), dev->info.name, mib(dev->live_bytes), sp_cl_error_name(code));
    code = ask_for_large_pages(dev, mem, (size_t)bytes);
    if (code != CL_SUCCESS) {
        clReleaseMemObject(mem);
        return SP_FAIL_CL(err, code, "%s: giving a mapped buffer back to \"%s\" failed: %s", what,
                          dev->info.name, sp_cl_error_name(code));
    }
    dev->live_bytes += bytes;
    if (dev->live_bytes > dev->peak_bytes)
        dev->peak_bytes = dev->live_bytes;
    dev->n_allocs++;
    *out = mem;
    return SP_OK;
}

void sp_device_free(sp_device *dev, cl_mem *mem)
{
    if (!*mem)
        return;
    size_t bytes = 0;
    if (clGetMemObjectInfo(*mem, CL_MEM_SIZE, sizeof bytes, &bytes, NULL) == CL_SUCCESS &&
        bytes <= dev->live_bytes)
        dev->live_bytes -= bytes;
    clReleaseMemObject(*mem);
    *mem = NULL;
}

/* An asynchronous failure surfaces in whatever call comes next; say so instead of blaming that call. */
static const char *late_hint(const sp_device *dev)
{
    return dev->options.sync_debug ? ""
                                   : "; the cause may be an earlier launch: SPIKEPORT_SYNC_DEBUG=1 finds out "
                                     "which";
}

sp_status sp_device_write(sp_device *dev, sp_range to, const void *from, size_t bytes, bool blocking,
                          sp_error *err)
{
    if (bytes == 0)
        return SP_OK;
    if (sp_write_needs_staging(dev, to, bytes))
        return sp_write_staged(dev, to, from, bytes, err);
    cl_int code = clEnqueueWriteBuffer(dev->queue, to.mem, blocking ? CL_TRUE : CL_FALSE, (size_t)to.at_bytes,
                                       bytes, from, 0, NULL, NULL);
    if (code != CL_SUCCESS)
        return SP_FAIL_CL(err, code, "writing %zu bytes at %llu to the device failed: %s%s", bytes,
                          (unsigned long long)to.at_bytes, sp_cl_error_name(code), late_hint(dev));
    return SP_OK;
}

/* Zeros from the host: OpenCL 1.2 has a command for it, and a checker follows writes to a whole buffer only.
 */
static sp_status clear_by_write(sp_device *dev, sp_range to, size_t bytes, sp_error *err)
{
    void *zeros = sp_alloc_pages(bytes, 1);
    sp_status st = zeros ? sp_device_write(dev, to, zeros, bytes, true, err)
                         : SP_FAIL(err, SP_E_MEMORY, "out of memory for %zu zeros", bytes);
    sp_free(zeros);
    return st;
}

sp_status sp_device_clear(sp_device *dev, sp_range to, size_t bytes, sp_error *err)
{
    const cl_uint zero = 0;
    const bool fills = dev->info.cl_major > 1 || (dev->info.cl_major == 1 && dev->info.cl_minor >= 2);
    if (bytes == 0)
        return SP_OK;
    if (!fills || (dev->info.quirks & SP_QUIRK_WRITE_IN_PART))
        return clear_by_write(dev, to, bytes, err);
    const cl_int code = clEnqueueFillBuffer(dev->queue, to.mem, &zero, sizeof zero, (size_t)to.at_bytes,
                                            bytes, 0, NULL, NULL);
    if (code != CL_SUCCESS)
        return SP_FAIL_CL(err, code, "clearing %zu bytes at %llu of the device's failed: %s%s", bytes,
                          (unsigned long long)to.at_bytes, sp_cl_error_name(code), late_hint(dev));
    return sp_device_flush(dev, err);
}

sp_status sp_device_read(sp_device *dev, sp_range from, void *to, size_t bytes, sp_error *err)
{
    if (bytes == 0)
        return SP_OK;
    cl_int code =
        clEnqueueReadBuffer(dev->queue, from.mem, CL_TRUE, (size_t)from.at_bytes, bytes, to, 0, NULL, NULL);
    if (code != CL_SUCCESS)
        return SP_FAIL_CL(err, code, "reading %zu bytes at %llu from the device failed: %s%s", bytes,
                          (unsigned long long)from.at_bytes, sp_cl_error_name(code), late_hint(dev));
    return SP_OK;
}

bool sp_device_maps(const sp_device *dev)
{
    return dev->info.type == SP_DEVICE_CPU && !(dev->info.quirks & SP_QUIRK_WRITE_IN_PART);
}

sp_status sp_device_map(sp_device *dev, sp_range range, size_t bytes, bool write, void **out, sp_error *err)
{
    cl_int code;
    *out = clEnqueueMapBuffer(dev->queue, range.mem, CL_TRUE, write ? CL_MAP_WRITE : CL_MAP_READ,
                              (size_t)range.at_bytes, bytes, 0, NULL, NULL, &code);
    if (code != CL_SUCCESS)
        return SP_FAIL_CL(err, code, "mapping %zu bytes at %llu of the device's failed: %s%s", bytes,
                          (unsigned long long)range.at_bytes, sp_cl_error_name(code), late_hint(dev));
    return SP_OK;
}

sp_status sp_device_unmap(sp_device *dev, cl_mem mem, void *at, sp_error *err)
{
    const cl_int code = clEnqueueUnmapMemObject(dev->queue, mem, at, 0, NULL, NULL);
    if (code != CL_SUCCESS)
        return SP_FAIL_CL(err, code, "giving mapped memory back to \"%s\" failed: %s%s", dev->info.name,
                          sp_cl_error_name(code), late_hint(dev));
    return SP_OK;
}

sp_status sp_device_finish(sp_device *dev, sp_error *err)
{
    cl_int code = clFinish(dev->queue);
    if (code == CL_SUCCESS)
        return SP_OK;
    if (!err)
        sp_log(SP_LOG_WARNING, "waiting for \"%s\" failed: %s", dev->info.name, sp_cl_error_name(code));
    return SP_FAIL_CL(err, code, "work on \"%s\" failed: %s%s", dev->info.name, sp_cl_error_name(code),
                      late_hint(dev));
}

sp_status sp_device_flush(sp_device *dev, sp_error *err)
{
    cl_int code = clFlush(dev->queue);
    return code == CL_SUCCESS ? SP_OK
                              : SP_FAIL_CL(err, code, "the device does not start: %s%s",
                                           sp_cl_error_name(code), late_hint(dev));
}

static void print_sizes(char *out, size_t out_size, cl_uint dims, const size_t *sizes)
{
    size_t n = 0;
    out[0] = '\0';
    for (cl_uint d = 0; sizes && d < dims && n < out_size; d++)
        n += (size_t)snprintf(out + n, out_size - n, "%s%zu", d ? " x " : "", sizes[d]);
}

static sp_status launch_failed(const sp_device *dev, cl_int code, const char *name, cl_uint dims,
                               const size_t *global, const size_t *local, const char *when, sp_error *err)
{
    char g[80], l[80];
    print_sizes(g, sizeof g, dims, global);
    print_sizes(l, sizeof l, dims, local);
    return SP_FAIL_CL(err, code, "kernel %s failed %s (global %s, local %s): %s%s", name, when, g,
                      local ? l : "chosen by the driver", sp_cl_error_name(code), late_hint(dev));
}

sp_status sp_device_enqueue(sp_device *dev, cl_kernel kernel, const char *name, cl_uint dims,
                            const size_t *global, const size_t *local, sp_error *err)
{
    sp_profiler_slot slot = {0};
    if (dev->profiler)
        slot = sp_profiler_begin(dev->profiler, name);
    cl_int code = clEnqueueNDRangeKernel(dev->queue, kernel, dims, NULL, global, local, 0, NULL, slot.event);
    if (code != CL_SUCCESS)
        return launch_failed(dev, code, name, dims, global, local, "to start", err);
    dev->n_launches++;
    if (dev->profiler)
        sp_profiler_end(dev->profiler, slot);
    if (dev->options.sync_debug && (code = clFinish(dev->queue)) != CL_SUCCESS)
        return launch_failed(dev, code, name, dims, global, local, "while running", err);
    return SP_OK;
}
