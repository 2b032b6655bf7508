/* A data set through the evaluation plan. */
#include <math.h>

#include "base/clock.h"
#include "base/error.h"
#include "data/loader.h"
#include "train/session.h"

int64_t sp_largest(const float *outputs, int64_t n)
{
    int64_t best = -1;
    for (int64_t k = 0; k < n; k++)
        if (!isnan(outputs[k]) && (best < 0 || outputs[k] > outputs[best]))
            best = k;
    return best;
}

/* Allocates *out, also where reading fails. */
static sp_status read_outputs(sp_plan *p, float **out, sp_error *err)
{
    size_t bytes = p->tensors[p->logits_sum].bytes;
    *out = sp_alloc(bytes);
    return *out ? sp_device_read(p->dev, sp_plan_tensor_range(p, p->logits_sum, 0), *out, bytes, err)
                : SP_FAIL(err, SP_E_MEMORY, "out of memory for the outputs");
}

sp_status sp_session_check_computes(sp_session *s, sp_error *err)
{
    size_t n = s->train->tensors[s->train->logits_sum].bytes / sizeof(float), i = 0;
    float *outputs;
    sp_status st = read_outputs(s->train, &outputs, err);
    while (st == SP_OK && i < n && outputs[i] == 0)
        i++;
    sp_free(outputs);
    return st != SP_OK || i < n ? st
                                : SP_FAIL(err, SP_E_FAILED,
                                          "the loss and all outputs are exactly 0: the device %s computes "
                                          "nothing; `spikeport "
                                          "verify` tests it",
                                          s->dev->info.name);
}

static sp_status count_classes(sp_session *s, const sp_batch *b, uint64_t *confusion, sp_error *err)
{
    int64_t n = s->graph->classes;
    float *outputs;
    sp_status st = read_outputs(s->eval, &outputs, err);
    for (size_t i = 0; st == SP_OK && i < b->n_valid; i++) {
        int64_t best = sp_largest(outputs + (int64_t)i * n, n);
        if (best >= 0 && b->labels[i] >= 0 && b->labels[i] < n)
            confusion[b->labels[i] * n + best]++;
    }
    sp_free(outputs);
    return st;
}

/* Padding repeats sample 0 of the batch. A mini-batch of nothing but it tells what to take off. */
static sp_status drop_padding(sp_session *s, const sp_loader *l, const sp_batch *b, uint64_t *spikes,
                              sp_error *err)
{
    uint64_t batch = (uint64_t)s->eval_batch, padding = batch - b->n_valid;
    uint64_t *copies = sp_alloc_array((size_t)s->graph->n_nodes, sizeof *copies);
    sp_batch one = *b;
    one.n_valid = 1;
    sp_loader_pad(l, &one);
    sp_exec_batch e = {.images = one.images, .labels = one.labels};
    sp_status st = copies ? sp_exec_spikes(s->eval, spikes, err)
                          : SP_FAIL(err, SP_E_MEMORY, "out of memory for evaluation");
    if (st == SP_OK)
        st = sp_exec_run(s->eval, &e, err);
    if (st == SP_OK)
        st = sp_exec_spikes(s->eval, copies, err);
    for (int i = 0; st == SP_OK && i < s->graph->n_nodes; i++)
        spikes[i] -= copies[i] * padding / batch;
    sp_free(copies);
    return st;
}

static sp_status run_batches(sp_session *s, sp_loader *l, const volatile int *stop, float *loss,
                             uint32_t *correct, uint64_t *spikes, sp_scores *out, sp_error *err)
{
    double loss_sum = 0;
    int64_t hits = 0;
    SP_TRY(sp_loader_start(l, 0, 0, err));
    for (;;) {
        const sp_batch *b;
        SP_TRY(sp_loader_next(l, &b, err));
        if (!b)
            break;
        sp_exec_batch e = {.images = b->images, .labels = b->labels};
        SP_TRY(sp_exec_run(s->eval, &e, err));
        SP_TRY(sp_exec_results(s->eval, loss, correct, err));
        SP_TRY(sp_exec_check_potentials(s->eval, err));
        for (size_t i = 0; i < b->n_valid; i++) {
            loss_sum += (double)loss[i];
            hits += correct[i];
        }
        if (out->confusion)
            SP_TRY(count_classes(s, b, out->confusion, err));
        out->samples += (int64_t)b->n_valid;
        bool last = b->index + 1 == sp_loader_batches(l);
        if (last)
            SP_TRY(b->n_valid < (size_t)s->eval_batch ? drop_padding(s, l, b, spikes, err)
                                                      : sp_exec_spikes(s->eval, spikes, err));
        sp_loader_release(l, b);
        if (stop && *stop)
            return SP_FAIL(err, SP_E_INTERRUPTED, "interrupted during evaluation");
    }
    out->loss = loss_sum / (double)out->samples;
    out->accuracy = (double)hits / (double)out->samples;
    return SP_OK;
}

sp_status sp_session_evaluate(sp_session *s, const sp_dataset *ds, const volatile int *stop, sp_scores *out,
                              sp_error *err)
{
    sp_loader *l = NULL;
    size_t batch = (size_t)s->eval_batch;
    float *loss = sp_alloc_pages(batch, sizeof *loss);
    uint32_t *correct = sp_alloc_pages(batch, sizeof *correct);
    uint64_t *spikes = sp_alloc_array((size_t)s->graph->n_nodes, sizeof *spikes), start = sp_clock_ns();
    sp_loader_options lo = {.batch = batch,
                            .seed = (uint64_t)s->recipe.seed,
                            .depth = 3,
                            .threads = (int)s->recipe.data.threads};
    *out = (sp_scores){.confusion = out->confusion,
                       .spike_rate = sp_alloc_array((size_t)s->graph->n_nodes, sizeof(double))};
    sp_status st = loss && correct && spikes && out->spike_rate
                       ? SP_OK
                       : SP_FAIL(err, SP_E_MEMORY, "out of memory for evaluation");
    if (st != SP_OK)
        goto done;
    SP_TRY_GOTO(sp_loader_create(ds, &lo, &l, err));
    SP_TRY_GOTO(sp_exec_clear_spikes(s->eval, err));
    SP_TRY_GOTO(run_batches(s, l, stop, loss, correct, spikes, out, err));
    SP_TRY_GOTO(sp_session_rates(s, spikes, out->samples, out->spike_rate, err));
    if (!isfinite(out->loss))
        st = SP_FAIL(err, SP_E_NUMERIC, "the loss on the test data is not finite");
    out->seconds = (double)(sp_clock_ns() - start) * 1e-9;
done:
    sp_device_finish(s->dev, NULL); /* after an error an upload may still read the loader's memory */
    sp_loader_destroy(&l);
    sp_free(loss);
    sp_free(correct);
    sp_free(spikes);
    return st;
}
