/* The trace of a training step: JSON that a viewer reads, device spans in order on one row, host phases on
 * the other. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/trace.h"
#include "cl/program.h"

static char path[256];

static json_t *write_and_parse(size_t *dropped)
{
    json_error_t at;
    sp_error err = {0};
    snprintf(path, sizeof path, "%s/trace-%ld.json", SP_TEST_BINARY_DIR, (long)getpid());
    cr_assert_eq(sp_trace_write(path, dropped, &err), SP_OK, "%s", err.text);
    json_t *j = json_load_file(path, JSON_REJECT_DUPLICATES, &at);
    cr_assert(j, "line %d: %s", at.line, at.text);
    unlink(path);
    return j;
}

static double number(const json_t *e, const char *key)
{
    const json_t *v = json_object_get(e, key);
    cr_assert(json_is_number(v), "%s is no number", key);
    return json_number_value(v);
}

Test(trace, names_times_and_rows)
{
    size_t dropped = 0;
    sp_trace_add(SP_TRACE_HOST, "not on yet", 1, 2);
    cr_assert_not(sp_trace_is_on());
    cr_assert_eq(sp_trace_start(3, NULL), SP_OK);
    sp_trace_add(SP_TRACE_DEVICE, "2.branch.0 \"conv\\forward\"\n", 5000, 7500);
    sp_trace_add(SP_TRACE_HOST, "enqueue", 4000, 4500);
    sp_trace_add(SP_TRACE_HOST, "ends before it starts", 9000, 8000);
    sp_trace_add(SP_TRACE_HOST, "one too many", 9000, 9001);
    json_t *j = write_and_parse(&dropped), *all = json_object_get(j, "traceEvents");
    cr_assert_eq(dropped, 1);
    cr_assert_eq(json_array_size(all), 5); /* two names of rows, three spans */
    const json_t *e = json_array_get(all, 2);
    cr_assert_str_eq(json_string_value(json_object_get(e, "name")), "2.branch.0 \"conv\\forward\"?");
    cr_assert_str_eq(json_string_value(json_object_get(e, "ph")), "X");
    cr_assert_float_eq(number(e, "ts"), 1.0, 1e-9); /* microseconds from the first span */
    cr_assert_float_eq(number(e, "dur"), 2.5, 1e-9);
    cr_assert_float_eq(number(json_array_get(all, 4), "dur"), 0, 1e-9);
    json_decref(j);
    sp_trace_stop();
    j = write_and_parse(NULL); /* nothing recorded is a valid file too */
    cr_assert_eq(json_array_size(json_object_get(j, "traceEvents")), 2);
    json_decref(j);
}

static void launch_some(sp_device *dev)
{
    static const char text[] = "__kernel void work(__global float *y) { const size_t i = get_global_id(0);"
                               "float x = y[i]; for (int k = 0; k < 2000; k++) x = x * 0.5f + 1.0f; y[i] = "
                               "x; }\n";
    const sp_source piece = {"work.cl", text};
    const size_t global = 4096;
    cl_program p;
    cl_mem y = NULL;
    cr_assert_eq(sp_program_get(dev, "work", &piece, 1, "", &p, NULL), SP_OK);
    cr_assert_eq(sp_device_alloc(dev, global * 4, "test", &y, NULL), SP_OK);
    cl_kernel k = clCreateKernel(p, "work", NULL);
    clSetKernelArg(k, 0, sizeof y, &y);
    for (int i = 0; i < 20; i++) {
        uint64_t start = sp_clock_ns();
        sp_device_span span = sp_device_span_begin(dev, "library");
        if (i % 2) /* as a library does it: with an event of its own, or none */
            clEnqueueNDRangeKernel(dev->queue, k, 1, NULL, &global, NULL, 0, NULL,
                                   i % 4 == 1 ? span.event : NULL);
        sp_device_span_end(dev, span);
        cr_assert_eq(sp_device_enqueue(dev, k, "work", 1, &global, NULL, NULL), SP_OK);
        cr_assert_eq(sp_device_finish(dev, NULL), SP_OK);
        sp_trace_host("step", start);
    }
    clReleaseKernel(k);
    sp_device_free(dev, &y);
}

Test(trace, device_and_host_share_a_clock)
{
    const sp_device_options profiling = {.profiling = true};
    sp_device *dev = NULL;
    const sp_profile_row *rows;
    sp_error err = {0};
    sp_log_set_level(SP_LOG_ERROR);
    if (sp_device_open(NULL, &profiling, &dev, &err) != SP_OK)
        cr_skip_test("no OpenCL device: %s", err.text);
    cr_assert_eq(sp_trace_start(1000, NULL), SP_OK);
    launch_some(dev);
    size_t n = sp_device_profile(dev, &rows);
    cr_assert_eq(n, 2u);
    cr_assert_eq(rows[0].calls, 20u); /* what a library enqueued is in the profile */
    cr_assert(rows[0].seconds > 0 && rows[1].seconds > 0);
    json_t *j = write_and_parse(NULL), *e;
    double device_end = 0, host_first = INFINITY, host_last = 0, first = INFINITY, last = 0;
    size_t i, n_device = 0, n_host = 0;
    json_array_foreach(json_object_get(j, "traceEvents"), i, e)
    {
        if (strcmp(json_string_value(json_object_get(e, "ph")), "X") != 0)
            continue;
        double ts = number(e, "ts"), end = ts + number(e, "dur");
        cr_assert_eq((int)number(e, "pid"), 1);
        if ((int)number(e, "tid") == SP_TRACE_HOST + 1) {
            host_first = fmin(host_first, ts);
            host_last = fmax(host_last, end);
            n_host++;
            continue;
        }
        cr_assert_geq(ts, device_end - 0.01, "spans of an in-order queue overlap");
        device_end = end;
        first = fmin(first, ts);
        last = fmax(last, end);
        n_device++;
    }
    cr_assert_eq(n_host, 20u);
    cr_assert_eq(n_device, 40u);
    cr_assert(first > host_first - 5000 && last < host_last + 5000, "device %g..%g us, host %g..%g us", first,
              last, host_first, host_last);
    json_decref(j);
    sp_trace_stop();
    sp_device_close(&dev);
}
