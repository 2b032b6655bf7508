/* Device time by kernel name. Events come from a pool that is filled, then waited for and emptied, so that
 * recording allocates nothing and no event outlives its use (some drivers keep memory pinned for as long as
 * one does). If a driver's timestamps make no sense, every launch is timed by the host's clock around a
 * finish instead. */
#include "cl/internal.h"

#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/trace.h"

enum { POOL = 4096, MAX_ROWS = 512, SLOTS = 2048 };

struct sp_profiler {
    cl_command_queue queue;
    size_t n_events, n_rows;
    bool host_clock; // timestamps of this driver are not to be trusted
    cl_event events[POOL];
    cl_event before[POOL]; // of a span: the marker in front of it; NULL for a single launch
    uint64_t clock_offset; // what the host's clock is ahead of the device's, for the trace; from the first
                           // event held
    bool clock_known;
    uint64_t first_host_ns; // when the first event held was enqueued
    uint16_t event_row[POOL];
    uint16_t slots[SLOTS]; // hash table of row number + 1; 0 is free
    sp_profile_row rows[MAX_ROWS];
};

bool sp_timestamps_sane(cl_ulong queued, cl_ulong submit, cl_ulong start, cl_ulong end)
{
    return end != 0 && queued <= submit && submit <= start && start <= end;
}

void sp_profiler_use_host_clock(sp_profiler *p)
{
    p->host_clock = true;
}

static bool read_times(cl_event event, cl_ulong t[4])
{
    static const cl_profiling_info what[4] = {CL_PROFILING_COMMAND_QUEUED, CL_PROFILING_COMMAND_SUBMIT,
                                              CL_PROFILING_COMMAND_START, CL_PROFILING_COMMAND_END};
    for (int i = 0; i < 4; i++)
        if (!event || clGetEventProfilingInfo(event, what[i], sizeof t[i], &t[i], NULL) != CL_SUCCESS)
            return false;
    return sp_timestamps_sane(t[0], t[1], t[2], t[3]);
}

/* The device's clock has its own zero: an event is queued at about the time at which the host enqueues it. */
static void trace(const sp_profiler *p, const char *name, const cl_ulong t[4], cl_ulong start)
{
    if (!sp_trace_is_on())
        return;
    sp_trace_add(SP_TRACE_DEVICE, name, start + p->clock_offset, t[3] + p->clock_offset);
}

static void harvest_one(sp_profiler *p, size_t i)
{
    sp_profile_row *row = &p->rows[p->event_row[i]];
    cl_ulong t[4] = {0}, before[4] = {0};
    if (read_times(p->events[i], t)) {
        if (i == 0 && !p->clock_known) {
            p->clock_offset = p->first_host_ns - t[0];
            p->clock_known = true;
        }
        cl_ulong start = t[2];
        if (p->before[i] && read_times(p->before[i], before) && before[3] < t[3])
            start = before[3];
        row->seconds += 1e-9 * (double)(t[3] - start);
        trace(p, row->name, t, start);
    } else if (!p->host_clock) {
        sp_log(SP_LOG_WARNING,
               "the driver's profiling times of %s make no sense; timing by the host's clock from here on",
               row->name);
        sp_profiler_use_host_clock(p);
    }
}

static void harvest(sp_profiler *p)
{
    if (p->n_events == 0)
        return;
    // A failure here is not ours to report: the next enqueue or finish of the caller sees it.
    clFinish(p->queue);
    for (size_t i = 0; i < p->n_events; i++) {
        harvest_one(p, i);
        if (p->events[i])
            clReleaseEvent(p->events[i]);
        if (p->before[i])
            clReleaseEvent(p->before[i]);
        p->events[i] = p->before[i] = NULL;
    }
    p->n_events = 0;
}

sp_profiler *sp_profiler_create(cl_command_queue queue)
{
    sp_profiler *p = sp_alloc(sizeof *p);
    if (p)
        p->queue = queue;
    return p;
}

void sp_profiler_destroy(sp_profiler **p)
{
    if (!*p)
        return;
    harvest(*p);
    sp_free(*p);
    *p = NULL;
}

/* The row of a name; the last row gathers all names that came too late. */
static size_t find_row(sp_profiler *p, const char *name)
{
    uint32_t hash = 2166136261u; // FNV-1a
    for (const char *c = name; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 16777619u;
    size_t at = hash % SLOTS;
    for (; p->slots[at]; at = (at + 1) % SLOTS)
        if (strncmp(p->rows[p->slots[at] - 1].name, name, sizeof p->rows[0].name - 1) == 0)
            return p->slots[at] - 1u;
    if (p->n_rows >= MAX_ROWS - 1) {
        p->n_rows = MAX_ROWS;
        snprintf(p->rows[MAX_ROWS - 1].name, sizeof p->rows[0].name, "(others)");
        return MAX_ROWS - 1;
    }
    snprintf(p->rows[p->n_rows].name, sizeof p->rows[0].name, "%s", name);
    p->slots[at] = (uint16_t)(p->n_rows + 1);
    return p->n_rows++;
}

sp_profiler_slot sp_profiler_begin(sp_profiler *p, const char *name)
{
    sp_profiler_slot slot = {.row = find_row(p, name)};
    if (p->n_events == POOL)
        harvest(p);
    if (p->host_clock) {
        clFinish(p->queue);
        slot.start_ns = sp_clock_ns();
    } else {
        slot.event = &p->events[p->n_events];
        if (p->n_events == 0)
            p->first_host_ns = sp_clock_ns();
    }
    return slot;
}

sp_profiler_slot sp_profiler_begin_span(sp_profiler *p, const char *name)
{
    sp_profiler_slot slot = sp_profiler_begin(p, name);
    if (slot.event && clEnqueueMarkerWithWaitList(p->queue, 0, NULL, &p->before[p->n_events]) != CL_SUCCESS)
        p->before[p->n_events] = NULL;
    return slot;
}

/* A library need not give an event: a marker behind its commands does as well. */
void sp_profiler_end_span(sp_profiler *p, sp_profiler_slot slot)
{
    if (slot.event && !*slot.event &&
        clEnqueueMarkerWithWaitList(p->queue, 0, NULL, slot.event) != CL_SUCCESS)
        *slot.event = NULL;
    sp_profiler_end(p, slot);
}

sp_device_span sp_device_span_begin(sp_device *dev, const char *name)
{
    return dev->profiler ? sp_profiler_begin_span(dev->profiler, name) : (sp_device_span){0};
}

void sp_device_span_end(sp_device *dev, sp_device_span span)
{
    if (dev->profiler)
        sp_profiler_end_span(dev->profiler, span);
}

void sp_profiler_end(sp_profiler *p, sp_profiler_slot slot)
{
    p->rows[slot.row].calls++;
    if (slot.event) {
        p->event_row[p->n_events++] = (uint16_t)slot.row;
    } else {
        clFinish(p->queue);
        uint64_t now = sp_clock_ns();
        p->rows[slot.row].seconds += 1e-9 * (double)(now - slot.start_ns);
        sp_trace_add(SP_TRACE_DEVICE, p->rows[slot.row].name, slot.start_ns, now);
    }
}

size_t sp_device_profile(sp_device *dev, const sp_profile_row **rows)
{
    *rows = NULL;
    if (!dev->profiler)
        return 0;
    harvest(dev->profiler);
    *rows = dev->profiler->rows;
    return dev->profiler->n_rows;
}

void sp_device_profile_reset(sp_device *dev)
{
    sp_profiler *p = dev->profiler;
    if (!p)
        return;
    harvest(p);
    p->n_rows = 0;
    memset(p->slots, 0, sizeof p->slots);
    memset(p->rows, 0, sizeof p->rows);
}
