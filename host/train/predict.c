/* Predictions. A sample is read after the other on this thread; the loader, which ends an epoch at a damaged
 * file, is for data sets. */
#include "train/predict.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "train/record.h"

/* ---- a mini-batch ---- */

typedef struct inference {
    const sp_inference *i;
    int64_t classes;
    float *mean;         /* [classes] */
    double *probability; /* [classes] */
    bool *done;          /* [n] */
} inference;

double sp_softmax(const float *x, int64_t n, double *probability)
{
    double top = -(double)INFINITY, sum = 0, most = 0;
    for (int64_t k = 0; k < n; k++)
        top = fmax(top, (double)x[k]);
    for (int64_t k = 0; k < n; k++)
        sum += probability[k] = exp((double)x[k] - top);
    for (int64_t k = 0; k < n; k++)
        most = fmax(most, probability[k] /= sum);
    return most;
}

/* Adds the outputs of time step t to the samples that go on, as the device adds them. */
static bool add_outputs(void *ctx, int t, const float *logits)
{
    const inference *f = ctx;
    const sp_inference *i = f->i;
    bool go_on = false;
    for (size_t k = 0; k < i->n; k++, logits += f->classes) {
        float *sum = i->logits + (int64_t)k * f->classes;
        if (f->done[k])
            continue;
        for (int64_t c = 0; c < f->classes; c++) {
            sum[c] = t ? sum[c] + logits[c] : logits[c];
            f->mean[c] = sum[c] / (float)(t + 1);
        }
        i->steps[k] = t + 1;
        f->done[k] = sp_softmax(f->mean, f->classes, f->probability) >= i->confidence;
        go_on = go_on || !f->done[k];
    }
    return go_on;
}

static sp_status infer_until_sure(sp_session *s, const sp_exec_batch *b, const sp_inference *i, sp_error *err)
{
    const size_t classes = (size_t)s->graph->classes;
    inference f = {.i = i,
                   .classes = s->graph->classes,
                   .mean = sp_alloc_array(classes, sizeof *f.mean),
                   .probability = sp_alloc_array(classes, sizeof *f.probability),
                   .done = sp_alloc_array(i->n, sizeof *f.done)};
    const sp_exec_watcher w = {.outputs = add_outputs, .ctx = &f};
    sp_status st = f.mean && f.probability && f.done
                       ? sp_exec_watch(s->eval, b, &w, err)
                       : SP_FAIL(err, SP_E_MEMORY, "out of memory for a prediction");
    sp_free(f.mean);
    sp_free(f.probability);
    sp_free(f.done);
    return st;
}

sp_status sp_session_infer(sp_session *s, const sp_inference *i, sp_error *err)
{
    const size_t batch = (size_t)s->eval_batch;
    int32_t *labels = sp_alloc_pages(batch, sizeof *labels);
    float *targets =
        s->eval->targets < 0 ? NULL : sp_alloc_pages(batch, (size_t)s->graph->classes * sizeof *targets);
    if (!labels || (!targets && s->eval->targets >= 0)) {
        sp_free(labels);
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for a prediction");
    }
    for (size_t k = 0; k < batch; k++)
        labels[k] = -1;
    const sp_exec_batch b = {.images = i->images, .labels = labels, .targets = targets};
    sp_status st = i->confidence > 0                ? infer_until_sure(s, &b, i, err)
                   : i->also.see || i->also.outputs ? sp_exec_watch(s->eval, &b, &i->also, err)
                                                    : sp_exec_run(s->eval, &b, err);
    if (st == SP_OK && i->confidence <= 0)
        st = sp_plan_read(s->eval, s->eval->logits_sum, 0, i->logits,
                          s->eval->tensors[s->eval->logits_sum].bytes, err);
    if (st == SP_OK)
        st = sp_exec_check_potentials(s->eval, err);
    if (st != SP_OK)
        sp_device_finish(s->dev, NULL); /* an upload may still read the images and labels */
    sp_free(labels);
    sp_free(targets);
    return st;
}

/* ---- a data set ---- */

/* Samples that wait for their mini-batch: `place` in it, or the failure of those that could not be read. */
typedef struct waiting {
    size_t index;
    int64_t place; /* -1: not read */
    sp_error failure;
} waiting;

typedef struct predictor {
    sp_session *s;
    const sp_dataset *ds;
    const sp_predict_options *o;
    waiting *list; /* [eval_batch] */
    size_t n;
    int64_t rows; /* of mini-batches before */
    float *sample, *images;
    double *probability;
    sp_inference i;
} predictor;

static size_t sample_frames(const predictor *p)
{
    return p->ds->info.frames ? (size_t)p->ds->info.frames : 1;
}

static size_t frame_items(const predictor *p)
{
    const sp_dataset_info *i = &p->ds->info;
    return (size_t)i->channels * (size_t)i->height * (size_t)i->width;
}

/* Sample `place` of the mini-batch, time first. */
static void put_sample(predictor *p, size_t place)
{
    size_t n = frame_items(p), batch = (size_t)p->s->eval_batch;
    for (size_t f = 0; f < sample_frames(p); f++)
        memcpy(p->images + (f * batch + place) * n, p->sample + f * n, n * sizeof *p->images);
}

/* In place of a softmax over classes: each output's own answer. sums: over `steps` time steps. */
static void answer(const sp_session *s, const float *sums, int64_t steps, double *out)
{
    for (int64_t k = 0; k < s->graph->classes; k++) {
        out[k] = sp_session_answer(s, sums[k], steps);
        if (s->recipe.loss == SP_LOSS_BCE)
            out[k] = 1 / (1 + exp(-out[k]));
    }
}

static sp_status report(predictor *p, const waiting *w, sp_error *err)
{
    int64_t n = p->s->graph->classes;
    sp_prediction r = {.index = w->index, .failure = w->place < 0 ? &w->failure : NULL};
    if (w->place >= 0) {
        float *logits = p->i.logits + w->place * n;
        r.row = p->rows + w->place;
        r.logits = logits;
        r.steps = p->o->confidence > 0 ? p->i.steps[w->place] : p->s->recipe.time_steps;
        answer(p->s, logits, r.steps, p->probability);
        for (int64_t k = 0; k < n; k++)
            logits[k] /= (float)r.steps;
        r.best = sp_largest(r.logits, n);
        r.probability = p->probability;
        if (!p->s->recipe.loss)
            sp_softmax(r.logits, n, p->probability);
    }
    return p->o->report(p->o->ctx, &r, err);
}

static sp_status flush(predictor *p, sp_error *err)
{
    if (p->i.n > 0) {
        if (p->o->record)
            SP_TRY(sp_record_begin(p->o->record, p->i.n, &p->i.also, err));
        for (size_t k = p->i.n; k < (size_t)p->s->eval_batch; k++)
            put_sample(p, k); /* the last one again: the network sees ordinary numbers */
        SP_TRY(sp_session_infer(p->s, &p->i, err));
    }
    for (size_t k = 0; k < p->n; k++)
        SP_TRY(report(p, &p->list[k], err));
    p->rows += (int64_t)p->i.n;
    p->n = p->i.n = 0;
    return SP_OK;
}

static sp_status predict_all(predictor *p, sp_error *err)
{
    for (size_t k = 0; k < p->ds->info.count; k++) {
        waiting *w = &p->list[p->n++];
        int32_t label;
        *w = (waiting){.index = k, .place = -1};
        sp_status st = p->ds->get(p->ds, (sp_sample_request){.index = k}, p->sample, &label, &w->failure);
        if (st == SP_E_MEMORY) {
            *err = w->failure;
            return st;
        }
        if (st == SP_OK) {
            w->place = (int64_t)p->i.n++;
            put_sample(p, (size_t)w->place);
        }
        if (p->n == (size_t)p->s->eval_batch)
            SP_TRY(flush(p, err));
        if (p->o->stop && *p->o->stop)
            return SP_FAIL(err, SP_E_INTERRUPTED, "interrupted after %zu of %zu inputs", k + 1,
                           p->ds->info.count);
    }
    return flush(p, err);
}

static sp_status check_sample(const sp_session *s, const sp_dataset_info *i, sp_error *err)
{
    const sp_dataset_info *n = &s->data;
    if (sp_dataset_same_shape(i, n))
        return SP_OK;
    return SP_FAIL(err, SP_E_CONFIG,
                   "samples are %dx%dx%dx%d (frames x channels x height x width), but the network takes "
                   "%dx%dx%dx%d",
                   i->frames, i->channels, i->height, i->width, n->frames, n->channels, n->height, n->width);
}

sp_status sp_session_predict(sp_session *s, const sp_dataset *ds, const sp_predict_options *o, sp_error *err)
{
    predictor p = {.s = s, .ds = ds, .o = o};
    size_t batch = (size_t)s->eval_batch, classes = (size_t)s->graph->classes;
    SP_TRY(check_sample(s, &ds->info, err));
    size_t items = sample_frames(&p) * frame_items(&p);
    p.list = sp_alloc_array(batch, sizeof *p.list);
    p.sample = sp_alloc_array(items, sizeof *p.sample);
    p.images = sp_alloc_pages(batch, items * sizeof *p.images);
    p.probability = sp_alloc_array(classes, sizeof *p.probability);
    p.i = (sp_inference){.images = p.images,
                         .confidence = o->confidence,
                         .logits = sp_alloc_array(batch, classes * sizeof *p.i.logits),
                         .steps = sp_alloc_array(batch, sizeof *p.i.steps)};
    bool whole = p.list && p.sample && p.images && p.probability && p.i.logits && p.i.steps;
    sp_status st = whole ? predict_all(&p, err) : SP_FAIL(err, SP_E_MEMORY, "out of memory for predictions");
    sp_free(p.list);
    sp_free(p.sample);
    sp_free(p.images);
    sp_free(p.probability);
    sp_free(p.i.logits);
    sp_free(p.i.steps);
    return st;
}
