/* A data set through the evaluation plan. */
#include <math.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
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

static sp_status read_outputs(const sp_plan *p, float *out, sp_error *err)
{
    return sp_plan_read(p, p->logits_sum, 0, out, p->tensors[p->logits_sum].bytes, err);
}

sp_status sp_session_check_computes(sp_session *s, sp_error *err)
{
    size_t bytes = s->train->tensors[s->train->logits_sum].bytes, n = bytes / sizeof(float), i = 0;
    float *outputs = sp_alloc(bytes);
    sp_status st = outputs ? read_outputs(s->train, outputs, err)
                           : SP_FAIL(err, SP_E_MEMORY, "out of memory for the outputs");
    while (st == SP_OK && i < n && outputs[i] == 0)
        i++;
    sp_free(outputs);
    return st != SP_OK || i < n ? st
                                : SP_FAIL(err, SP_E_FAILED,
                                          "the loss and all outputs are exactly 0: the device %s computes "
                                          "nothing; `spikeport verify` tests it",
                                          s->dev->info.name);
}

typedef struct sample_error {
    double squared, absolute;
} sample_error;

static void count_classes(const sp_batch *b, const float *outputs, int64_t n, uint64_t *confusion)
{
    for (size_t i = 0; i < b->n_valid; i++) {
        int64_t best = sp_largest(outputs + (int64_t)i * n, n);
        if (best >= 0 && b->labels[i] >= 0 && b->labels[i] < n)
            confusion[b->labels[i] * n + best]++;
    }
}

double sp_session_answer(const sp_session *s, float sum, int64_t steps)
{
    return s->recipe.loss_of == SP_LOSS_OF_COUNT ? (double)sum : (double)sum / (double)steps;
}

static void score_output(sp_output_score *o, double answer, double target)
{
    bool has = target >= 0.5, says = answer > 0;
    o->squared += (answer - target) * (answer - target);
    o->absolute += fabs(answer - target);
    ++*(has ? says ? &o->hits : &o->misses : says ? &o->false_alarms : &o->rest);
}

/* Errors of each sample, the mean over its outputs. */
static void score_targets(const sp_session *s, const sp_batch *b, const float *outputs, sample_error *errors,
                          sp_output_score *all)
{
    const int64_t n = s->graph->classes;
    for (size_t i = 0; i < b->n_valid; i++) {
        sp_output_score sum = {0};
        for (int64_t k = 0; k < n; k++) {
            double answer = sp_session_answer(s, outputs[(int64_t)i * n + k], s->recipe.time_steps),
                   target = (double)b->targets[(int64_t)i * n + k];
            score_output(&sum, answer, target);
            if (all)
                score_output(&all[k], answer, target);
        }
        errors[i] = (sample_error){sum.squared / (double)n, sum.absolute / (double)n};
    }
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
    sp_exec_batch e = {.images = one.images, .labels = one.labels, .targets = one.targets};
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

/* What an evaluation sums: of each sample, so that the sums do not depend on who evaluated which. */
typedef struct tally {
    float *loss;          /* [samples] */
    uint32_t *correct;    /* [samples] */
    sample_error *errors; /* [samples]; NULL: there are no targets */
    float *outputs;       /* of a mini-batch, [batch][outputs] */
    uint64_t *spikes;     /* [nodes] */
    size_t *at;           /* [ranks + 1] first sample of a rank */
    int32_t *stopped;     /* [ranks] */
} tally;

static void tally_free(tally *a)
{
    void *all[] = {a->loss, a->correct, a->errors, a->outputs, a->spikes, a->at, a->stopped};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        sp_free(all[i]);
}

/* Room for a mini-batch more than there are samples: padding has results too. */
static sp_status tally_make(tally *a, const sp_session *s, const sp_dataset_info *data, size_t batches,
                            const sp_ranks *ranks, sp_error *err)
{
    const size_t samples = data->count;
    const size_t n = ranks ? (size_t)ranks->size : 1, batch = (size_t)s->eval_batch;
    a->loss = sp_alloc_pages(samples + batch, sizeof *a->loss);
    a->correct = sp_alloc_pages(samples + batch, sizeof *a->correct);
    a->errors = data->targets ? sp_alloc_array(samples + batch, sizeof *a->errors) : NULL;
    a->outputs = sp_alloc(s->eval->tensors[s->eval->logits_sum].bytes);
    a->spikes = sp_alloc_array((size_t)s->graph->n_nodes, sizeof *a->spikes);
    a->at = sp_alloc_array(n + 1, sizeof *a->at);
    a->stopped = sp_alloc_array(n, sizeof *a->stopped);
    if (!a->loss || !a->correct || (!a->errors && data->targets) || !a->outputs || !a->spikes || !a->at ||
        !a->stopped)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for evaluation");
    for (size_t r = 0; r <= n; r++)
        a->at[r] = r == n ? samples : batches * r / n * batch;
    return SP_OK;
}

/* Batches first..end-1. */
static sp_status run_batches(sp_session *s, sp_loader *l, size_t first, size_t end, const volatile int *stop,
                             tally *a, const sp_scores *out, sp_error *err)
{
    const size_t batch = (size_t)s->eval_batch;
    SP_TRY(sp_loader_start(l, 0, first, err));
    for (size_t i = first; i < end; i++) {
        const sp_batch *b;
        SP_TRY(sp_loader_next(l, &b, err));
        sp_exec_batch e = {.images = b->images, .labels = b->labels, .targets = b->targets};
        SP_TRY(sp_exec_run(s->eval, &e, err));
        SP_TRY(sp_exec_results(s->eval, a->loss + i * batch, a->correct + i * batch, err));
        SP_TRY(sp_exec_check_potentials(s->eval, err));
        if (a->errors || out->confusion)
            SP_TRY(read_outputs(s->eval, a->outputs, err));
        if (a->errors)
            score_targets(s, b, a->outputs, a->errors + i * batch, out->outputs);
        else if (out->confusion)
            count_classes(b, a->outputs, s->graph->classes, out->confusion);
        if (i + 1 == end)
            SP_TRY(b->n_valid < batch ? drop_padding(s, l, b, a->spikes, err)
                                      : sp_exec_spikes(s->eval, a->spikes, err));
        sp_loader_release(l, b);
        if (stop && *stop)
            break;
    }
    return SP_OK;
}

/* Together, where there are ranks. */
static sp_status sum_up(const sp_session *s, const tally *a, sp_ranks *ranks, size_t samples, sp_scores *out,
                        sp_error *err)
{
    static const char what[] = "the evaluation";
    const sp_ranks_table tables[] = {{a->stopped, sizeof *a->stopped, NULL},
                                     {a->loss, sizeof *a->loss, a->at},
                                     {a->correct, sizeof *a->correct, a->at},
                                     {a->errors, sizeof *a->errors, a->at}};
    double loss_sum = 0;
    int64_t hits = 0;
    SP_TRY(sp_ranks_gather(ranks, what, tables, a->errors ? 4 : 3, err));
    SP_TRY(sp_ranks_sum(ranks, what, a->spikes, (size_t)s->graph->n_nodes, err));
    for (int r = 0; r < (ranks ? ranks->size : 1); r++)
        if (a->stopped[r])
            return SP_FAIL(err, SP_E_INTERRUPTED, "interrupted during evaluation");
    for (size_t i = 0; i < samples; i++) {
        loss_sum += (double)a->loss[i];
        hits += a->correct[i];
        out->squared += a->errors ? a->errors[i].squared / (double)samples : 0;
        out->absolute += a->errors ? a->errors[i].absolute / (double)samples : 0;
    }
    out->samples = (int64_t)samples;
    out->loss = loss_sum / (double)samples;
    out->accuracy = s->recipe.loss == SP_LOSS_MSE ? (double)NAN : (double)hits / (double)samples;
    return SP_OK;
}

sp_status sp_session_evaluate(sp_session *s, const sp_dataset *ds, sp_ranks *ranks, const volatile int *stop,
                              sp_scores *out, sp_error *err)
{
    sp_loader *l = NULL;
    tally a = {0};
    uint64_t start = sp_clock_ns();
    const size_t batch = (size_t)s->eval_batch, rank = ranks ? (size_t)ranks->rank : 0;
    sp_loader_options lo = sp_session_loader_options(&s->recipe, false);
    lo.batch = batch;
    *out = (sp_scores){.confusion = out->confusion,
                       .outputs = out->outputs,
                       .spike_rate = sp_alloc_array((size_t)s->graph->n_nodes, sizeof(double))};
    sp_status st = out->spike_rate ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory for evaluation");
    if (st != SP_OK)
        goto done;
    SP_TRY_GOTO(sp_loader_create(ds, &lo, &l, err));
    SP_TRY_GOTO(tally_make(&a, s, &ds->info, sp_loader_batches(l), ranks, err));
    SP_TRY_GOTO(sp_exec_clear_spikes(s->eval, err));
    const size_t end = (a.at[rank + 1] + batch - 1) / batch;
    SP_TRY_GOTO(run_batches(s, l, a.at[rank] / batch, end, stop, &a, out, err));
    a.stopped[rank] = stop && *stop;
    SP_TRY_GOTO(sum_up(s, &a, ranks, ds->info.count, out, err));
    SP_TRY_GOTO(sp_session_rates(s, a.spikes, out->samples, out->spike_rate, err));
    if (!isfinite(out->loss))
        st = SP_FAIL(err, SP_E_NUMERIC, "the loss on the test data is not finite");
    out->seconds = (double)(sp_clock_ns() - start) * 1e-9;
done:
    sp_device_finish(s->dev, NULL); /* after an error an upload may still read the loader's memory */
    sp_loader_destroy(&l);
    tally_free(&a);
    return st;
}

void sp_session_warn_silent(const sp_session *s, const double *rates, int64_t epoch)
{
    sp_text names = {0};
    for (int i = 0; i < s->graph->n_nodes; i++)
        if (sp_node_fires(&s->graph->nodes[i]) && rates[i] == 0)
            sp_text_add(&names, "%s%s", names.n ? ", " : "", s->graph->nodes[i].name);
    if (names.n)
        sp_log(SP_LOG_WARNING,
               "epoch %lld: no neuron of layer %s fires on the test data; nothing passes there (a lower "
               "v_th, or larger inputs or weights in front of it, may help)",
               (long long)epoch, names.s);
    sp_text_free(&names);
}
