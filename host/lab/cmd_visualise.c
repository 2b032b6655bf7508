/* spikeport visualise: pictures of what a trained network does with test data. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "lab/visualise.h"
#include "plot/picture.h"
#include "cli/session_options.h"
#include "data/loader.h"
#include "train/train.h"

typedef struct picture {
    const char *name;
    bool watched; /* needs neurons of a mini-batch; else the whole test set, or nothing */
    sp_status (*draw)(const sp_visual *d, sp_error *err);
} picture;

static const picture pictures[] = {
    {"raster", true, sp_visual_raster},        {"membrane", true, sp_visual_membrane},
    {"rates", true, sp_visual_rates},          {"filters", false, sp_visual_filters},
    {"confusion", false, sp_visual_confusion},
};
enum { N_PICTURES = sizeof pictures / sizeof *pictures };

typedef struct visualise_options {
    sp_cli_session session;
    const char *out, *format;
    int64_t sample;
    bool json, named, wanted[N_PICTURES]; /* named: not simply all */
} visualise_options;

static void see(void *ctx, const sp_exec_seen *seen)
{
    sp_visual *d = ctx;
    sp_visual_layer *l = d->layers;
    while (l->node != seen->node)
        l++;
    int64_t words = (seen->cols + 31) / 32, pixels = l->neurons / seen->cols, T = d->s->recipe.time_steps;
    double per_unit = SP_VISUAL_PER_UNIT / (seen->v_th > 0 ? seen->v_th : 1);
    for (int64_t row = 0; row < d->samples * pixels; row++)
        for (int64_t c = 0; c < seen->cols; c++) {
            uint32_t fires = seen->spikes[row * words + c / 32] >> (c % 32) & 1;
            double bin = floor((double)seen->u[row * seen->cols + c] * per_unit) + SP_VISUAL_BINS / 2;
            l->spikes[row % pixels * seen->cols + c] += fires;
            l->bins[bin >= SP_VISUAL_BINS ? SP_VISUAL_BINS - 1 : bin >= 0 ? (int)bin : 0]++;
            l->n_potentials++;
        }
    for (int i = 0; i < l->shown; i++) {
        int64_t neuron = i * l->neurons / l->shown, row = d->sample * pixels + neuron / seen->cols,
                c = neuron % seen->cols;
        l->raster[i * T + seen->t] = (float)(seen->spikes[row * words + c / 32] >> (c % 32) & 1);
    }
}

static sp_status make_layers(sp_visual *d, sp_error *err)
{
    const sp_graph *g = d->s->graph;
    d->layers = sp_alloc_array((size_t)g->n_nodes + 1, sizeof *d->layers);
    bool failed = !d->layers;
    for (int i = 0; !failed && i < g->n_nodes; i++) {
        if (!sp_node_fires(&g->nodes[i]))
            continue;
        sp_visual_layer *l = &d->layers[d->n_layers++];
        l->node = i;
        l->neurons = sp_act_elems(&g->acts[g->nodes[i].out]);
        l->shown = l->neurons < SP_VISUAL_ROWS ? (int)l->neurons : SP_VISUAL_ROWS;
        l->spikes = sp_alloc_array((size_t)l->neurons, sizeof *l->spikes);
        l->raster = sp_alloc_array((size_t)l->shown * (size_t)d->s->recipe.time_steps, sizeof *l->raster);
        failed = !l->spikes || !l->raster;
    }
    return failed ? SP_FAIL(err, SP_E_MEMORY, "out of memory for what the neurons do") : SP_OK;
}

/* Input and prediction of the sample whose raster is wanted. */
static sp_status keep_sample(sp_visual *d, const sp_batch *b, sp_error *err)
{
    const sp_dataset_info *i = &d->s->data;
    const int64_t n = d->s->graph->classes, frames = i->frames ? i->frames : 1,
                  pixels = (int64_t)i->height * i->width;
    const sp_plan *p = d->s->eval;
    float *outputs = sp_alloc(p->tensors[p->logits_sum].bytes);
    d->input = sp_alloc_array((size_t)pixels, sizeof *d->input);
    sp_status st = outputs && d->input
                       ? sp_plan_read(p, p->logits_sum, 0, outputs, p->tensors[p->logits_sum].bytes, err)
                       : SP_FAIL(err, SP_E_MEMORY, "out of memory for a sample");
    if (st == SP_OK)
        d->predicted = sp_largest(outputs + d->sample * n, n);
    for (int64_t t = 0; st == SP_OK && t < frames; t++) {
        const float *frame = b->images + (t * d->s->eval_batch + d->sample) * pixels * i->channels;
        for (int64_t k = 0; k < pixels * i->channels; k++)
            d->input[k / i->channels] += frame[k] / (float)(frames * i->channels);
    }
    sp_free(outputs);
    return st;
}

/* The mini-batch of the test set with the sample whose raster is wanted. */
static sp_status watch(sp_visual *d, const sp_dataset *test, int64_t sample, sp_error *err)
{
    sp_loader_options lo = sp_session_loader_options(&d->s->recipe, false);
    lo.batch = (size_t)d->s->eval_batch;
    sp_loader *l = NULL;
    const sp_batch *b = NULL;
    if (sample >= (int64_t)test->info.count)
        return SP_FAIL(err, SP_E_CONFIG, "--sample %lld: the test split has %zu samples",
                       (long long)sample + 1, test->info.count);
    SP_TRY(make_layers(d, err));
    SP_TRY(sp_loader_create(test, &lo, &l, err));
    sp_status st = sp_loader_start(l, 0, (size_t)(sample / d->s->eval_batch), err);
    if (st == SP_OK)
        st = sp_loader_next(l, &b, err);
    if (st == SP_OK) {
        sp_exec_batch e = {.images = b->images, .labels = b->labels, .targets = b->targets};
        d->samples = (int64_t)b->n_valid;
        d->sample = sample % d->s->eval_batch;
        d->label = b->labels[d->sample];
        st = sp_exec_watch(d->s->eval, &e, &(sp_exec_watcher){.see = see, .ctx = d}, err);
        if (st == SP_OK)
            st = keep_sample(d, b, err);
        sp_loader_release(l, b);
    }
    sp_loader_destroy(&l);
    return st;
}

static sp_status score(sp_visual *d, sp_session *s, const sp_dataset *test, sp_error *err)
{
    size_t n = (size_t)s->graph->classes;
    d->confusion = sp_alloc_array(n * n, sizeof *d->confusion);
    if (!d->confusion)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for the confusion matrix");
    d->scores.confusion = d->confusion;
    return sp_session_evaluate(s, test, NULL, NULL, &d->scores, err);
}

static json_t *layer_json(const sp_visual *d, const sp_visual_layer *l)
{
    json_t *bins = json_array();
    for (int i = 0; i < SP_VISUAL_BINS; i++)
        json_array_append_new(bins, json_integer((json_int_t)l->bins[i]));
    return json_pack("{s:s, s:I, s:f, s:f, s:f, s:o}", "name", d->s->graph->nodes[l->node].name, "neurons",
                     (json_int_t)l->neurons, "rate", sp_visual_rate(d, l), "silent", sp_visual_silent(l),
                     "above_threshold", sp_visual_above(l), "potentials", bins);
}

/* The numbers behind the pictures. */
static sp_status print_json(const sp_visual *d)
{
    json_t *layers = json_array(), *confusion = json_array();
    size_t n = d->confusion ? (size_t)d->s->graph->classes : 0;
    for (int i = 0; i < d->n_layers; i++)
        json_array_append_new(layers, layer_json(d, &d->layers[i]));
    for (size_t i = 0; i < n; i++) {
        json_t *row = json_array();
        for (size_t k = 0; k < n; k++)
            json_array_append_new(row, json_integer((json_int_t)d->confusion[i * n + k]));
        json_array_append_new(confusion, row);
    }
    json_t *out = json_pack("{s:s, s:o, s:I, s:o}", "folder", d->folder, "layers", layers, "watched_samples",
                            (json_int_t)d->samples, "confusion", confusion);
    if (d->confusion) {
        json_object_set_new(out, "accuracy", json_real(d->scores.accuracy));
        json_object_set_new(out, "samples", json_integer((json_int_t)d->scores.samples));
    }
    return sp_cli_json_line(out);
}

static sp_status draw_all(sp_session *s, const sp_dataset *test, const visualise_options *o,
                          const char *folder, sp_error *err)
{
    sp_visual d = {.s = s, .test = test, .folder = folder, .format = o->format};
    bool watched = false, confusion = false;
    for (int i = 0; i < N_PICTURES; i++) {
        watched = watched || (o->wanted[i] && pictures[i].watched);
        confusion = confusion || (o->wanted[i] && pictures[i].draw == sp_visual_confusion);
    }
    if (confusion && test->info.targets && o->named)
        return SP_FAIL(err, SP_E_CONFIG,
                       "confusion: a network for rows of numbers (loss.name: mse or bce) has no classes to "
                       "take for one another; `spikeport eval` has the scores of its outputs");
    confusion = confusion && !test->info.targets;
    sp_status st = sp_folder_make(folder, 0777, err);
    if (st == SP_OK && watched)
        st = watch(&d, test, o->sample - 1, err);
    if (st == SP_OK && confusion)
        st = score(&d, s, test, err);
    for (int i = 0; i < N_PICTURES && st == SP_OK; i++) {
        if (!o->wanted[i] || (pictures[i].draw == sp_visual_confusion && !confusion))
            continue;
        st = pictures[i].draw(&d, err);
        if (st == SP_OK && !o->json)
            printf("%s/%s.%s\n", folder, pictures[i].name, o->format);
    }
    if (st == SP_OK && o->json)
        st = print_json(&d);
    for (int i = 0; i < d.n_layers; i++) {
        sp_free(d.layers[i].spikes);
        sp_free(d.layers[i].raster);
    }
    sp_free(d.layers);
    sp_free(d.input);
    sp_free(d.confusion);
    sp_free(d.scores.spike_rate);
    return st;
}

/* Beside the checkpoint, where no folder is named. */
static char *folder_of(const char *checkpoint, const char *out)
{
    const char *slash = strrchr(checkpoint, '/');
    return out     ? sp_strdup(out)
           : slash ? sp_format("%.*s/pictures", (int)(slash - checkpoint), checkpoint)
                   : sp_strdup("pictures");
}

static sp_status draw(const char *path, const visualise_options *o, sp_error *err)
{
    sp_cli_trained t;
    SP_TRY(sp_picture_check("visualise", err));
    sp_status st = sp_cli_trained_open(path, &o->session, true, &t, err);
    char *folder = st == SP_OK ? folder_of(t.checkpoint.file.path, o->out) : NULL;
    if (st == SP_OK)
        st = folder ? draw_all(t.s, t.test, o, folder, err) : SP_FAIL(err, SP_E_MEMORY, "out of memory");
    sp_free(folder);
    sp_cli_trained_close(&t);
    return st;
}

/* Which pictures: those named, or all. */
static const char *choose(visualise_options *o, const sp_arg_list *rest)
{
    o->named = rest->n > 1;
    for (int k = 0; k < N_PICTURES; k++)
        o->wanted[k] = !o->named;
    for (size_t i = 1; i < rest->n; i++) {
        bool known = false;
        for (int k = 0; k < N_PICTURES; k++) {
            bool is = strcmp(rest->items[i], pictures[k].name) == 0;
            o->wanted[k] = o->wanted[k] || is;
            known = known || is;
        }
        if (!known)
            return rest->items[i];
    }
    return NULL;
}

int sp_cmd_visualise(int argc, char **argv)
{
    visualise_options o = {.sample = 1, .format = "png", .session.command = "visualise"};
    sp_arg_list rest = {.n = 0};
    const sp_arg args[] = {
        SP_TEXT("out", 'o', &o.out, "DIR",
                "folder of the pictures (default: pictures, beside the checkpoint)"),
        SP_TEXT("format", 'f', &o.format, "FORMAT", "png (default), svg or pdf"),
        SP_INTEGER("sample", 0, &o.sample, "N",
                   "test sample of the raster, counted from 1 (default 1); its mini-batch is what is counted",
                   1, 1000000000),
        SP_FLAG("json", 0, &o.json, "the numbers behind the pictures, as one JSON object on stdout"),
        SP_CLI_SET_ARG(o.session),
        SP_CLI_DEVICE_ARGS(o.session),
        SP_CLI_PROGRAMS_ARG(o.session),
    };
    const sp_args a = {.command = "visualise",
                       .synopsis = "CHECKPOINT|DIR [raster|membrane|rates|filters|confusion]... [options]",
                       .about = "Draws what a trained network does with test data: spikes of a sample by "
                                "layer and time step, histograms of membrane potential and of firing rates, "
                                "the filters of the first layer, the confusion matrix.",
                       SP_ARGS(args, 1, 1 + N_PICTURES),
                       .notes = "Raster, membrane and rates come from one mini-batch of evaluation "
                                "(eval_batch); the confusion matrix from the whole test split. Curves of "
                                "training: curves.png of a run, and spikeport curves."};
    int code;
    sp_error err = {0};
    if (!sp_args_parse(&a, argc, argv, &rest, &code))
        return code;
    if (!sp_picture_is_format(o.format))
        return sp_args_wrong(&a, "--format %s: png, svg or pdf", o.format);
    const char *unknown = choose(&o, &rest);
    if (unknown)
        return sp_args_wrong(&a,
                             "\"%s\" is no picture; there are: raster, membrane, rates, filters, confusion",
                             unknown);
    return draw(rest.items[0], &o, &err) == SP_OK ? 0 : sp_cli_fail("visualise", &err);
}
