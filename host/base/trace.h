/* Trace: what ran when, for chrome://tracing and Perfetto. Off until started; then a fixed number of spans is
 * kept, so that recording allocates nothing. One per process. */
#ifndef SP_BASE_TRACE_H
#define SP_BASE_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "spikeport/status.h"

typedef enum { SP_TRACE_DEVICE, SP_TRACE_HOST, SP_TRACE_TRACKS } sp_trace_track;

sp_status sp_trace_start(size_t capacity, sp_error *err);
void sp_trace_stop(void);
bool sp_trace_is_on(void);

/* A span, times of sp_clock_ns. Those past the capacity are counted, not kept. Not from two threads at once.
 * [hot] */
void sp_trace_add(sp_trace_track track, const char *name, uint64_t start_ns, uint64_t end_ns);
/* From start_ns to now, on the host's row. [hot] */
void sp_trace_host(const char *name, uint64_t start_ns);

/* JSON trace events: {"traceEvents": [...]}; *dropped (may be NULL): spans that did not fit. */
sp_status sp_trace_write(const char *path, size_t *dropped, sp_error *err);

#endif
