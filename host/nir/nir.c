/* Graphs in memory. */
#include "nir/nir.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/size.h"

const char *const sp_nir_verdict_names[] = {"faithful", "approximate", "unsupported"};

static void node_free(sp_nir_node *node)
{
    for (size_t i = 0; i < node->n; i++) {
        sp_free(node->values[i].key);
        sp_free(node->values[i].text);
        sp_free(node->values[i].x);
    }
    sp_free(node->values);
    sp_free(node->name);
    sp_free(node->type);
}

void sp_nir_free(sp_nir *g)
{
    for (size_t i = 0; i < g->n; i++)
        node_free(&g->nodes[i]);
    sp_free(g->nodes);
    sp_free(g->edges);
    sp_free(g->path);
    *g = (sp_nir){0};
}

sp_nir_node *sp_nir_add(sp_nir *g, const char *name, const char *type)
{
    sp_nir_node *node = sp_array_push(&g->nodes, g->n, sizeof *node);
    if (!node)
        return NULL;
    g->n++;
    node->name = sp_strdup(name);
    node->type = sp_strdup(type);
    return node->name && node->type ? node : NULL;
}

static sp_nir_value *push_value(sp_nir_node *node, const char *key)
{
    sp_nir_value *v = sp_array_push(&node->values, node->n, sizeof *v);
    if (!v)
        return NULL;
    node->n++;
    v->key = sp_strdup(key);
    return v->key ? v : NULL;
}

sp_nir_value *sp_nir_add_value(sp_nir_node *node, const char *key, int n_dims, const int64_t *shape,
                               bool whole)
{
    sp_nir_value *v = push_value(node, key);
    if (!v || !sp_size_product(shape, (size_t)n_dims, &v->n))
        return NULL;
    v->n_dims = n_dims;
    v->whole = whole;
    for (int i = 0; i < n_dims; i++)
        v->shape[i] = shape[i];
    v->x = sp_alloc_array((size_t)v->n, sizeof *v->x);
    return v->x ? v : NULL;
}

bool sp_nir_add_text(sp_nir_node *node, const char *key, const char *text)
{
    sp_nir_value *v = push_value(node, key);
    if (v)
        v->text = sp_strdup(text);
    return v && v->text;
}

bool sp_nir_add_edge(sp_nir *g, size_t from, size_t to)
{
    sp_nir_edge *e = sp_array_push(&g->edges, g->n_edges, sizeof *e);
    if (!e)
        return false;
    *e = (sp_nir_edge){from, to};
    g->n_edges++;
    return true;
}

const sp_nir_value *sp_nir_find(const sp_nir_node *node, const char *key)
{
    for (size_t i = 0; i < node->n; i++)
        if (strcmp(node->values[i].key, key) == 0)
            return &node->values[i];
    return NULL;
}

void sp_nir_notes_free(sp_nir_notes *l)
{
    for (size_t i = 0; i < l->n; i++) {
        sp_free(l->items[i].node);
        sp_free(l->items[i].what);
        sp_free(l->items[i].why);
        sp_free(l->items[i].layer);
    }
    sp_free(l->items);
    *l = (sp_nir_notes){0};
}

sp_status sp_nir_note_add(sp_nir_notes *l, const char *node, const char *what, sp_nir_verdict verdict,
                          const char *layer, sp_error *err, const char *fmt, ...)
{
    char why[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    sp_nir_note *n = sp_array_push(&l->items, l->n, sizeof *n);
    if (n) {
        l->n++;
        *n = (sp_nir_note){.node = sp_strdup(node),
                           .what = sp_strdup(what),
                           .verdict = verdict,
                           .why = sp_strdup(why),
                           .layer = layer ? sp_strdup(layer) : NULL};
    }
    if (!n || !n->node || !n->what || !n->why || (layer && !n->layer))
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for a NIR graph");
    return verdict == SP_NIR_UNSUPPORTED ? SP_FAIL(err, SP_E_CONFIG, "node \"%s\" (%s): %s", node, what, why)
                                         : SP_OK;
}
