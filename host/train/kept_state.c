/* Keeping what training goes on from while plans run that only look. */
#include "train/kept_state.h"

#include "base/error.h"
#include "base/mem.h"

enum { COUNTERS = 64 }; /* of the spikes of a neuron layer */

sp_status sp_kept_state_init(const sp_session *s, sp_kept_state *k, sp_error *err)
{
    k->statistics = sp_alloc_array((size_t)s->graph->buffer_elems + 1, sizeof *k->statistics);
    k->counters = sp_alloc_array((size_t)s->graph->n_nodes + 1, COUNTERS * sizeof *k->counters);
    return k->statistics && k->counters
               ? SP_OK
               : SP_FAIL(err, SP_E_MEMORY, "out of memory for keeping statistics and spike counts");
}

void sp_kept_state_fini(sp_kept_state *k)
{
    sp_free(k->statistics);
    sp_free(k->counters);
    *k = (sp_kept_state){0};
}

static sp_status move(const sp_kept_state *k, sp_session *s, bool restore, sp_error *err)
{
    sp_range statistics = {s->model->mem, s->model->buffers_at * sizeof(float)};
    size_t bytes = (size_t)s->graph->buffer_elems * sizeof(float);
    if (bytes)
        SP_TRY(restore ? sp_device_write(s->dev, statistics, k->statistics, bytes, true, err)
                       : sp_device_read(s->dev, statistics, k->statistics, bytes, err));
    for (int i = 0; i < s->graph->n_nodes; i++) {
        if (s->train->spike_counts[i] < 0)
            continue;
        sp_range r = sp_plan_tensor_range(s->train, s->train->spike_counts[i], 0);
        uint32_t *part = k->counters + (size_t)i * COUNTERS;
        SP_TRY(restore ? sp_device_write(s->dev, r, part, COUNTERS * sizeof *part, true, err)
                       : sp_device_read(s->dev, r, part, COUNTERS * sizeof *part, err));
    }
    return SP_OK;
}

static sp_status named(sp_status st, sp_error *err)
{
    return st == SP_OK ? SP_OK : sp_error_prefix(err, st, "statistics and spike counts to be kept: ");
}

sp_status sp_kept_state_read(sp_kept_state *k, sp_session *s, sp_error *err)
{
    return named(move(k, s, false, err), err);
}

sp_status sp_kept_state_write(const sp_kept_state *k, sp_session *s, sp_error *err)
{
    return named(move(k, s, true, err), err);
}
