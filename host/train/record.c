/* Recordings of layers: spikes and outputs of each sample at each time step. */
#include "train/record.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/output.h"
#include "base/size.h"
#include "config/npy.h"

#define LOGITS "logits"

typedef struct recorded {
    const char *name;
    int node;      /* -1: the outputs */
    int64_t elems; /* of a sample at one time step */
    size_t row_bytes;
    unsigned char *data; /* [rows] */
} recorded;

struct sp_record {
    const sp_session *s;
    recorded *layers;
    size_t n_layers;
    size_t rows, now; /* of mini-batches before; of this one */
};

/* ---- which layers ---- */

static sp_status add_layer(sp_record *r, int node, sp_error *err)
{
    const sp_graph *g = r->s->graph;
    for (size_t i = 0; i < r->n_layers; i++)
        if (r->layers[i].node == node)
            return SP_OK;
    recorded *l = sp_array_push(&r->layers, r->n_layers, sizeof *l);
    if (!l)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for a recording");
    r->n_layers++;
    l->node = node;
    l->name = node < 0 ? LOGITS : g->nodes[node].name;
    l->elems = node < 0 ? g->classes : sp_act_elems(&g->acts[g->nodes[node].out]);
    l->row_bytes = (size_t)(l->elems * r->s->recipe.time_steps) * (node < 0 ? sizeof(float) : 1);
    return SP_OK;
}

static sp_status unknown_layer(const sp_record *r, const char *name, sp_error *err)
{
    const sp_graph *g = r->s->graph;
    const char **names = sp_alloc_array((size_t)g->n_nodes + 1, sizeof *names);
    size_t n = 0;
    sp_text list = {0};
    for (int i = 0; names && i < g->n_nodes; i++)
        if (sp_node_fires(&g->nodes[i]))
            names[n++] = g->nodes[i].name;
    for (size_t i = 0; i < n; i++)
        sp_text_add(&list, "%s, ", names[i]);
    sp_status st =
        SP_FAIL(err, SP_E_USAGE, "there is no neuron layer \"%.80s\" to record; there are %s%s, or all", name,
                list.s ? list.s : "", LOGITS);
    sp_text_free(&list);
    sp_free(names);
    return st;
}

static sp_status add_named(sp_record *r, const char *name, sp_error *err)
{
    const sp_graph *g = r->s->graph;
    bool all = strcmp(name, "all") == 0, found = false;
    for (int i = 0; i < g->n_nodes; i++)
        if (sp_node_fires(&g->nodes[i]) && (all || strcmp(g->nodes[i].name, name) == 0)) {
            SP_TRY(add_layer(r, i, err));
            found = true;
        }
    if (all || strcmp(name, LOGITS) == 0)
        return add_layer(r, -1, err);
    return found ? SP_OK : unknown_layer(r, name, err);
}

sp_status sp_record_create(const sp_session *s, const char *names, sp_record **out, sp_error *err)
{
    sp_record *r = sp_alloc(sizeof *r);
    char *list = sp_strdup(names), *at = list, *next;
    sp_status st = r && list ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory for a recording");
    if (r)
        r->s = s;
    for (; st == SP_OK && at; at = next) {
        next = strchr(at, ',');
        if (next)
            *next++ = '\0';
        st = add_named(r, at, err);
    }
    sp_free(list);
    if (st != SP_OK)
        sp_record_destroy(&r);
    *out = r;
    return st;
}

void sp_record_destroy(sp_record **pr)
{
    sp_record *r = *pr;
    for (size_t i = 0; r && i < r->n_layers; i++)
        sp_free(r->layers[i].data);
    if (r)
        sp_free(r->layers);
    sp_free(r);
    *pr = NULL;
}

/* ---- what they do ---- */

static recorded *find(const sp_record *r, int node)
{
    for (size_t i = 0; i < r->n_layers; i++)
        if (r->layers[i].node == node)
            return &r->layers[i];
    return NULL;
}

/* Where a sample of this mini-batch lies, at one time step. */
static unsigned char *place(const sp_record *r, const recorded *l, size_t sample, int t)
{
    return l->data + (r->rows - r->now + sample) * l->row_bytes +
           (size_t)t * (l->row_bytes / (size_t)r->s->recipe.time_steps);
}

static void see(void *ctx, const sp_exec_seen *seen)
{
    const sp_record *r = ctx;
    const recorded *l = find(r, seen->node);
    if (!l)
        return;
    for (size_t k = 0; k < r->now; k++)
        sp_exec_seen_spikes(seen, (int64_t)k, l->elems / seen->cols, place(r, l, k, seen->t));
}

static bool see_outputs(void *ctx, int t, const float *logits)
{
    const sp_record *r = ctx;
    const recorded *l = find(r, -1);
    for (size_t k = 0; l && k < r->now; k++)
        memcpy(place(r, l, k, t), logits + (int64_t)k * l->elems, (size_t)l->elems * sizeof *logits);
    return true;
}

sp_status sp_record_begin(sp_record *r, size_t n, sp_exec_watcher *out, sp_error *err)
{
    for (size_t i = 0; i < r->n_layers; i++) {
        recorded *l = &r->layers[i];
        int64_t bytes;
        unsigned char *grown = SP_SIZE_MUL(&bytes, (int64_t)(r->rows + n), (int64_t)l->row_bytes)
                                   ? sp_realloc(l->data, (size_t)bytes)
                                   : NULL;
        if (!grown)
            return SP_FAIL(err, SP_E_MEMORY,
                           "out of memory for the recording of layer %s, %zu bytes a sample; record fewer "
                           "layers or samples",
                           l->name, l->row_bytes);
        l->data = grown;
    }
    r->now = n;
    r->rows += n;
    bool neurons = r->n_layers > (find(r, -1) ? 1 : 0);
    *out = (sp_exec_watcher){.see = neurons ? see : NULL, .outputs = see_outputs, .ctx = r};
    return SP_OK;
}

const void *sp_record_data(const sp_record *r, const char *layer, size_t *bytes)
{
    for (size_t i = 0; i < r->n_layers; i++)
        if (strcmp(r->layers[i].name, layer) == 0) {
            *bytes = r->rows * r->layers[i].row_bytes;
            return r->layers[i].data;
        }
    return NULL;
}

/* ---- files ---- */

static sp_tensor as_tensor(const sp_record *r, const recorded *l)
{
    const sp_graph *g = r->s->graph;
    sp_tensor t = {.name = (char *)(uintptr_t)l->name, /* only read */
                   .n_dims = 3,
                   .shape = {(int64_t)r->rows, r->s->recipe.time_steps, l->elems},
                   .data = l->data,
                   .bytes = r->rows * l->row_bytes};
    snprintf(t.dtype, sizeof t.dtype, "%s", l->node < 0 ? "F32" : "U8");
    const sp_activation *a = l->node < 0 ? NULL : &g->acts[g->nodes[l->node].out];
    if (a && (a->h > 1 || a->w > 1)) {
        t.n_dims = 5;
        t.shape[2] = a->c, t.shape[3] = a->h, t.shape[4] = a->w;
    }
    return t;
}

static sp_status write_arrays(const sp_record *r, const char *folder, sp_error *err)
{
    for (size_t i = 0; i < r->n_layers; i++) {
        const sp_tensor t = as_tensor(r, &r->layers[i]);
        char *path = sp_format("%s/%s.npy", folder, t.name);
        sp_status st = path ? sp_npy_write(path, &t, err) : SP_FAIL(err, SP_E_MEMORY, "out of memory");
        sp_free(path);
        SP_TRY(st);
    }
    return SP_OK;
}

/* One file for all layers, else a folder of arrays. */
static bool is_file(const char *path)
{
    static const char ending[] = ".safetensors";
    size_t n = strlen(path), k = sizeof ending - 1;
    return n >= k && strcmp(path + n - k, ending) == 0;
}

sp_status sp_record_check_output(const sp_record *r, const char *path, const char *const *inputs, size_t n,
                                 sp_error *err)
{
    if (is_file(path))
        return sp_output_check(path, SP_OUTPUT_RECORDING, inputs, n, err);
    SP_TRY(sp_folder_make(path, 0777, err));
    for (size_t i = 0; i < r->n_layers; i++) {
        char *file = sp_format("%s/%s.npy", path, r->layers[i].name);
        sp_status st = file ? sp_output_check(file, SP_OUTPUT_ARRAY, inputs, n, err)
                            : SP_FAIL(err, SP_E_MEMORY, "out of memory");
        sp_free(file);
        SP_TRY(st);
    }
    return SP_OK;
}

sp_status sp_record_write(const sp_record *r, const char *path, sp_error *err)
{
    if (!is_file(path))
        return write_arrays(r, path, err);
    static const char *const key = "format", *const value = SP_OUTPUT_RECORDING_FORMAT;
    sp_tensor *list = sp_alloc_array(r->n_layers, sizeof *list);
    if (!list)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for a recording");
    for (size_t i = 0; i < r->n_layers; i++)
        list[i] = as_tensor(r, &r->layers[i]);
    sp_status st = sp_tensors_write(path, list, r->n_layers, &key, &value, 1, err);
    sp_free(list);
    return st;
}
