/* Opened devices and programs on whatever device there is; skipped, loudly, where there is none. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "cl/internal.h"
#include "cl/program.h"

static sp_device *open_device(const sp_device_options *options)
{
    sp_device *dev = NULL;
    sp_error err = {0};
    sp_status st = sp_device_open(NULL, options, &dev, &err);
    if (st == SP_E_DEVICE)
        cr_skip_test("no OpenCL device: %s", err.text);
    cr_assert_eq(st, SP_OK, "%s", err.text);
    return dev;
}

static const char add_text[] = "__kernel void add_one(__global int *x) { x[get_global_id(0)] += STEP; }\n"
                               "__kernel void twice(__global int *x) { x[get_global_id(0)] *= 2; }\n";

static cl_kernel make_kernel(sp_device *dev, const char *name)
{
    const sp_source piece = {"add.cl", add_text};
    cl_program program = NULL;
    sp_error err = {0};
    cr_assert_eq(sp_program_get(dev, "add", &piece, 1, "-DSTEP=1", &program, &err), SP_OK, "%s", err.text);
    cl_int code;
    cl_kernel k = clCreateKernel(program, name, &code);
    cr_assert_eq(code, CL_SUCCESS);
    return k;
}

Test(device, listing_fills_the_limits)
{
    sp_device_list list;
    sp_error err = {0};
    cr_assert_eq(sp_device_list_init(&list, &err), SP_OK, "%s", err.text);
    for (size_t i = 0; i < list.n; i++) {
        const sp_device_info *d = &list.items[i];
        cr_assert_eq((size_t)d->index, i);
        cr_assert(d->name[0] && d->platform[0] && d->version[0]);
        cr_assert(d->max_work_group > 0 && d->max_work_item[0] > 0 && d->max_work_item[2] > 0);
        cr_assert(d->global_bytes > 0 && d->max_alloc_bytes > 0 && d->max_alloc_bytes <= d->global_bytes);
        cr_assert(d->compute_units > 0 && d->cl_major >= 1);
        cr_assert_not_null(d->extensions);
        if (strcmp(d->platform, "Portable Computing Language") == 0 && d->type == SP_DEVICE_CPU)
            cr_assert(d->quirks & SP_QUIRK_NO_BINARY_QUERY);
    }
    sp_device_list_fini(&list);
    cr_assert_null(list.items);
    sp_device_list_fini(&list);
}

Test(device, listing_survives_every_failing_allocation)
{
    sp_status st = SP_E_MEMORY;
    for (int k = 1; st != SP_OK; k++) {
        sp_device_list list;
        sp_error err = {0};
        cr_assert_lt(k, 500);
        sp_mem_fail_at(k);
        st = sp_device_list_init(&list, &err);
        sp_mem_fail_at(0);
        cr_assert(st == SP_OK || st == SP_E_MEMORY, "%s", err.text);
        sp_device_list_fini(&list);
    }
}

Test(device, opening_survives_every_failing_allocation)
{
    sp_device *dev = open_device(NULL);
    sp_device_close(&dev);
    const sp_device_options profiling = {.profiling = true};
    sp_status st = SP_E_MEMORY;
    for (int k = 1; st != SP_OK; k++) {
        sp_error err = {0};
        cr_assert_lt(k, 500);
        sp_mem_fail_at(k);
        st = sp_device_open(NULL, &profiling, &dev, &err);
        sp_mem_fail_at(0);
        cr_assert(st == SP_OK ? dev != NULL : st == SP_E_MEMORY && dev == NULL, "%s", err.text);
    }
    sp_device_close(&dev);
    cr_assert_null(dev);
    sp_device_close(&dev);
}

Test(device, unknown_selector_fails_and_leaves_nothing)
{
    sp_device *dev = NULL;
    sp_error err = {0};
    cr_assert_eq(sp_device_open("no such device", NULL, &dev, &err), SP_E_DEVICE);
    cr_assert_null(dev);
    cr_assert_neq(err.text[0], '\0');
}

Test(device, buffers_are_counted_and_bounded)
{
    sp_device *dev = open_device(NULL);
    sp_error err = {0};
    cl_mem a = NULL, b = NULL, c = NULL;
    cr_assert_eq(sp_device_alloc(dev, 4096, "a", &a, &err), SP_OK, "%s", err.text);
    cr_assert_eq(sp_device_alloc(dev, 1024, "b", &b, &err), SP_OK, "%s", err.text);
    cr_assert_eq(dev->live_bytes, 5120u);
    sp_device_free(dev, &a);
    cr_assert_null(a);
    cr_assert_eq(dev->live_bytes, 1024u);
    cr_assert_eq(dev->peak_bytes, 5120u);
    cr_assert_eq(dev->n_allocs, 2u);
    cr_assert_eq(sp_device_alloc(dev, UINT64_MAX, "the arena", &c, &err), SP_E_DEVICE);
    cr_assert(strstr(err.text, "the arena") && strstr(err.text, "MiB"), "%s", err.text);
    cr_assert_eq(sp_device_alloc(dev, 0, "nothing", &c, &err), SP_E_FAILED);
    cr_assert_null(c);
    sp_device_free(dev, &b);
    sp_device_free(dev, &b);
    cr_assert_eq(dev->live_bytes, 0u);
    sp_device_close(&dev);
}

static void expect_cleared(sp_device *dev, size_t at, size_t bytes)
{
    static unsigned char x[4096];
    cl_mem mem = NULL;
    sp_error err = {0};
    cr_assert_eq(sp_device_alloc(dev, sizeof x, "cleared", &mem, &err), SP_OK, "%s", err.text);
    memset(x, 0xa5, sizeof x);
    cr_assert_eq(sp_device_write(dev, (sp_range){mem, 0}, x, sizeof x, true, &err), SP_OK, "%s", err.text);
    cr_assert_eq(sp_device_clear(dev, (sp_range){mem, at}, bytes, &err), SP_OK, "%s", err.text);
    cr_assert_eq(sp_device_read(dev, (sp_range){mem, 0}, x, sizeof x, &err), SP_OK, "%s", err.text);
    for (size_t i = 0; i < sizeof x; i++)
        cr_assert_eq(x[i], i >= at && i < at + bytes ? 0 : 0xa5, "byte %zu", i);
    sp_device_free(dev, &mem);
}

Test(device, a_range_is_cleared_by_old_devices_too)
{
    sp_device *dev = open_device(NULL);
    expect_cleared(dev, 0, 4096);
    expect_cleared(dev, 64, 1028);
    expect_cleared(dev, 64, 0);
    dev->info.cl_major = 1;
    dev->info.cl_minor = 1;
    expect_cleared(dev, 64, 1028);
    dev->info.quirks |= SP_QUIRK_WRITE_IN_PART;
    expect_cleared(dev, 64, 1028);
    sp_device_close(&dev);
}

Test(device, a_full_device_says_how_full_it_is)
{
    sp_device *dev = open_device(NULL);
    sp_error err = {0};
    cl_mem mem = NULL;
    dev->live_bytes = dev->info.global_bytes - 10;
    cr_assert_eq(sp_device_alloc(dev, 64, "the history", &mem, &err), SP_E_DEVICE);
    cr_assert(strstr(err.text, "the history") && strstr(err.text, "in use"), "%s", err.text);
    cr_assert_null(mem);
    sp_device_close(&dev);
}

Test(device, write_launch_read_at_an_offset)
{
    sp_device *dev = open_device(NULL);
    sp_error err = {0};
    cl_kernel k = make_kernel(dev, "add_one");
    cl_mem mem = NULL;
    int host[64], back[64];
    for (int i = 0; i < 64; i++)
        host[i] = i;
    cr_assert_eq(sp_device_alloc(dev, sizeof host, "x", &mem, &err), SP_OK);
    cr_assert_eq(sp_device_write(dev, (sp_range){mem, 0}, host, sizeof host, false, &err), SP_OK);
    clSetKernelArg(k, 0, sizeof mem, &mem);
    const size_t global[1] = {64};
    for (int i = 0; i < 3; i++)
        cr_assert_eq(sp_device_enqueue(dev, k, "add_one", 1, global, NULL, &err), SP_OK, "%s", err.text);
    cr_assert_eq(sp_device_finish(dev, &err), SP_OK);
    cr_assert_eq(sp_device_read(dev, (sp_range){mem, 40}, back, sizeof back - 40, &err), SP_OK);
    for (int i = 0; i < 54; i++)
        cr_assert_eq(back[i], i + 10 + 3);
    cr_assert_eq(dev->n_launches, 3u);
    cr_assert_eq(sp_device_read(dev, (sp_range){mem, 64}, back, sizeof back, &err), SP_E_OPENCL);
    cr_assert(strstr(err.text, "CL_INVALID_VALUE"), "%s", err.text);
    clReleaseKernel(k);
    sp_device_free(dev, &mem);
    sp_device_close(&dev);
}

Test(device, a_failing_launch_names_kernel_and_sizes)
{
    sp_device *dev = open_device(NULL);
    sp_error err = {0};
    cl_kernel k = make_kernel(dev, "add_one");
    const size_t global[2] = {64, 3}, local[2] = {7, 2};
    cl_mem mem = NULL;
    cr_assert_eq(sp_device_alloc(dev, 64, "x", &mem, &err), SP_OK);
    clSetKernelArg(k, 0, sizeof mem, &mem);
    cr_assert_eq(sp_device_enqueue(dev, k, "layer1 add", 2, global, local, &err), SP_E_OPENCL);
    cr_assert(strstr(err.text, "layer1 add") && strstr(err.text, "global 64 x 3, local 7 x 2"), "%s",
              err.text);
    cr_assert(strstr(err.text, "CL_INVALID_WORK_GROUP_SIZE"), "%s", err.text);
    cr_assert_eq(dev->n_launches, 0u);
    clReleaseKernel(k);
    sp_device_free(dev, &mem);
    sp_device_close(&dev);
}

static void profile_launches(int n_add, int n_twice, uint64_t *host_allocations)
{
    const sp_device_options options = {.profiling = true};
    sp_device *dev = open_device(&options);
    sp_error err = {0};
    cl_kernel add = make_kernel(dev, "add_one"), twice = make_kernel(dev, "twice");
    cl_mem mem = NULL;
    cr_assert_eq(sp_device_alloc(dev, 64, "x", &mem, &err), SP_OK);
    clSetKernelArg(add, 0, sizeof mem, &mem);
    clSetKernelArg(twice, 0, sizeof mem, &mem);
    const size_t global[1] = {16};
    uint64_t before = sp_mem_count();
    for (int i = 0; i < n_add; i++)
        cr_assert_eq(sp_device_enqueue(dev, add, "add", 1, global, NULL, &err), SP_OK);
    for (int i = 0; i < n_twice; i++)
        cr_assert_eq(sp_device_enqueue(dev, twice, "twice", 1, global, NULL, &err), SP_OK);
    cr_assert_eq(sp_device_finish(dev, &err), SP_OK);
    const sp_profile_row *rows;
    cr_assert_eq(sp_device_profile(dev, &rows), 2u);
    cr_assert_str_eq(rows[0].name, "add");
    cr_assert_eq(rows[0].calls, (uint64_t)n_add);
    cr_assert_gt(rows[0].seconds, 0.0);
    cr_assert_lt(rows[0].seconds, 100.0);
    cr_assert_str_eq(rows[1].name, "twice");
    cr_assert_eq(rows[1].calls, (uint64_t)n_twice);
    *host_allocations = sp_mem_count() - before;
    sp_device_profile_reset(dev);
    cr_assert_eq(sp_device_profile(dev, &rows), 0u);
    clReleaseKernel(add);
    clReleaseKernel(twice);
    sp_device_free(dev, &mem);
    sp_device_close(&dev);
}

Test(device, profile_counts_beyond_the_event_pool_without_allocating)
{
    uint64_t host_allocations;
    profile_launches(4090, 20, &host_allocations);
    cr_assert_eq(host_allocations, 0u);
}

Test(device, profile_is_empty_when_off_and_gathers_late_names)
{
    const sp_profile_row *rows;
    sp_device *dev = open_device(NULL);
    cr_assert_eq(sp_device_profile(dev, &rows), 0u);
    cr_assert_null(rows);
    sp_device_profile_reset(dev);
    sp_device_close(&dev);
    const sp_device_options options = {.profiling = true};
    dev = open_device(&options);
    cl_kernel k = make_kernel(dev, "twice");
    cl_mem mem = NULL;
    cr_assert_eq(sp_device_alloc(dev, 64, "x", &mem, NULL), SP_OK);
    clSetKernelArg(k, 0, sizeof mem, &mem);
    const size_t global[1] = {16};
    for (int i = 0; i < 600; i++) {
        char name[32];
        snprintf(name, sizeof name, "kernel %d", i);
        cr_assert_eq(sp_device_enqueue(dev, k, name, 1, global, NULL, NULL), SP_OK);
    }
    cr_assert_eq(sp_device_profile(dev, &rows), 512u);
    cr_assert_str_eq(rows[511].name, "(others)");
    cr_assert_eq(rows[511].calls, 600u - 511u);
    cr_assert_eq(rows[3].calls, 1u);
    clReleaseKernel(k);
    sp_device_free(dev, &mem);
    sp_device_close(&dev);
}

Test(device, profile_by_the_host_clock)
{
    const sp_device_options options = {.profiling = true};
    const sp_profile_row *rows;
    sp_device *dev = open_device(&options);
    cl_kernel k = make_kernel(dev, "twice");
    cl_mem mem = NULL;
    cr_assert_eq(sp_device_alloc(dev, 64, "x", &mem, NULL), SP_OK);
    clSetKernelArg(k, 0, sizeof mem, &mem);
    const size_t global[1] = {16};
    for (int i = 0; i < 10; i++) {
        if (i == 5)
            sp_profiler_use_host_clock(dev->profiler);
        cr_assert_eq(sp_device_enqueue(dev, k, i < 5 ? "driver" : "host", 1, global, NULL, NULL), SP_OK);
    }
    cr_assert_eq(sp_device_profile(dev, &rows), 2u);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(rows[i].calls, 5u);
        cr_assert(rows[i].seconds > 0.0 && rows[i].seconds < 10.0);
    }
    clReleaseKernel(k);
    sp_device_free(dev, &mem);
    sp_device_close(&dev);
}

Test(device, sync_debug_by_environment)
{
    setenv("SPIKEPORT_SYNC_DEBUG", "1", 1);
    sp_device *dev = open_device(NULL);
    cr_assert(dev->options.sync_debug);
    cl_kernel k = make_kernel(dev, "twice");
    cl_mem mem = NULL;
    int x = 21;
    cr_assert_eq(sp_device_alloc(dev, 4, "x", &mem, NULL), SP_OK);
    cr_assert_eq(sp_device_write(dev, (sp_range){mem, 0}, &x, 4, true, NULL), SP_OK);
    clSetKernelArg(k, 0, sizeof mem, &mem);
    const size_t one[1] = {1};
    cr_assert_eq(sp_device_enqueue(dev, k, "twice", 1, one, one, NULL), SP_OK);
    cr_assert_eq(sp_device_read(dev, (sp_range){mem, 0}, &x, 4, NULL), SP_OK);
    cr_assert_eq(x, 42);
    clReleaseKernel(k);
    sp_device_free(dev, &mem);
    sp_device_close(&dev);
}
