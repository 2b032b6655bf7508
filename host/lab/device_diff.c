/* A recording is a stream of records: key, time step, bytes, data; "end" closes a mini-batch. Records of one
 * device only are skipped: the order of those that both have is the same. */
#include "lab/device_diff.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/error.h"

typedef struct record {
    char key[248]; /* "2 neuron.forward: u" */
    int32_t t;
    uint32_t bytes;
} record;

typedef struct differ {
    sp_plan *p;
    FILE *file;
    const sp_diff_options *o; /* NULL: recording */
    sp_diff_report *r;
    float *ours, *theirs, *u; /* u: potentials of the neuron step at hand */
    uint64_t host_bytes;
    record next; /* read ahead */
    bool have_next;
    sp_error *err;
} differ;

static uint64_t largest_tensor(const sp_plan *p)
{
    uint64_t n = p->model->bytes;
    for (int i = 0; i < p->n_tensors; i++)
        n = p->tensors[i].bytes > n ? p->tensors[i].bytes : n;
    return n;
}

static void make_key(const sp_step *s, int buffer, record *k)
{
    memset(k, 0, sizeof *k);
    snprintf(k->key, sizeof k->key, "%s: %s", s->label, s->call.op->buffers[buffer].name);
}

/* ---- the stream ---- */

static sp_status put(differ *d, const record *k, const void *bytes)
{
    if (fwrite(k, sizeof *k, 1, d->file) != 1 ||
        (bytes && k->bytes && fwrite(bytes, k->bytes, 1, d->file) != 1))
        return SP_FAIL(d->err, SP_E_IO, "the recording cannot be written (disk full?)");
    return SP_OK;
}

static sp_status read_ahead(differ *d)
{
    if (d->have_next)
        return SP_OK;
    if (fread(&d->next, sizeof d->next, 1, d->file) != 1 || d->next.bytes > d->host_bytes ||
        !memchr(d->next.key, 0, sizeof d->next.key))
        return SP_FAIL(d->err, SP_E_DATA,
                       "the recording ends early or is of another recipe (made with the same recipe, --set "
                       "and --batches?)");
    d->have_next = true;
    return SP_OK;
}

/* Data of the record with this key; *found false when the recording has none before the mini-batch's end. A
 * step of the other device only is looked past, and the place kept when the key is not found. */
static sp_status take(differ *d, const record *wanted, bool *found)
{
    long place = ftell(d->file);
    bool had = d->have_next;
    record kept = d->next;
    uint64_t skipped = 0;
    *found = false;
    for (;; skipped++) {
        SP_TRY(read_ahead(d));
        bool end = strcmp(d->next.key, "end") == 0;
        if (end || (strcmp(d->next.key, wanted->key) == 0 && d->next.t == wanted->t))
            break;
        if (fseek(d->file, (long)d->next.bytes, SEEK_CUR) != 0)
            return SP_FAIL(d->err, SP_E_IO, "the recording cannot be read");
        d->have_next = false;
    }
    if (strcmp(d->next.key, "end") == 0 || d->next.bytes != wanted->bytes) {
        d->next = kept;
        d->have_next = had;
        d->r->unmatched++;
        return fseek(d->file, place, SEEK_SET) == 0
                   ? SP_OK
                   : SP_FAIL(d->err, SP_E_IO, "the recording cannot be read");
    }
    d->r->unmatched += skipped;
    d->have_next = false;
    *found = true;
    if (fread(d->theirs, 1, wanted->bytes, d->file) != wanted->bytes)
        return SP_FAIL(d->err, SP_E_DATA, "the recording ends early");
    return SP_OK;
}

/* ---- comparing ---- */

/* "layer 2 neuron.forward, time step 1, sample 3, row 5, column 2, channel 7: u" */
static void say_where(const differ *d, const sp_step *s, int buffer, int t, int64_t row, int64_t col,
                      char *out, size_t size)
{
    const sp_graph *g = d->p->graph;
    int64_t batch = d->p->o.batch, rows = sp_call_buffer_rows(&s->call, buffer), pixel = 0, width = 1;
    if (rows % batch == 0) {
        pixel = rows / batch;
        const sp_activation *a = s->node >= 0 ? &g->acts[g->nodes[s->node].out] : NULL;
        width = a && a->h * a->w == pixel ? a->w : 1;
    }
    int n = snprintf(out, size, "%s%s", s->node >= 0 ? "layer " : "", s->label);
    if (t >= 0 && n > 0 && (size_t)n < size)
        n += snprintf(out + n, size - (size_t)n, ", time step %d", t + 1);
    if (n < 0 || (size_t)n >= size)
        return;
    if (pixel > 0 && s->node >= 0)
        snprintf(out + n, size - (size_t)n,
                 ", sample %" PRId64 ", neuron (%" PRId64 ", %" PRId64 ", %" PRId64 "), %s", row / pixel + 1,
                 row % pixel / width, row % pixel % width, col, s->call.op->buffers[buffer].name);
    else
        snprintf(out + n, size - (size_t)n, ", %s[%" PRId64 "][%" PRId64 "]",
                 s->call.op->buffers[buffer].name, row, col);
}

static void note(char *place, size_t size, const char *where, const char *what)
{
    if (!place[0])
        snprintf(place, size, "%.200s: %s", where, what);
}

/* A sum over rows may cancel to nothing (the bias before a batch norm), and then has no scale of its own: the
 * largest number that was summed is its scale. 0 for other results. */
static sp_status summed_scale(differ *d, const sp_step *s, int buffer, int t, double *scale)
{
    const sp_op *op = s->call.op;
    *scale = 0;
    if (sp_call_buffer_rows(&s->call, buffer) != 1)
        return SP_OK;
    for (int i = 0; i < SP_OP_MAX_BUFFERS && op->buffers[i].name; i++) {
        if (op->buffers[i].access != SP_IN || s->operands[i].tensor < 0 || op->buffers[i].type != SP_F32 ||
            sp_call_buffer_is_bits(&s->call, i) || sp_call_buffer_rows(&s->call, i) < 2 ||
            sp_call_buffer_cols(&s->call, i) != sp_call_buffer_cols(&s->call, buffer))
            continue;
        uint64_t n = (uint64_t)sp_call_buffer_elems(&s->call, i);
        SP_TRY(sp_device_read(d->p->dev, sp_plan_range(d->p, &s->operands[i], t), d->u, n * 4, d->err));
        for (uint64_t k = 0; k < n; k++)
            *scale = fabs((double)d->u[k]) > *scale ? fabs((double)d->u[k]) : *scale;
        return SP_OK;
    }
    return SP_OK;
}

static void compare_floats(differ *d, const sp_step *s, int buffer, int t, uint64_t n, double scale)
{
    double largest = scale, worst = 0;
    uint64_t at = 0, first = n;
    for (uint64_t i = 0; i < n; i++) {
        double a = (double)d->theirs[i], b = (double)d->ours[i], e = fabs(a - b);
        largest = fabs(a) > largest ? fabs(a) : largest;
        d->r->differing += memcmp(&d->theirs[i], &d->ours[i], 4) != 0;
        first = first == n && e > 0 ? i : first;
        if (e > worst || isnan(e)) {
            worst = isnan(e) ? (double)INFINITY : e;
            at = i;
        }
    }
    d->r->values += n;
    if (!(worst > 0))
        return;
    char where[256], what[96];
    uint64_t cols = (uint64_t)sp_call_buffer_cols(&s->call, buffer);
    double relative = largest > 0 ? worst / largest : worst, allowed = d->o->scale * s->call.op->tolerance;
    say_where(d, s, buffer, t, (int64_t)(first / cols), (int64_t)(first % cols), where, sizeof where);
    snprintf(what, sizeof what, "%.9g and %.9g", (double)d->theirs[first], (double)d->ours[first]);
    note(d->r->first, sizeof d->r->first, where, what);
    say_where(d, s, buffer, t, (int64_t)(at / cols), (int64_t)(at % cols), where, sizeof where);
    snprintf(what, sizeof what, "%.9g and %.9g, %.2g of the largest, allowed %.2g", (double)d->theirs[at],
             (double)d->ours[at], relative, allowed);
    if (relative > d->r->worst) {
        d->r->worst = relative;
        snprintf(d->r->worst_at, sizeof d->r->worst_at, "%.200s: %s", where, what);
    }
    if (allowed > 0 && relative / allowed > d->r->worst_margin)
        d->r->worst_margin = relative / allowed;
    if (relative > allowed) {
        d->r->too_far++;
        note(d->r->first_failure, sizeof d->r->first_failure, where, what);
    }
}

/* Spikes of a neuron step, whose recorded potentials are in d->u. */
static void compare_spikes(differ *d, const sp_step *s, int buffer, int t)
{
    int64_t rows = sp_call_buffer_rows(&s->call, buffer), cols = sp_call_buffer_cols(&s->call, buffer),
            words = (cols + 31) / 32;
    const uint32_t *a = (const uint32_t *)(const void *)d->theirs,
                   *b = (const uint32_t *)(const void *)d->ours;
    double v_th = sp_call_float(&s->call, "v_th");
    d->r->spikes += (uint64_t)(rows * cols);
    for (int64_t w = 0; w < rows * words; w++)
        for (uint32_t bits = a[w] ^ b[w], bit = 0; bits; bits >>= 1, bit++) {
            if (!(bits & 1))
                continue;
            int64_t row = w / words, col = w % words * 32 + bit;
            double u = (double)d->u[row * cols + col], distance = fabs(u - v_th);
            char where[256], what[112];
            say_where(d, s, buffer, t, row, col, where, sizeof where);
            snprintf(what, sizeof what, "u = %.9g, v_th = %.9g, |u - v_th| = %.3g, bound %.3g", u, v_th,
                     distance, d->o->bound);
            d->r->flips++;
            d->r->farthest = distance > d->r->farthest ? distance : d->r->farthest;
            note(d->r->first_flip, sizeof d->r->first_flip, where, what);
            if (!(distance <= d->o->bound)) {
                d->r->flips_too_far++;
                note(d->r->first_failure, sizeof d->r->first_failure, where, what);
            }
        }
}

static void compare_words(differ *d, const sp_step *s, int buffer, int t, uint64_t n)
{
    char where[256], what[64];
    d->r->values += n;
    for (uint64_t i = 0; i < n; i++)
        if (memcmp(&d->theirs[i], &d->ours[i], 4) != 0) {
            uint32_t a, b;
            memcpy(&a, &d->theirs[i], 4);
            memcpy(&b, &d->ours[i], 4);
            say_where(d, s, buffer, t, (int64_t)i, 0, where, sizeof where);
            snprintf(what, sizeof what, "%u and %u", a, b);
            note(d->r->first, sizeof d->r->first, where, what);
            note(d->r->first_failure, sizeof d->r->first_failure, where, what);
            d->r->differing++;
            d->r->too_far++;
            return;
        }
}

static sp_status compare(differ *d, const sp_step *s, int buffer, int t, const record *k, sp_range range)
{
    const sp_op *op = s->call.op;
    uint64_t n = k->bytes / 4;
    bool found;
    SP_TRY(take(d, k, &found));
    if (!found)
        return SP_OK;
    bool neuron =
        strncmp(op->id, "neuron.forward/", 15) == 0 || strncmp(op->id, "neuron.forward_rate/", 20) == 0;
    if (neuron && sp_call_buffer_is_bits(&s->call, buffer) && strcmp(op->buffers[buffer].name, "s") == 0)
        compare_spikes(d, s, buffer, t);
    else if (op->buffers[buffer].type != SP_F32 || sp_call_buffer_is_bits(&s->call, buffer))
        compare_words(d, s, buffer, t, n);
    else {
        double scale;
        SP_TRY(summed_scale(d, s, buffer, t, &scale));
        compare_floats(d, s, buffer, t, n, scale);
    }
    if (neuron && strcmp(op->buffers[buffer].name, "u") == 0)
        memcpy(d->u, d->theirs, k->bytes);
    if (d->o->free_run || memcmp(d->ours, d->theirs, k->bytes) == 0)
        return SP_OK;
    return sp_device_write(d->p->dev, range, d->theirs, k->bytes, true, d->err);
}

/* ---- the walk ---- */

static sp_status visit(void *ctx, const sp_step *s, int t, bool *go_on, sp_error *err)
{
    differ *d = ctx;
    (void)go_on;
    for (int i = 0; i < SP_OP_MAX_BUFFERS && s->call.op->buffers[i].name; i++) {
        if (s->operands[i].tensor < 0 || s->call.op->buffers[i].access == SP_IN)
            continue;
        record k;
        make_key(s, i, &k);
        sp_range range = sp_plan_range(d->p, &s->operands[i], t);
        k.t = t;
        k.bytes = (uint32_t)sp_call_buffer_elems(&s->call, i) * 4;
        SP_TRY(sp_device_read(d->p->dev, range, d->ours, k.bytes, err));
        SP_TRY(d->o ? compare(d, s, i, t, &k, range) : put(d, &k, d->ours));
    }
    if (d->r)
        d->r->steps++;
    return SP_OK;
}

static sp_status walk(differ *d, const sp_exec_batch *batch)
{
    sp_plan *p = d->p;
    bool go_on = true;
    SP_TRY(spi_exec_walk(p, batch, visit, d, d->err));
    sp_dynamic dyn = spi_exec_update_dynamic(p, batch->lr, batch->iteration + 1);
    const sp_segment *update = &p->segments[SP_SEGMENT_UPDATE];
    for (int i = 0; i < update->n; i++) {
        SP_TRY(spi_exec_step(p, &update->steps[i], 0, &dyn, d->err));
        SP_TRY(visit(d, &update->steps[i], 0, &go_on, d->err));
    }
    record end = {.key = "end"};
    if (!d->o)
        return put(d, &end, NULL);
    for (;; d->have_next = false) { /* to the end of the recorded mini-batch */
        SP_TRY(read_ahead(d));
        if (strcmp(d->next.key, "end") == 0)
            return SP_OK;
        d->r->unmatched++;
        if (fseek(d->file, (long)d->next.bytes, SEEK_CUR) != 0)
            return SP_FAIL(d->err, SP_E_IO, "the recording cannot be read");
    }
}

static sp_status run(differ *d, const sp_exec_batch *batch)
{
    if (d->p->o.half)
        return SP_FAIL(d->err, SP_E_CONFIG,
                       "the recipe stores potentials as half; a comparison reads float32. Turn half storage "
                       "off with --set");
    if (d->p->o.bf16)
        return SP_FAIL(d->err, SP_E_CONFIG,
                       "the recipe multiplies in bf16, where each device has its own kernels for it; a "
                       "comparison is of "
                       "float32. Add --set precision.compute=float");
    d->host_bytes = largest_tensor(d->p);
    if (d->host_bytes > UINT32_MAX)
        return SP_FAIL(d->err, SP_E_MEMORY,
                       "a value of %" PRIu64 " bytes is too large for a recording; use a smaller batch",
                       d->host_bytes);
    d->ours = sp_alloc_pages(d->host_bytes, 1);
    d->theirs = sp_alloc_pages(d->host_bytes, 1);
    d->u = sp_alloc(d->host_bytes);
    sp_status st = d->ours && d->theirs && d->u
                       ? walk(d, batch)
                       : SP_FAIL(d->err, SP_E_MEMORY, "out of memory for a comparison");
    sp_device_finish(d->p->dev, NULL); /* the upload reads the batch, which the caller may free now */
    sp_free(d->ours);
    sp_free(d->theirs);
    sp_free(d->u);
    return st;
}

sp_status sp_diff_record(sp_plan *p, const sp_exec_batch *batch, FILE *to, sp_error *err)
{
    differ d = {.p = p, .file = to, .err = err};
    return run(&d, batch);
}

sp_status sp_diff_compare(sp_plan *p, const sp_exec_batch *batch, FILE *from, const sp_diff_options *o,
                          sp_diff_report *r, sp_error *err)
{
    differ d = {.p = p, .file = from, .o = o, .r = r, .err = err};
    return run(&d, batch);
}
