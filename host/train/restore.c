/* Tensors of a file into a session: a checkpoint that training goes on from, or the weights of any
 * safetensors file, such as a state_dict of PyTorch, whose names are those of the network or are mapped to
 * them. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/suggest.h"
#include "train/checkpoint.h"
#include "train/name_map.h"

static sp_status restore_mass(const sp_checkpoint *c, sp_session *s, sp_error *err)
{
    const char *at = sp_tensors_meta(&c->file, "step_mass");
    for (int64_t i = 0; s->step_mass && i < s->recipe.time_steps; i++) {
        char *end = NULL;
        double x = at ? strtod(at, &end) : -1;
        if (!at || end == at || !(x >= 0 && x <= 1))
            return SP_FAIL(err, SP_E_DATA,
                           "%s: \"step_mass\" in its metadata, which backprop_steps: adaptive continues "
                           "from, is missing or not one number for each of %" PRId64 " time steps",
                           c->file.path, s->recipe.time_steps);
        s->step_mass[i] = x;
        at = end;
    }
    return SP_OK;
}

/* The targets of layers are what the teacher's weights make of the data. */
static sp_status check_teacher(const sp_checkpoint *c, const sp_session *s, sp_error *err)
{
    const char *was = sp_tensors_meta(&c->file, "teacher");
    char now[32];
    snprintf(now, sizeof now, "%016" PRIx64, s->teacher_hash);
    return !s->teacher || !was || strcmp(was, now) == 0 ? SP_OK
                                                        : SP_FAIL(err, SP_E_CONFIG,
                                                                  "%s: the weights of the teacher %s are not "
                                                                  "those of this run any more; restore them, "
                                                                  "or start a new run with init_from",
                                                                  c->file.path, s->recipe.teacher);
}

static void add_shape(sp_text *t, const int64_t *shape, int n)
{
    for (int i = 0; i < n; i++)
        sp_text_add(t, "%s%" PRId64, i ? "x" : "", shape[i]);
    sp_text_add(t, "%s", n ? "" : "one number");
}

static sp_status shape_differs(const sp_checkpoint *c, const sp_tensor *t, const sp_param *p, sp_error *err)
{
    sp_text text = {0};
    sp_text_add(&text, "\"%s\" is ", t->name);
    add_shape(&text, t->shape, t->n_dims);
    sp_text_add(&text, ", the network's is ");
    add_shape(&text, p->shape, p->n_dims);
    sp_status st = SP_FAIL(err, SP_E_DATA,
                           "%s: tensor %s; was it made for another network or another number of classes?",
                           c->file.path, text.s ? text.s : t->name);
    sp_text_free(&text);
    return st;
}

static const char *nearest(const char *name, const char *const *names, size_t n)
{
    const char *near = names ? sp_suggest(name, names, n) : NULL;
    return near ? near : "";
}

static sp_status missing(const sp_checkpoint *c, const char *name, sp_error *err)
{
    const char **names = sp_alloc_array(c->file.n + 1, sizeof *names);
    for (size_t i = 0; names && i < c->file.n; i++)
        names[i] = c->file.items[i].name;
    const char *near = nearest(name, names, c->file.n);
    sp_status st = SP_FAIL(err, SP_E_DATA,
                           "%s: tensor \"%s\" of the network is missing%s%s%s; was it made for another "
                           "network?",
                           c->file.path, name, *near ? "; the nearest name in the file is \"" : "", near,
                           *near ? "\"" : "");
    sp_free(names);
    return st;
}

/* The tensor of that name, or the one of its bits. */
static const sp_tensor *find(const sp_checkpoint *c, const char *name)
{
    const sp_tensor *t = sp_tensors_find(&c->file, name);
    char *bits = t ? NULL : sp_format("%s" SP_BITS_SUFFIX, name);
    t = bits ? sp_tensors_find(&c->file, bits) : t;
    sp_free(bits);
    return t;
}

static sp_status restore_bits(const sp_checkpoint *c, sp_session *s, const sp_param *p, const sp_tensor *t,
                              float *x, sp_error *err)
{
    const uint8_t *bits = t->data;
    if (strcmp(t->dtype, "U8") != 0 || t->bytes != (size_t)(p->elems + 7) / 8)
        return SP_FAIL(err, SP_E_DATA,
                       "%s: tensor \"%s\" has %zu bytes of type %s, but %" PRId64
                       " weights of a bit each are %" PRId64 " of type U8; was it made for another network?",
                       c->file.path, t->name, t->bytes, t->dtype, p->elems, (p->elems + 7) / 8);
    for (int64_t i = 0; i < p->elems; i++)
        x[i] = bits[i / 8] >> i % 8 & 1 ? 1 : -1;
    return sp_model_write(s->model, p, SP_RANGE_WEIGHTS, x, err);
}

static sp_status restore_one(const sp_checkpoint *c, sp_session *s, const sp_param *p, sp_model_range range,
                             const char *name, float *x, sp_error *err)
{
    const sp_tensor *t = find(c, name);
    if (!t)
        return missing(c, name, err);
    if (strcmp(t->name, name) != 0)
        return restore_bits(c, s, p, t, x, err);
    bool same = t->n_dims == p->n_dims;
    for (int i = 0; same && i < p->n_dims; i++)
        same = t->shape[i] == p->shape[i];
    if (!same || sp_tensor_elems(t) != p->elems)
        return shape_differs(c, t, p, err);
    if (t->dtype[0] != 'F' &&
        t->dtype[0] != 'B') /* F64 F32 F16 BF16; the bits of whole numbers are no weights */
        return SP_FAIL(err, SP_E_DATA, "%s: tensor \"%s\" is %s; parameters are floating-point numbers",
                       c->file.path, name, t->dtype);
    SP_TRY(sp_tensor_to_f32(t, x, err));
    for (int64_t i = 0; i < p->elems; i++)
        if (!isfinite(x[i])) /* finite as float64 */
            return SP_FAIL(err, SP_E_NUMERIC,
                           "%s: tensor \"%s\": element %" PRId64 " is too large for float32", c->file.path,
                           name, i);
    return sp_model_write(s->model, p, range, x, err);
}

/* Room for any parameter. */
static float *largest_param(const sp_model *m)
{
    const sp_graph *g = m->graph;
    int64_t most = m->bars + 1;
    for (int i = 0; i < g->n_params; i++)
        most = g->params[i].elems > most ? g->params[i].elems : most;
    return sp_alloc_array((size_t)most, sizeof(float));
}

static sp_status restore_range(const sp_checkpoint *c, sp_session *s, const sp_param *p, sp_model_range range,
                               const char *prefix, float *x, sp_error *err)
{
    char name[160];
    snprintf(name, sizeof name, "%s%s", prefix, p->name);
    return restore_one(c, s, p, range, name, x, err);
}

/* The state that the recipe's optimizer keeps must be that of the checkpoint, or a key was changed. `whole`
 * false: evaluation, which has a use for averages alone. */
static sp_status check_state(const sp_checkpoint *c, const sp_session *s, bool whole, sp_error *err)
{
    const struct {
        const char *prefix, *key;
        bool wanted;
    } parts[] = {{"optimizer.ema.", "optimizer.ema", s->model->ema},
                 {"optimizer.v.", "optimizer.name", s->model->second_moments},
                 {"optimizer.bars.", "optimizer.binary", s->model->bars > 0}};
    for (int k = 0; k < (whole ? 3 : 1) && s->graph->n_trainable; k++) {
        bool there = false;
        for (size_t i = 0; i < c->file.n && !there; i++)
            there = strncmp(c->file.items[i].name, parts[k].prefix, strlen(parts[k].prefix)) == 0;
        if (parts[k].wanted ? !there : there && whole)
            return SP_FAIL(err, SP_E_CONFIG,
                           "%s: %s cannot change in a run that goes on: the checkpoint has %s tensors %s*; "
                           "leave it as it was, or start a new run with init_from",
                           c->file.path, parts[k].key, there ? "the" : "no", parts[k].prefix);
    }
    return SP_OK;
}

/* A run goes on with weights of the kind that it had: what optimizer.binary makes of others is another
 * network. x: the weights, as they were in the file. */
static sp_status check_kind(const sp_checkpoint *c, const sp_session *s, const sp_param *p, const float *x,
                            sp_error *err)
{
    const sp_tensor *t = find(c, p->name);
    const bool wanted = sp_model_is_packed(s->model, p);
    bool binary = t && strcmp(t->name, p->name) != 0;
    if (!t || binary == wanted)
        return SP_OK;
    binary = wanted; /* floats of 1 and -1 are what older versions wrote */
    for (int64_t i = 0; i < p->elems && binary; i++)
        binary = fabsf(x[i]) >= 1 && fabsf(x[i]) <= 1;
    if (binary)
        return SP_OK;
    return SP_FAIL(err, SP_E_CONFIG,
                   "%s: the weights of \"%s\" are %s, but optimizer.binary says otherwise now; leave it as "
                   "it was, or start a "
                   "new run with init_from",
                   c->file.path, p->name, wanted ? "numbers other than 1 and -1" : "1 and -1, a bit each");
}

sp_status sp_checkpoint_restore(const sp_checkpoint *c, sp_session *s, bool optimizer, sp_error *err)
{
    if (optimizer)
        SP_TRY(restore_mass(c, s, err));
    if (optimizer)
        SP_TRY(check_teacher(c, s, err));
    SP_TRY(check_state(c, s, optimizer, err));
    float *x = largest_param(s->model);
    sp_status st = x ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory while restoring a checkpoint");
    for (int i = 0; i < s->graph->n_params && st == SP_OK; i++) {
        const sp_param *p = &s->graph->params[i];
        SP_TRY_GOTO(restore_range(c, s, p, SP_RANGE_WEIGHTS, "", x, err));
        if (optimizer && p->trainable)
            SP_TRY_GOTO(check_kind(c, s, p, x, err));
        if (optimizer && p->trainable)
            SP_TRY_GOTO(restore_range(c, s, p, SP_RANGE_MOMENT1, "optimizer.m.", x, err));
        if (optimizer && p->trainable && s->model->second_moments)
            SP_TRY_GOTO(restore_range(c, s, p, SP_RANGE_MOMENT2, "optimizer.v.", x, err));
        const sp_param bars = sp_model_bars(s->model, p);
        if (optimizer && bars.elems)
            SP_TRY_GOTO(restore_range(c, s, &bars, SP_RANGE_BARS, "optimizer.bars.", x, err));
        if (p->trainable && s->model->ema)
            SP_TRY_GOTO(restore_range(c, s, p, SP_RANGE_EMA, "optimizer.ema.", x, err));
    }
done:
    sp_free(x);
    return st;
}

/* ---- weights from elsewhere ---- */

typedef struct intake {
    const sp_weights_from *from;
    sp_checkpoint c;
    sp_name_map names;
    bool *used; /* by tensor of the file */
    size_t n_missing, n_extra;
} intake;

static bool is_ignored(const char *name)
{
    const char *dot = strrchr(name, '.');
    return strncmp(name, "optimizer.", 10) == 0 || strcmp(dot ? dot + 1 : name, "num_batches_tracked") == 0;
}

static sp_status take_one(intake *m, sp_session *s, const sp_param *p, float *x, sp_error *err)
{
    char *name = sp_name_map_to_file(&m->names, p->name);
    if (!name)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory while reading weights");
    const sp_tensor *t = find(&m->c, name);
    sp_status st = SP_OK;
    if (t)
        m->used[t - m->c.file.items] = true;
    if (t || !m->from->lenient)
        st = restore_one(&m->c, s, p, SP_RANGE_WEIGHTS, name, x, err);
    else if (m->n_missing++ == 0)
        sp_log(SP_LOG_WARNING, "%s: tensor \"%s\" is missing; the parameter keeps its starting value",
               m->c.file.path, name);
    sp_free(name);
    return st;
}

/* A tensor that the network has no parameter for means that the file was made for another one. */
static sp_status check_extra(intake *m, const sp_graph *g, sp_error *err)
{
    const char **names = sp_alloc_array((size_t)g->n_params + 1, sizeof *names);
    sp_status st = names ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory while reading weights");
    for (int i = 0; names && i < g->n_params; i++)
        names[i] = g->params[i].name;
    for (size_t i = 0; st == SP_OK && i < m->c.file.n; i++) {
        const char *name = m->c.file.items[i].name;
        if (m->used[i] || is_ignored(name))
            continue;
        const char *near = nearest(name, names, (size_t)g->n_params);
        if (m->from->lenient && m->n_extra++ == 0)
            sp_log(SP_LOG_WARNING, "%s: the network has no parameter \"%s\"; it is left out", m->c.file.path,
                   name);
        else if (!m->from->lenient)
            st = SP_FAIL(err, SP_E_DATA,
                         "%s: the network has no parameter \"%s\"%s%s%s; was the file made for another "
                         "network?",
                         m->c.file.path, name, *near ? "; its nearest name is \"" : "", near,
                         *near ? "\"" : "");
    }
    sp_free(names);
    return st;
}

static sp_status take_all(intake *m, sp_session *s, sp_error *err)
{
    const sp_graph *g = s->graph;
    float *x = largest_param(s->model);
    m->used = sp_alloc_array(m->c.file.n + 1, sizeof *m->used);
    sp_status st = x && m->used ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory while reading weights");
    for (int i = 0; i < g->n_params && st == SP_OK; i++)
        st = take_one(m, s, &g->params[i], x, err);
    sp_free(x);
    SP_TRY(st);
    SP_TRY(check_extra(m, g, err));
    if (m->n_missing == (size_t)g->n_params)
        return SP_FAIL(err, SP_E_DATA, "%s: none of the network's %d parameters is in this file",
                       m->c.file.path, g->n_params);
    if (m->n_missing + m->n_extra)
        sp_log(SP_LOG_WARNING, "%s: %zu of %d parameters are missing, %zu tensors are left out",
               m->c.file.path, m->n_missing, g->n_params, m->n_extra);
    return SP_OK;
}

sp_status sp_weights_load_from(const sp_weights_from *from, sp_session *s, sp_error *err)
{
    intake m = {.from = from};
    SP_TRY(sp_weights_open(from->file, &m.c, err));
    sp_status st = from->map ? sp_name_map_read(from->map, s->graph, &m.names, err) : SP_OK;
    if (st == SP_OK)
        st = take_all(&m, s, err);
    sp_name_map_free(&m.names);
    sp_free(m.used);
    sp_checkpoint_close(&m.c);
    return st;
}

sp_status sp_weights_load(const char *path, sp_session *s, sp_error *err)
{
    return sp_weights_load_from(&(sp_weights_from){.file = path}, s, err);
}
