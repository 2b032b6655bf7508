/* A data set through the evaluation plan. */
#include <math.h>

#include "base/clock.h"
#include "base/error.h"
#include "data/loader.h"
#include "train/session.h"

/* The class of the largest output; as op metrics.correct chooses: the first of equal ones, NaN never. -1: all
 * NaN. */
static int64_t largest(const float *outputs, int64_t n)
{
    int64_t best = -1;
    for (int64_t k = 0; k < n; k++)
        if (!isnan(outputs[k]) && (best < 0 || outputs[k] > outputs[best]))
            best = k;
    return best;
}

static sp_status count_classes(sp_session *s, const sp_batch *b, uint64_t *confusion, sp_error *err)
{
    sp_plan *p = s->eval;
    int64_t n = s->graph->classes;
    float *outputs = sp_alloc(p->tensors[p->logits_sum].bytes);
    sp_status st = outputs ? sp_device_read(s->dev, sp_plan_tensor_range(p, p->logits_sum, 0), outputs,
                                            p->tensors[p->logits_sum].bytes, err)
                           : SP_FAIL(err, SP_E_MEMORY, "out of memory for the outputs");
    for (size_t i = 0; st == SP_OK && i < b->n_valid; i++) {
        int64_t best = largest(outputs + (int64_t)i * n, n);
        if (best >= 0 && b->labels[i] >= 0 && b->labels[i] < n)
            confusion[b->labels[i] * n + best]++;
    }
    sp_free(outputs);
    return st;
}

static sp_status run_batches(sp_session *s, sp_loader *l, const volatile int *stop, float *loss,
                             uint32_t *correct, sp_scores *out, sp_error *err)
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
    size_t batch = (size_t)s->recipe.eval_batch;
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
    SP_TRY_GOTO(run_batches(s, l, stop, loss, correct, out, err));
    SP_TRY_GOTO(sp_exec_spikes(s->eval, spikes, err));
    /* the padding of the last batch fires too, so rates are over whole batches */
    sp_session_rates(s, spikes, (int64_t)(sp_loader_batches(l) * batch), out->spike_rate);
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
