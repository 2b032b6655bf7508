/* Predictions against evaluation: the same numbers, sample by sample, to the bit; early ends; recordings. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "config/npy.h"
#include "data/loader.h"
#include "train/predict.h"
#include "train/record.h"

enum { SAMPLES = 40, CLASSES = 4, STEPS = 3 };
#define RECIPE                                                                                               \
    "data: {name: synthetic, classes: 4, channels: 2, height: 8, width: 8, count: 64, test_limit: 40%s}\n"   \
    "network: [{type: conv, out: 8, kernel: 3, padding: 1}, {type: batch_norm}, {type: lif, v_th: 0.2}, "    \
    "{type: "                                                                                                \
    "avg_pool, kernel: 2}, {type: flatten}, {type: linear, out: 20}, {type: lif, v_th: 0.2}, {type: "        \
    "linear, out: 4}]\n"                                                                                     \
    "schedule: {method: sltt, time_steps: 3}\n"                                                              \
    "eval_batch: 16\n"

static sp_session *s;
static sp_dataset *ds;

/* eval_samples: as the command line gives them, 0: none */
static void open_session(const char *more, size_t eval_samples)
{
    char text[1024];
    sp_recipe r;
    sp_error err = {0};
    sp_session_options o = {.no_train = true, .eval_samples = eval_samples};
    snprintf(text, sizeof text, RECIPE, more);
    sp_log_set_level(SP_LOG_WARNING);
    cr_assert_eq(sp_recipe_parse("r.yaml", text, strlen(text), NULL, 0, &r, &err), SP_OK, "%s", err.text);
    cr_assert_eq(sp_session_dataset(&r, false, &ds, &err), SP_OK, "%s", err.text);
    sp_status st = sp_session_open(&r, &ds->info, &o, &s, &err);
    if (st == SP_E_DEVICE)
        cr_skip_test("no OpenCL device: %s", err.text);
    cr_assert_eq(st, SP_OK, "%s", err.text);
}

static void close_session(void)
{
    sp_session_close(&s);
    sp_dataset_close(&ds);
}

typedef struct seen {
    float logits[SAMPLES][CLASSES];
    int64_t steps[SAMPLES], best[SAMPLES];
    size_t n;
} seen;

static sp_status keep(void *ctx, const sp_prediction *p, sp_error *err)
{
    seen *k = ctx;
    (void)err;
    cr_assert_null(p->failure);
    cr_assert_eq(p->index, k->n);
    cr_assert_eq(p->row, (int64_t)k->n);
    memcpy(k->logits[k->n], p->logits, sizeof k->logits[0]);
    k->best[k->n] = p->best;
    k->steps[k->n++] = p->steps;
    return SP_OK;
}

static seen predict(double confidence, sp_record *record)
{
    seen k = {.n = 0};
    sp_error err = {0};
    sp_predict_options o = {.confidence = confidence, .report = keep, .ctx = &k, .record = record};
    cr_assert_eq(sp_session_predict(s, ds, &o, &err), SP_OK, "%s", err.text);
    cr_assert_eq(k.n, SAMPLES);
    return k;
}

/* The sums of the outputs, as evaluation has them on the device. */
static void evaluate(float sums[SAMPLES][CLASSES])
{
    static float room[16][CLASSES];
    sp_loader *l;
    sp_loader_options o = {.batch = 16};
    sp_error err = {0};
    const sp_batch *b;
    cr_assert_eq(sp_loader_create(ds, &o, &l, &err), SP_OK);
    cr_assert_eq(sp_loader_start(l, 0, 0, &err), SP_OK);
    while (sp_loader_next(l, &b, &err) == SP_OK && b) {
        sp_exec_batch e = {.images = b->images, .labels = b->labels};
        cr_assert_eq(sp_exec_run(s->eval, &e, &err), SP_OK);
        cr_assert_eq(sp_device_read(s->dev, sp_plan_tensor_range(s->eval, s->eval->logits_sum, 0), room,
                                    sizeof room, &err),
                     SP_OK);
        memcpy(sums[b->index * 16], room, b->n_valid * sizeof room[0]);
        sp_loader_release(l, b);
    }
    sp_loader_destroy(&l);
}

Test(predict, equals_evaluation_sample_by_sample)
{
    static const char *const kinds[] = {"", ", frames: 3"};
    for (int i = 0; i < 2; i++) {
        static float sums[SAMPLES][CLASSES];
        sp_scores scores = {0};
        sp_error err = {0};
        int64_t hits = 0;
        open_session(kinds[i], 0);
        seen k = predict(0, NULL);
        evaluate(sums);
        cr_assert_eq(sp_session_evaluate(s, ds, NULL, NULL, &scores, &err), SP_OK, "%s", err.text);
        for (int n = 0; n < SAMPLES; n++) {
            cr_assert_eq(k.steps[n], STEPS);
            cr_assert_eq(k.best[n], sp_largest(sums[n], CLASSES));
            hits += k.best[n] == ds->label(ds, (size_t)n);
            for (int c = 0; c < CLASSES; c++)
                cr_assert_eq(k.logits[n][c], sums[n][c] / (float)STEPS, "sample %d, class %d", n, c);
        }
        cr_assert_float_eq(scores.accuracy, (double)hits / SAMPLES, 1e-12);
        sp_free(scores.spike_rate);
        close_session();
        open_session(kinds[i], 7); /* fewer at a time than the recipe's eval_batch */
        seen few = predict(0, NULL);
        close_session();
        cr_assert_eq(memcmp(few.logits, k.logits, sizeof k.logits), 0, "mini-batches of 7 give others");
    }
}

/* Logits of each time step, recorded, tell where every sample has to end. */
Test(predict, ends_at_the_first_time_step_that_is_sure)
{
    char path[] = "/tmp/sp-predict-XXXXXX";
    sp_record *record;
    sp_error err = {0};
    sp_tensor_file f;
    open_session("", 0);
    cr_assert_not_null(mkdtemp(path));
    cr_assert_eq(sp_record_create(s, "all", &record, &err), SP_OK, "%s", err.text);
    seen whole = predict(0, record);
    char file[128];
    snprintf(file, sizeof file, "%s/r.safetensors", path);
    cr_assert_eq(sp_record_write(record, file, &err), SP_OK, "%s", err.text);
    cr_assert_eq(sp_record_write(record, path, &err), SP_OK, "%s", err.text);
    cr_assert_eq(sp_tensors_read(file, &f, &err), SP_OK, "%s", err.text);
    const float(*logits)[STEPS][CLASSES] = sp_tensors_find(&f, "logits")->data;
    double room[CLASSES], sure = 0; /* the mean at the second time step: some end early, others do not */
    for (int n = 0; n < SAMPLES; n++)
        sure += sp_softmax(logits[n][1], CLASSES, room) / SAMPLES;
    seen early = predict(sure, NULL);
    int64_t ends[STEPS + 1] = {0};
    for (int n = 0; n < SAMPLES; n++) {
        float sum[CLASSES] = {0}, mean[CLASSES];
        double probability[CLASSES];
        int t = 0;
        do {
            for (int c = 0; c < CLASSES; c++) {
                sum[c] = t ? sum[c] + logits[n][t][c] : logits[n][t][c];
                mean[c] = sum[c] / (float)(t + 1);
            }
            t++;
        } while (t < STEPS && sp_softmax(mean, CLASSES, probability) < sure);
        cr_assert_eq(early.steps[n], t, "sample %d", n);
        cr_assert_eq(memcmp(early.logits[n], mean, sizeof mean), 0);
        ends[t]++;
    }
    cr_assert(ends[STEPS] > 0 && ends[STEPS] < SAMPLES, "%g decides nothing in this test", sure);
    cr_assert_eq(whole.steps[0], STEPS);
    /* the spikes: as many as evaluation counts */
    sp_scores scores = {0};
    cr_assert_eq(sp_session_evaluate(s, ds, NULL, NULL, &scores, &err), SP_OK, "%s", err.text);
    for (int i = 0; i < s->graph->n_nodes; i++) {
        if (s->graph->nodes[i].type != SP_NODE_NEURON)
            continue;
        const sp_tensor *t = sp_tensors_find(&f, s->graph->nodes[i].name);
        cr_assert(t && t->shape[0] == SAMPLES && t->shape[1] == STEPS);
        uint64_t on = 0;
        for (size_t k = 0; k < t->bytes; k++)
            on += ((const unsigned char *)t->data)[k];
        cr_assert_float_eq((double)on / (double)t->bytes, scores.spike_rate[i], 1e-9);
    }
    sp_tensor array;
    void *memory;
    snprintf(file, sizeof file, "%s/2.npy", path);
    cr_assert_eq(sp_npy_read(file, &array, &memory, &err), SP_OK, "%s", err.text);
    cr_assert_eq(array.n_dims, 5);
    cr_assert_eq(memcmp(array.data, sp_tensors_find(&f, "2")->data, array.bytes), 0);
    sp_npy_free(&array, &memory);
    sp_tensors_free(&f);
    sp_record_destroy(&record);
    cr_assert_eq(sp_record_create(s, "2,nothing", &record, &err), SP_E_USAGE);
    cr_assert(strstr(err.text, "there are 2, 6, logits, or all"), "%s", err.text);
    sp_free(scores.spike_rate);
    close_session();
    char command[160];
    snprintf(command, sizeof command, "rm -r %s", path);
    cr_assert_eq(system(command), 0);
}
