/* Spans in an array, written as trace events of complete kind ("X"), microseconds from the first. */
#include "base/trace.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/output.h"

typedef struct span {
    char name[80];
    uint64_t start_ns, end_ns;
    sp_trace_track track;
} span;

static span *spans;
static size_t n, cap, n_dropped;

sp_status sp_trace_start(size_t capacity, sp_error *err)
{
    sp_trace_stop();
    spans = sp_alloc_array(capacity, sizeof *spans);
    if (!spans)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for a trace of %zu spans", capacity);
    cap = capacity;
    return SP_OK;
}

void sp_trace_stop(void)
{
    sp_free(spans);
    spans = NULL;
    n = cap = n_dropped = 0;
}

bool sp_trace_is_on(void)
{
    return spans != NULL;
}

void sp_trace_add(sp_trace_track track, const char *name, uint64_t start_ns, uint64_t end_ns)
{
    if (!spans)
        return;
    if (n == cap) {
        n_dropped++;
        return;
    }
    span *s = &spans[n++];
    snprintf(s->name, sizeof s->name, "%s", name);
    s->start_ns = start_ns;
    s->end_ns = end_ns < start_ns ? start_ns : end_ns;
    s->track = track;
}

void sp_trace_host(const char *name, uint64_t start_ns)
{
    if (spans)
        sp_trace_add(SP_TRACE_HOST, name, start_ns, sp_clock_ns());
}

/* Names are labels of steps: printable but for what JSON wants escaped. */
static void print_name(FILE *f, const char *name)
{
    for (const unsigned char *c = (const unsigned char *)name; *c; c++) {
        if (*c == '"' || *c == '\\')
            fputc('\\', f);
        fputc(*c < 0x20 || *c >= 0x80 ? '?' : *c, f);
    }
}

sp_status sp_trace_write(const char *path, size_t *dropped, sp_error *err)
{
    static const char *const rows[SP_TRACE_TRACKS] = {"device queue", "host"};
    uint64_t zero = n ? spans[0].start_ns : 0;
    SP_TRY(sp_output_check(path, SP_OUTPUT_TRACE, NULL, 0, err));
    FILE *f = fopen(path, "w");
    if (!f)
        return SP_FAIL(err, SP_E_IO, "%s: %s", path, strerror(errno));
    for (size_t i = 0; i < n; i++)
        zero = spans[i].start_ns < zero ? spans[i].start_ns : zero;
    fputs("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n", f);
    for (int t = 0; t < SP_TRACE_TRACKS; t++)
        fprintf(f,
                "{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":1,\"tid\":%d,\"args\":{\"name\":\"%s\"}}%s\n",
                t + 1, rows[t], t + 1 < SP_TRACE_TRACKS || n ? "," : "");
    for (size_t i = 0; i < n; i++) {
        fputs("{\"name\":\"", f);
        print_name(f, spans[i].name);
        fprintf(f, "\",\"cat\":\"%s\",\"ph\":\"X\",\"pid\":1,\"tid\":%d,\"ts\":%.3f,\"dur\":%.3f}%s\n",
                spans[i].track == SP_TRACE_DEVICE ? "device" : "host", (int)spans[i].track + 1,
                (double)(spans[i].start_ns - zero) * 1e-3,
                (double)(spans[i].end_ns - spans[i].start_ns) * 1e-3, i + 1 < n ? "," : "");
    }
    fputs("]}\n", f);
    bool ok = !ferror(f);
    ok = fclose(f) == 0 && ok;
    if (dropped)
        *dropped = n_dropped;
    return ok ? SP_OK : SP_FAIL(err, SP_E_IO, "%s: the trace cannot be written", path);
}
