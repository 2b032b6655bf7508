/* Saving and restoring. Doubles travel as hexadecimal floats, so that nothing is rounded. */
#include "train/checkpoint.h"

#include <inttypes.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "config/yaml.h"
#include "base/file.h"
#include "base/output.h"
#include "train/run_folder.h"
#include "spikeport/version.h"
#include "train/name_map.h"

#define FORMAT "spikeport-checkpoint/1"
enum { MAX_META = 25 };

typedef struct metadata {
    char *keys[MAX_META], *values[MAX_META];
    size_t n;
    bool failed;
} metadata;

static void put(metadata *m, const char *key, char *value)
{
    m->keys[m->n] = sp_strdup(key);
    m->values[m->n] = value;
    m->failed = m->failed || !value || !m->keys[m->n];
    m->n++;
}

static void metadata_free(metadata *m)
{
    for (size_t i = 0; i < m->n; i++) {
        sp_free(m->keys[i]);
        sp_free(m->values[i]);
    }
}

char *sp_checkpoint_kernels(const sp_session *s)
{
    sp_text t = {0};
    const sp_plan *plans[2] = {s->train, s->eval};
    for (size_t i = 0; i < s->reg->n_variants; i++) {
        const sp_variant *v = s->reg->variants[i];
        bool used = false;
        for (int k = 0; k < 2; k++)
            for (int g = 0; plans[k] && g < plans[k]->n_segments; g++)
                for (int j = 0; j < plans[k]->segments[g].n; j++)
                    used = used || plans[k]->segments[g].steps[j].variant == v;
        if (used)
            sp_text_add(&t, "%s%s=%s %s", t.n ? "; " : "", v->op->id, v->id, v->version);
    }
    return t.s ? t.s : sp_strdup("");
}

/* State of adaptive SLTT-K: a number for each time step. */
static char *list_mass(const sp_session *s)
{
    sp_text t = {0};
    for (int64_t i = 0; i < s->recipe.time_steps; i++)
        sp_text_add(&t, "%s%a", i ? " " : "", s->step_mass[i]);
    if (t.failed)
        sp_text_free(&t);
    return t.s;
}

static char *print_measured(const sp_measured *measured)
{
    sp_text t = {0};
    sp_measured_print(measured, &t);
    if (t.failed)
        sp_text_free(&t);
    return t.s;
}

static void put_recipe(metadata *m, const sp_session *s, const char *format)
{
    sp_text recipe = {0};
    sp_recipe_print(&s->recipe, &recipe);
    m->failed = m->failed || recipe.failed;
    put(m, "format", sp_strdup(format));
    put(m, "spikeport", sp_strdup(SPIKEPORT_VERSION));
    put(m, "recipe", recipe.s);
}

static void put_progress(metadata *m, sp_session *s, const sp_progress *p)
{
    put(m, "epoch", sp_format("%" PRId64, p->epoch));
    put(m, "batch", sp_format("%" PRId64, p->batch));
    put(m, "iteration", sp_format("%" PRId64, p->iteration));
    put(m, "loss_sum", sp_format("%a", p->loss_sum));
    put(m, "correct", sp_format("%" PRId64, p->correct));
    put(m, "seen", sp_format("%" PRId64, p->seen));
    put(m, "best_accuracy", sp_format("%a", p->best_accuracy));
    put(m, "measured", print_measured(&p->measured));
    if (p->width > 0)
        put(m, "surrogate_width", sp_format("%a", p->width));
    put(m, "train_seconds", sp_format("%a", p->train_seconds));
    if (p->classes)
        put(m, "classes", sp_strdup(p->classes));
    if (p->fingerprint)
        put(m, "fingerprint", sp_strdup(p->fingerprint));
    if (p->open_line)
        put(m, "open_line", sp_strdup(p->open_line));
    if (s->step_mass)
        put(m, "step_mass", list_mass(s));
    if (s->teacher)
        put(m, "teacher", sp_format("%016" PRIx64, s->teacher_hash));
    put(m, "rng",
        sp_format("philox4x32-10 seed %" PRId64 ": counters follow from epoch, batch and iteration",
                  s->recipe.seed));
    put(m, "data", sp_strdup(s->data.name));
    put(m, "samples",
        sp_format("[%d, %d, %d, %d, %d]", s->data.frames, s->data.channels, s->data.height, s->data.width,
                  s->data.classes));
    put(m, "device", sp_strdup(s->dev->info.name));
    put(m, "platform", sp_strdup(s->dev->info.platform));
    put(m, "driver", sp_strdup(s->dev->info.driver));
    put(m, "kernels", sp_checkpoint_kernels(s));
}

typedef struct tensor_list {
    sp_tensor *items;
    size_t n;
} tensor_list;

static void tensors_free(tensor_list *l)
{
    for (size_t i = 0; i < l->n; i++) {
        sp_free(l->items[i].name);
        sp_free((void *)(uintptr_t)l->items[i].data);
    }
    sp_free(l->items);
}

/* Weights of one bit as a file keeps them: tensor NAME.bits of bytes, a bit set for 1, the lowest first, in
 * the order that the numbers of NAME have in a state_dict. */
static sp_status add_bits(sp_tensor *t, const sp_param *p, float *x, sp_error *err)
{
    uint8_t *bits = sp_alloc_array((size_t)(p->elems + 7) / 8, 1);
    char *name = sp_format("%s" SP_BITS_SUFFIX, t->name);
    for (int64_t i = 0; bits && i < p->elems; i++)
        bits[i / 8] |= (uint8_t)((x[i] > 0) << i % 8);
    sp_free(t->name), sp_free(x);
    t->name = name, t->data = bits;
    snprintf(t->dtype, sizeof t->dtype, "U8");
    t->n_dims = 1, t->shape[0] = (p->elems + 7) / 8, t->bytes = (size_t)t->shape[0];
    return bits && name ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory while saving a checkpoint");
}

/* A loss may still be finite when a parameter is not: what cannot be trained on must not replace what can. */
static sp_status check_finite(const char *name, const float *x, int64_t n, sp_error *err)
{
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return SP_FAIL(err, SP_E_NUMERIC,
                           "%s is %s (element %" PRId64 ") after the last mini-batch; no checkpoint of it is "
                           "written, the one from before stays. Try a smaller learning rate",
                           name, isnan(x[i]) ? "NaN" : "infinite", i);
    return SP_OK;
}

static sp_status add_tensor(tensor_list *l, sp_session *s, const sp_param *p, sp_model_range range,
                            const char *prefix, sp_error *err)
{
    sp_tensor *t = &l->items[l->n];
    float *x = sp_alloc_array((size_t)p->elems, sizeof *x);
    t->name = sp_format("%s%s", prefix, p->name);
    t->data = x;
    l->n++;
    if (!x || !t->name)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory while saving a checkpoint");
    snprintf(t->dtype, sizeof t->dtype, "F32");
    t->n_dims = p->n_dims;
    for (int i = 0; i < p->n_dims; i++)
        t->shape[i] = p->shape[i];
    t->bytes = (size_t)p->elems * sizeof *x;
    SP_TRY(sp_model_read(s->model, p, range, x, err));
    return check_finite(t->name, x, p->elems, err);
}

static sp_status add_weights(tensor_list *l, sp_session *s, const sp_param *p, sp_error *err)
{
    SP_TRY(add_tensor(l, s, p, SP_RANGE_WEIGHTS, "", err));
    sp_tensor *t = &l->items[l->n - 1];
    return sp_model_is_packed(s->model, p) ? add_bits(t, p, (float *)(uintptr_t)t->data, err) : SP_OK;
}

static sp_status collect(tensor_list *l, sp_session *s, bool optimizer, sp_error *err)
{
    l->items = sp_alloc_array((size_t)s->graph->n_params * 5 + 1, sizeof *l->items);
    if (!l->items)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory while saving a checkpoint");
    for (int i = 0; i < s->graph->n_params; i++) {
        const sp_param *p = &s->graph->params[i];
        SP_TRY(add_weights(l, s, p, err));
        if (p->trainable && optimizer)
            SP_TRY(add_tensor(l, s, p, SP_RANGE_MOMENT1, "optimizer.m.", err));
        if (p->trainable && optimizer && s->model->second_moments)
            SP_TRY(add_tensor(l, s, p, SP_RANGE_MOMENT2, "optimizer.v.", err));
        const sp_param bars = sp_model_bars(s->model, p);
        if (bars.elems && optimizer)
            SP_TRY(add_tensor(l, s, &bars, SP_RANGE_BARS, "optimizer.bars.", err));
        if (p->trainable && optimizer && s->model->ema)
            SP_TRY(add_tensor(l, s, p, SP_RANGE_EMA, "optimizer.ema.", err));
    }
    return SP_OK;
}

/* p NULL: the parameters alone. */
static sp_status save(const char *path, sp_session *s, const sp_progress *p, sp_error *err)
{
    metadata m = {.n = 0};
    tensor_list l = {0};
    sp_status st = collect(&l, s, p != NULL, err);
    if (st == SP_OK) {
        put_recipe(&m, s, p ? FORMAT : SP_WEIGHTS_FORMAT);
        if (p)
            put_progress(&m, s, p);
        st = m.failed ? SP_FAIL(err, SP_E_MEMORY, "out of memory while saving a checkpoint")
                      : sp_tensors_write(path, l.items, l.n, (const char *const *)m.keys,
                                         (const char *const *)m.values, m.n, err);
    }
    metadata_free(&m);
    tensors_free(&l);
    return st;
}

sp_status sp_checkpoint_save(const char *path, sp_session *s, const sp_progress *p, sp_error *err)
{
    return save(path, s, p, err);
}

sp_status sp_weights_save(const char *path, sp_session *s, sp_error *err)
{
    return save(path, s, NULL, err);
}

static sp_model_range evaluated(const sp_session *s, const sp_param *p)
{
    return s->model->ema && p->trainable ? SP_RANGE_EMA : SP_RANGE_WEIGHTS;
}

/* As a device would keep them. */
static void initial_values(const sp_session *s, const sp_param *p, float *x)
{
    sp_param_initialise(s->graph, p, (uint64_t)s->recipe.seed, x);
    for (int64_t i = 0; sp_model_is_packed(s->model, p) && i < p->elems; i++)
        x[i] = x[i] < 0 ? -1 : 1;
}

sp_status sp_weights_read(sp_session *s, float ***out, sp_error *err)
{
    const sp_graph *g = s->graph;
    *out = sp_alloc_array((size_t)g->n_params + 1, sizeof **out);
    sp_status st = *out ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory for the weights");
    for (int i = 0; st == SP_OK && i < g->n_params; i++) {
        const sp_param *p = &g->params[i];
        float *x = (*out)[i] = sp_alloc_array((size_t)p->elems, sizeof *x);
        if (!x)
            st = SP_FAIL(err, SP_E_MEMORY, "out of memory for the weights");
        else if (s->dev)
            st = sp_model_read(s->model, p, evaluated(s, p), x, err);
        else
            initial_values(s, p, x);
    }
    return st;
}

void sp_weights_free(const sp_session *s, float **params)
{
    for (int i = 0; params && i < s->graph->n_params; i++)
        sp_free(params[i]);
    sp_free(params);
}

sp_status sp_weights_export(const char *path, sp_session *s, const char *map, size_t *n, sp_error *err)
{
    static const char *const key = "format", *const value = SP_OUTPUT_WEIGHTS_FORMAT;
    sp_name_map names = {0};
    tensor_list l = {.items = sp_alloc_array((size_t)s->graph->n_params + 1, sizeof *l.items)};
    sp_status st = map ? sp_name_map_read(map, s->graph, &names, err) : SP_OK;
    if (!l.items)
        SP_TRY_GOTO(SP_FAIL(err, SP_E_MEMORY, "out of memory for the weights"));
    for (int i = 0; st == SP_OK && i < s->graph->n_params; i++) {
        const sp_param *p = &s->graph->params[i];
        SP_TRY_GOTO(add_tensor(&l, s, p, evaluated(s, p), "", err));
        char *name = sp_name_map_to_file(&names, p->name);
        sp_free(l.items[i].name);
        l.items[i].name = name;
        st = name ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory for the weights");
    }
    *n = l.n;
    if (st == SP_OK)
        st = sp_tensors_write(path, l.items, l.n, &key, &value, 1, err);
done:
    sp_name_map_free(&names);
    tensors_free(&l);
    return st;
}

/* Counts that training goes on from; the largest stay countable when they grow. */
static sp_status meta_int(const sp_tensor_file *f, const char *key, int64_t most, int64_t *out, sp_error *err)
{
    const char *s = sp_tensors_meta(f, key);
    char *end = NULL;
    *out = s ? strtoll(s, &end, 10) : -1; /* saturates, which is above `most` */
    if (!s || end == s || *end || *out < 0 || *out > most)
        return SP_FAIL(err, SP_E_DATA,
                       "%s: \"%s\" in its metadata is %s, but it must be a whole number from 0 to %" PRId64,
                       f->path, key, s ? s : "missing", most);
    return SP_OK;
}

static sp_status meta_double(const sp_tensor_file *f, const char *key, double most, double *out,
                             sp_error *err)
{
    const char *s = sp_tensors_meta(f, key);
    char *end = NULL;
    *out = s ? strtod(s, &end) : -1;
    if (!s || end == s || *end || !(*out >= 0 && *out <= most))
        return SP_FAIL(err, SP_E_DATA,
                       "%s: \"%s\" in its metadata is %s, but it must be a number from 0 to %g", f->path, key,
                       s ? s : "missing", most);
    return SP_OK;
}

static sp_status read_progress(const sp_tensor_file *f, sp_progress *p, sp_error *err)
{
    const int64_t most = (int64_t)1 << 53; /* what JSON keeps exactly */
    SP_TRY(meta_int(f, "epoch", INT32_MAX, &p->epoch, err));
    SP_TRY(meta_int(f, "batch", INT32_MAX, &p->batch, err));
    SP_TRY(meta_int(f, "iteration", INT32_MAX, &p->iteration, err));
    SP_TRY(meta_int(f, "seen", most, &p->seen, err));
    SP_TRY(meta_int(f, "correct", p->seen, &p->correct, err));
    SP_TRY(meta_double(f, "loss_sum", 1e300, &p->loss_sum, err));
    SP_TRY(meta_double(f, "best_accuracy", 1, &p->best_accuracy, err));
    if (sp_tensors_meta(f, "surrogate_width"))
        SP_TRY(meta_double(f, "surrogate_width", 1e7, &p->width, err));
    const char *measured = sp_tensors_meta(f, "measured");
    if (measured && !sp_measured_parse(measured, &p->measured))
        return SP_FAIL(err, SP_E_DATA, "%s: \"measured\" in its metadata is damaged: %s", f->path, measured);
    if (!measured) { /* a file from before there was a choice */
        p->measured = sp_measured_start(SP_MEASURE_TEST_ACCURACY);
        p->measured.all.value = p->best_accuracy;
    }
    p->open_line = sp_tensors_meta(f, "open_line");
    p->classes = sp_tensors_meta(f, "classes");
    p->fingerprint = sp_tensors_meta(f, "fingerprint");
    return meta_double(f, "train_seconds", 1e12, &p->train_seconds, err);
}

/* torch.save writes ZIP archives, and pickles before version 1.6. Both can run code when they are read. */
static sp_status check_pickle(const char *path, sp_error *err)
{
    unsigned char head[9] = {0};
    FILE *f = sp_file_stream(path, NULL);
    size_t n = f ? fread(head, 1, sizeof head, f) : 0;
    if (f)
        fclose(f);
    bool archive = memcmp(head, "PK\3\4", 4) == 0, pickle = head[0] == 0x80 && head[1] <= 5;
    if (n < sizeof head || head[8] == '{' || !(archive || pickle))
        return SP_OK;
    return SP_FAIL(err, SP_E_DATA,
                   "%s: a file of torch.save, which is a program and is not run here. Convert it where you "
                   "trust it:\n"
                   "  import torch, safetensors.torch\n"
                   "  state = torch.load(\"%s\", map_location=\"cpu\", weights_only=True)\n"
                   "  safetensors.torch.save_file({k: v.contiguous() for k, v in state.items()}, "
                   "\"weights.safetensors\")",
                   path, path);
}

sp_status sp_weights_open(const char *path, sp_checkpoint *out, sp_error *err)
{
    *out = (sp_checkpoint){0};
    SP_TRY(check_pickle(path, err));
    char *file = sp_path_is_folder(path) ? sp_format("%s/checkpoint.safetensors", path) : sp_strdup(path);
    sp_status st = file ? sp_tensors_read(file, &out->file, err) : SP_FAIL(err, SP_E_MEMORY, "out of memory");
    char *old = file && !sp_path_exists(file) ? sp_run_folder_old(path) : NULL;
    if (old)
        st = SP_FAIL(err, SP_E_IO,
                     "%s does not exist; --overwrite has moved the files of an earlier run away, its "
                     "checkpoint is %s. To continue that run, give its files their names without .old back",
                     file, old);
    sp_free(old);
    sp_free(file);
    if (st == SP_OK)
        st = sp_tensors_check_finite(&out->file, err);
    if (st != SP_OK)
        sp_checkpoint_close(out);
    return st;
}

sp_status sp_checkpoint_open(const char *path, sp_checkpoint *out, sp_error *err)
{
    SP_TRY(sp_weights_open(path, out, err));
    const char *format = sp_tensors_meta(&out->file, "format");
    sp_status st = SP_OK;
    if (!format || strcmp(format, FORMAT) != 0)
        st = SP_FAIL(err, SP_E_DATA, "%s: not a checkpoint of this program (format is %s, expected %s)",
                     out->file.path, format ? format : "not given", FORMAT);
    if (st == SP_OK)
        st = read_progress(&out->file, &out->progress, err);
    if (st == SP_OK)
        st = sp_checkpoint_classes(out, NULL, err);
    if (st != SP_OK)
        sp_checkpoint_close(out);
    return st;
}

void sp_checkpoint_close(sp_checkpoint *c)
{
    sp_tensors_free(&c->file);
    memset(c, 0, sizeof *c);
}

/* A checkpoint may come from anywhere: its recipe must be whole in itself, as sp_recipe_print writes it. */
static sp_status check_whole(const char *path, const char *text, sp_error *err)
{
    sp_yaml_doc doc = {0};
    SP_TRY(sp_yaml_parse(path, text, strlen(text), &doc, err));
    const sp_yaml *base = sp_yaml_get(doc.root, "base"), *network = sp_yaml_get(doc.root, "network");
    sp_status st = SP_OK;
    if (base || (network && network->kind == SP_YAML_STRING))
        st = sp_yaml_fail(base ? base : network, err,
                          "the recipe in a checkpoint names another file (%s: %s); it must be whole in "
                          "itself",
                          base ? "base" : "network", (base ? base : network)->text);
    sp_yaml_free(&doc);
    return st;
}

/* Plugins are code: only the command line and the user's own recipes name them. */
static void drop_plugins(sp_recipe *r, const char *path)
{
    const sp_yaml *named = sp_yaml_get(r->doc.root, "plugins_path");
    static atomic_flag said = ATOMIC_FLAG_INIT;
    if (!r->plugins_path || sp_yaml_from_set(named))
        return;
    if (!atomic_flag_test_and_set(&said)) /* each device, and each check, reads the recipe again */
        sp_log(SP_LOG_WARNING,
               "%s: plugins_path: %s: a checkpoint cannot load plugins, so these folders are not used; if "
               "you trust them, name them with --plugins or --set plugins_path=...",
               path, r->plugins_path);
    r->plugins_path = NULL;
}

sp_status sp_checkpoint_recipe(const sp_checkpoint *c, const char *const *sets, size_t n_sets, sp_recipe *out,
                               sp_error *err)
{
    const char *text = sp_tensors_meta(&c->file, "recipe");
    if (!text)
        return SP_FAIL(err, SP_E_DATA, "%s: no recipe in its metadata", c->file.path);
    SP_TRY(check_whole(c->file.path, text, err));
    SP_TRY(sp_recipe_parse(c->file.path, text, strlen(text), sets, n_sets, out, err));
    drop_plugins(out, c->file.path);
    return SP_OK;
}
