/* Comparing what two runs left: the losses of metrics.jsonl in order, then the tensors of the checkpoints. */
#include "lab/diff_runs.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "train/checkpoint.h"

typedef struct row {
    const char *name;
    int64_t elems, differing, first; /* -1: all equal */
    double worst, largest;
} row;

/* Next line of a metrics file that is a mini-batch; NULL at the end. */
static json_t *next_batch(sp_lines *lines)
{
    for (json_t *j; (j = sp_lines_json(lines)) != NULL; json_decref(j)) {
        const char *event = json_string_value(json_object_get(j, "event"));
        if (event && strcmp(event, "batch") == 0)
            return j;
    }
    return NULL;
}

/* The first logged mini-batch with another loss; its iteration, 0 when all are equal, -1 when a run has no
 * metrics. */
static int64_t first_loss(const char *a, const char *b, double within, double loss[2], int64_t *compared)
{
    sp_lines fa, fb;
    bool there = sp_lines_open(&fa, a, "metrics.jsonl", NULL);
    there = sp_lines_open(&fb, b, "metrics.jsonl", NULL) && there;
    int64_t first = there ? 0 : -1;
    while (first == 0) {
        json_t *x = next_batch(&fa), *y = next_batch(&fb);
        loss[0] = json_number_value(json_object_get(x, "loss"));
        loss[1] = json_number_value(json_object_get(y, "loss"));
        bool more = x && y;
        if (more && fabs(loss[0] - loss[1]) > within * fabs(loss[0]))
            first = json_integer_value(json_object_get(x, "iteration"));
        *compared += more;
        json_decref(x);
        json_decref(y);
        if (!more)
            break;
    }
    sp_lines_close(&fa);
    sp_lines_close(&fb);
    return first;
}

static sp_status compare_tensor(const sp_tensor *x, const sp_tensor *y, row *out, sp_error *err)
{
    int64_t n = sp_tensor_elems(x);
    *out = (row){.name = x->name, .elems = n, .first = -1};
    if (!y || sp_tensor_elems(y) != n)
        return SP_FAIL(err, SP_E_MISMATCH, "tensor \"%s\" is %s in the second run", x->name,
                       y ? "of another shape" : "missing");
    double *a = sp_alloc_array((size_t)n + 1, sizeof *a), *b = sp_alloc_array((size_t)n + 1, sizeof *b);
    sp_status st =
        a && b ? sp_tensor_to_f64(x, a, err) : SP_FAIL(err, SP_E_MEMORY, "out of memory for a comparison");
    if (st == SP_OK)
        st = sp_tensor_to_f64(y, b, err);
    for (int64_t i = 0; st == SP_OK && i < n; i++) {
        double d = fabs(a[i] - b[i]);
        bool differs = d > 0 || isnan(a[i]) != isnan(b[i]);
        out->largest = fabs(a[i]) > out->largest ? fabs(a[i]) : out->largest;
        out->worst = d > out->worst ? d : out->worst;
        out->differing += differs;
        out->first = differs && out->first < 0 ? i : out->first;
    }
    sp_free(a);
    sp_free(b);
    return st;
}

static sp_status say_row(const row *r, bool json)
{
    double relative = r->largest > 0 ? r->worst / r->largest : r->worst;
    if (json)
        return sp_cli_json_line(json_pack("{s:s, s:I, s:I, s:I, s:f, s:f}", "tensor", r->name, "elements",
                                          (json_int_t)r->elems, "differing", (json_int_t)r->differing,
                                          "first", (json_int_t)r->first, "worst", r->worst, "relative",
                                          relative));
    if (r->differing)
        printf("%-40s %" PRId64 " of %" PRId64 " differ, first element %" PRId64 ", by at most %.3g (%.2g of "
               "the largest)\n",
               r->name, r->differing, r->elems, r->first, r->worst, relative);
    return SP_OK;
}

static sp_status compare_tensors(const sp_checkpoint *a, const sp_checkpoint *b, double within, bool json,
                                 size_t *differing, sp_error *err)
{
    for (size_t i = 0; i < a->file.n; i++) {
        row r;
        SP_TRY(compare_tensor(&a->file.items[i], sp_tensors_find(&b->file, a->file.items[i].name), &r, err));
        SP_TRY(say_row(&r, json));
        *differing += r.differing > 0 && !(r.worst <= within * r.largest);
    }
    if (b->file.n != a->file.n)
        return SP_FAIL(err, SP_E_MISMATCH, "%s has %zu tensors, %s has %zu", a->file.path, a->file.n,
                       b->file.path, b->file.n);
    return SP_OK;
}

sp_status sp_diff_runs(const char *a, const char *b, double within, bool json, sp_error *err)
{
    sp_checkpoint x = {0}, y = {0};
    double loss[2] = {0, 0};
    size_t differing = 0;
    int64_t compared = 0, first = first_loss(a, b, within, loss, &compared);
    sp_status st = sp_checkpoint_open(a, &x, err);
    if (st == SP_OK)
        st = sp_checkpoint_open(b, &y, err);
    if (st == SP_OK && first > 0 && !json)
        printf("loss: first differs at mini-batch %" PRId64 ": %.9g and %.9g\n", first, loss[0], loss[1]);
    else if (st == SP_OK && first == 0 && !json)
        printf("loss: %s at all %" PRId64 " logged mini-batches\n", within > 0 ? "near enough" : "equal",
               compared);
    if (st == SP_OK && x.progress.iteration != y.progress.iteration && !json)
        printf("checkpoints are of mini-batch %" PRId64 " and %" PRId64 "\n", x.progress.iteration,
               y.progress.iteration);
    if (st == SP_OK)
        st = compare_tensors(&x, &y, within, json, &differing, err);
    if (st == SP_OK && !json)
        printf(within > 0 ? "%zu of %zu tensors differ by more than %g of their largest number\n"
                          : "%zu of %zu tensors differ\n",
               differing, x.file.n, within);
    if (st == SP_OK && (differing || first > 0))
        st = SP_FAIL(err, SP_E_MISMATCH, "the runs differ: %zu of %zu tensors%s", differing, x.file.n,
                     first > 0 ? ", and the losses" : "");
    sp_checkpoint_close(&x);
    sp_checkpoint_close(&y);
    return st;
}
