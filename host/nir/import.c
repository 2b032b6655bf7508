/* A graph into a list of layers: one chain of nodes from Input to Output, with places where it forks into two
 * paths that join again (residual layers), and with dense matrices around neurons (recurrent ones). */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/size.h"
#include "nir/walk.h"

/* An identity matrix of 4096 neurons has 64 MiB. */
enum { MOST_OUTPUTS = 4096, DEEPEST = 64, MOST_ELEMS = 1 << 30 };

/* ---- building blocks ---- */

void spi_nir_layer(spi_nir_walk *w, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    sp_text_add(&w->out->layers, "%*s- {type: %s}\n", w->indent, "", text);
    w->index++;
    w->at.spikes = false;
    w->at.weights = 0;
}

float *spi_nir_tensor(spi_nir_walk *w, const char *suffix, int n_dims, const int64_t *shape)
{
    int64_t n;
    sp_tensor *t = sp_array_push(&w->out->tensors, w->out->n_tensors, sizeof *t);
    if (!t || !sp_size_product(shape, (size_t)n_dims, &n))
        return NULL;
    w->out->n_tensors++;
    t->name = sp_format("%s%d.%s", w->prefix, w->index - 1, suffix);
    float *x = sp_alloc_array((size_t)n, sizeof *x);
    t->data = x;
    t->bytes = (size_t)n * sizeof *x;
    t->n_dims = n_dims;
    snprintf(t->dtype, sizeof t->dtype, "F32");
    for (int i = 0; i < n_dims; i++)
        t->shape[i] = shape[i];
    return t->name ? x : NULL;
}

sp_status spi_nir_refuse(spi_nir_walk *w, const char *fmt, ...)
{
    char why[320];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    return sp_nir_note_add(&w->out->notes, w->node->name, w->node->type, SP_NIR_UNSUPPORTED, NULL, w->err,
                           "%s", why);
}

/* ---- edges ---- */

/* Node k is a dense matrix between a neuron's spikes and its own input. */
static bool is_loop(const sp_nir *g, size_t k, size_t *neuron)
{
    int64_t from = -1, to = -1;
    if (strcmp(g->nodes[k].type, "Linear") != 0)
        return false;
    for (size_t i = 0; i < g->n_edges; i++) {
        if (g->edges[i].to == k)
            from = from < 0 ? (int64_t)g->edges[i].from : -2;
        if (g->edges[i].from == k)
            to = to < 0 ? (int64_t)g->edges[i].to : -2;
    }
    *neuron = to >= 0 ? (size_t)to : 0;
    return from >= 0 && from == to;
}

/* Nodes that an edge leads to from node k (or from which one leads to it), without loops; *n may be more than
 * the two that are listed. */
static void neighbours(const sp_nir *g, size_t k, bool forward, size_t list[2], size_t *n)
{
    size_t neuron;
    *n = 0;
    for (size_t i = 0; i < g->n_edges; i++) {
        size_t here = forward ? g->edges[i].from : g->edges[i].to,
               there = forward ? g->edges[i].to : g->edges[i].from;
        if (here != k || (is_loop(g, there, &neuron) && neuron == k))
            continue;
        if (*n < 2)
            list[*n] = there;
        ++*n;
    }
}

static const sp_nir_node *loop_around(const sp_nir *g, size_t k)
{
    size_t neuron;
    for (size_t i = 0; i < g->n_edges; i++)
        if (g->edges[i].from == k && is_loop(g, g->edges[i].to, &neuron) && neuron == k)
            return &g->nodes[g->edges[i].to];
    return NULL;
}

bool spi_nir_is_last(const spi_nir_walk *w)
{
    size_t next[2], n, k = (size_t)(w->node - w->g->nodes);
    for (size_t steps = 0; steps <= w->g->n; steps++) {
        neighbours(w->g, k, true, next, &n);
        if (n != 1)
            return n == 0;
        k = next[0];
        const char *type = w->g->nodes[k].type;
        if (strcmp(type, "Flatten") != 0 && strcmp(type, "Output") != 0)
            return false;
    }
    return true;
}

/* Along single edges to the first node that two edges lead to. SIZE_MAX: there is none. */
static size_t find_join(const sp_nir *g, size_t k)
{
    size_t next[2], n;
    for (size_t steps = 0; steps <= g->n; steps++) {
        neighbours(g, k, false, next, &n);
        if (n == 2)
            return k;
        neighbours(g, k, true, next, &n);
        if (n != 1)
            return SIZE_MAX;
        k = next[0];
    }
    return SIZE_MAX;
}

/* ---- the walk ---- */

/* What follows multiplies the sides without a check. */
static sp_status check_size(spi_nir_walk *w)
{
    int64_t n;
    return SP_SIZE_MUL(&n, w->at.c, w->at.h, w->at.w) && n <= MOST_ELEMS
               ? SP_OK
               : spi_nir_refuse(w, "what it gives is of more than 2^30 numbers");
}

static sp_status walk_to(spi_nir_walk *w, size_t k, size_t stop, size_t *seen);

static sp_status walk_path(spi_nir_walk *w, const char *key, size_t from, size_t join, size_t *seen)
{
    spi_nir_walk path = *w;
    char *prefix = sp_format("%s%d.%s.", w->prefix, w->index, key);
    if (!prefix)
        return SP_FAIL(w->err, SP_E_MEMORY, "out of memory for a NIR graph");
    sp_text_add(&w->out->layers, "%*s%s:\n", w->indent + 2, "", key);
    path.prefix = prefix;
    path.indent += 4;
    path.index = 0;
    sp_status st = path.indent > 4 * DEEPEST ? spi_nir_refuse(w, "forks more than 64 times in one another")
                                             : walk_to(&path, from, join, seen);
    w->at = path.at;
    sp_free(prefix);
    return st;
}

/* Two paths that join again: a residual layer. *k: where they join. */
static sp_status take_fork(spi_nir_walk *w, size_t *k, const size_t next[2], size_t *seen)
{
    size_t join = find_join(w->g, next[0]), branch = next[0] == join ? next[1] : next[0],
           other = branch == next[0] ? next[1] : next[0];
    if (join == SIZE_MAX || join != find_join(w->g, next[1]) || branch == join)
        return spi_nir_refuse(w, "two paths begin here that do not join again as a residual block does");
    w->at.weights = 0; /* both paths read them */
    const spi_nir_shape start = w->at;
    sp_text_add(&w->out->layers, "%*s- type: residual\n", w->indent, "");
    SP_TRY(walk_path(w, "branch", branch, join, seen));
    const spi_nir_shape end = w->at;
    w->at = start;
    if (other == join)
        sp_text_add(&w->out->layers, "%*sshortcut: null\n", w->indent + 2, "");
    else
        SP_TRY(walk_path(w, "shortcut", other, join, seen));
    if (w->at.c != end.c || w->at.h != end.h || w->at.w != end.w)
        return spi_nir_refuse(w, "the two paths that begin here end in different shapes");
    w->at = end;
    w->at.spikes = false;
    w->index++;
    *k = join;
    return SP_OK;
}

static sp_status walk_to(spi_nir_walk *w, size_t k, size_t stop, size_t *seen)
{
    while (k != stop) {
        size_t next[2], n;
        w->node = &w->g->nodes[k];
        if (++*seen > w->g->n)
            return spi_nir_refuse(w, "edges lead back to it; only a Linear node around a neuron may");
        w->around = loop_around(w->g, k);
        SP_TRY(spi_nir_take(w));
        SP_TRY(check_size(w));
        neighbours(w->g, k, true, next, &n);
        if (n == 0)
            return SP_OK;
        if (n > 2)
            return spi_nir_refuse(w, "%zu edges lead away from it; one or two can", n);
        if (n == 2) {
            SP_TRY(take_fork(w, &k, next, seen));
            continue;
        }
        size_t before[2];
        k = next[0];
        neighbours(w->g, k, false, before, &n);
        w->node = &w->g->nodes[k];
        if (n > 1 && k != stop)
            return spi_nir_refuse(w, "%zu edges lead to it from paths that did not begin at one node", n);
    }
    return SP_OK;
}

/* A network ends in a row of outputs. Spikes of a map go through an identity, which gives them their order.
 */
static sp_status end_in_row(spi_nir_walk *w)
{
    int64_t n = w->at.c * w->at.h * w->at.w;
    bool spikes = w->at.spikes;
    if (w->at.vector)
        return SP_OK;
    if (spikes && n > MOST_OUTPUTS)
        return spi_nir_refuse(w, "the network ends in a map of more than %d neurons", MOST_OUTPUTS);
    if (!w->at.flat)
        spi_nir_layer(w, "flatten");
    if (!spikes)
        return SP_OK;
    spi_nir_layer(w, "linear, out: %lld, bias: false", (long long)n);
    float *x = spi_nir_tensor(w, "weight", 2, (int64_t[]){n, n});
    for (int64_t i = 0; x && i < n; i++)
        x[i * n + i] = 1;
    return x ? SP_OK : spi_nir_memory(w);
}

static sp_status finish(spi_nir_walk *w)
{
    bool spikes = w->at.spikes;
    if (strcmp(w->node->type, "Output") != 0)
        return spi_nir_refuse(w, "no edge leads away from it, and it is no Output");
    SP_TRY(end_in_row(w));
    return sp_nir_note_add(&w->out->notes, w->node->name, w->node->type, SP_NIR_FAITHFUL, NULL, w->err, "%s",
                           spikes ? "the outputs are spikes" : "");
}

/* Nodes that no edge reaches would be lost without a word. */
static sp_status check_all_seen(spi_nir_walk *w)
{
    size_t neuron;
    for (size_t i = 0; i < w->g->n; i++) {
        bool seen = is_loop(w->g, i, &neuron);
        for (size_t k = 0; !seen && k < w->out->notes.n; k++)
            seen = strcmp(w->out->notes.items[k].node, w->g->nodes[i].name) == 0;
        w->node = &w->g->nodes[i];
        if (!seen)
            return spi_nir_refuse(w, "no path from the Input leads to it");
    }
    return SP_OK;
}

static sp_status find_input(spi_nir_walk *w, size_t *input)
{
    size_t n = 0, list[2], before;
    for (size_t i = 0; i < w->g->n; i++) {
        neighbours(w->g, i, false, list, &before);
        if (before > 0 || strcmp(w->g->nodes[i].type, "Input") != 0)
            continue;
        *input = i;
        n++;
    }
    if (n != 1)
        return SP_FAIL(w->err, SP_E_CONFIG, "%s: a graph with %zu Input nodes; one is needed", w->g->path, n);
    w->node = &w->g->nodes[*input];
    const sp_nir_value *shape = sp_nir_find(w->node, "shape");
    bool good = shape && shape->x && (shape->n == 1 || shape->n == 2 || shape->n == 3);
    for (int64_t i = 0; good && i < shape->n; i++)
        good = shape->x[i] >= 1 && shape->x[i] <= 1 << 24;
    if (!good)
        return spi_nir_refuse(w, "its shape is not of 1 to 3 positive numbers: (C), (C, N) or (C, H, W)");
    w->at = (spi_nir_shape){.c = (int64_t)shape->x[0], .h = 1, .w = 1, .vector = shape->n == 1};
    if (shape->n > 1)
        w->at.w = (int64_t)shape->x[shape->n - 1];
    if (shape->n > 2)
        w->at.h = (int64_t)shape->x[1];
    w->out->channels = w->at.c, w->out->height = w->at.h, w->out->width = w->at.w;
    return SP_OK;
}

/* That of the options, of the graph, or of the first node that says one. */
static double step_of(const sp_nir *g, const sp_nir_import_options *o)
{
    if (o->dt > 0 || g->dt > 0)
        return o->dt > 0 ? o->dt : g->dt;
    for (size_t i = 0; i < g->n; i++) {
        const sp_nir_value *dt = sp_nir_find(&g->nodes[i], "metadata.dt");
        if (dt && dt->x && dt->n == 1 && dt->x[0] > 0)
            return dt->x[0];
    }
    return SP_NIR_DT;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const sp_tensor *)a)->name, ((const sp_tensor *)b)->name);
}

sp_status sp_nir_import(const sp_nir *g, const sp_nir_import_options *o, sp_nir_network *out, sp_error *err)
{
    *out = (sp_nir_network){.dt = step_of(g, o)};
    spi_nir_walk w = {.g = g, .o = o, .out = out, .err = err, .dt = out->dt, .prefix = ""};
    size_t input = 0, seen = 0;
    SP_TRY(find_input(&w, &input));
    SP_TRY(walk_to(&w, input, SIZE_MAX, &seen));
    SP_TRY(finish(&w));
    SP_TRY(check_all_seen(&w));
    if (out->layers.failed)
        return SP_FAIL(err, SP_E_MEMORY, "%s: out of memory for a network", g->path);
    if (out->n_tensors == 0)
        return SP_FAIL(err, SP_E_CONFIG, "%s: a graph without weights", g->path);
    qsort(out->tensors, out->n_tensors, sizeof *out->tensors, by_name);
    return SP_OK;
}

void sp_nir_network_free(sp_nir_network *n)
{
    for (size_t i = 0; i < n->n_tensors; i++) {
        sp_free(n->tensors[i].name);
        sp_free((void *)(uintptr_t)n->tensors[i].data);
    }
    sp_free(n->tensors);
    sp_text_free(&n->layers);
    sp_nir_notes_free(&n->notes);
    *n = (sp_nir_network){0};
}
