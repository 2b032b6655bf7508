/* Progress lines go to stderr, so that stdout stays for results. */
#include "cli/progress.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/cli.h"

sp_progress_line sp_progress_line_make(bool json)
{
    const char *term = getenv("TERM");
    return (sp_progress_line){.terminal = isatty(STDERR_FILENO) && !(term && strcmp(term, "dumb") == 0),
                              .json = json};
}

void sp_progress_line_end(sp_progress_line *p)
{
    if (p->width)
        fputc('\n', stderr);
    p->width = 0;
}

/* Rates of the neuron layers in order, "firing 0.12 0.08 0.21", or nothing where no neuron fires; `before`
 * stands in front. */
static void rates_text(const sp_train_event *e, const char *before, char *out, size_t out_size)
{
    size_t n = 0;
    out[0] = 0;
    for (int i = 0; i < e->session->graph->n_nodes && n + 8 < out_size; i++)
        if (sp_node_fires(&e->session->graph->nodes[i]) && e->spike_rate)
            n += (size_t)snprintf(out + n, out_size - n, "%s%s %.3f", n ? "" : before, n ? "" : "firing",
                                  e->spike_rate[i]);
}

static void duration(double seconds, char *out, size_t out_size)
{
    long s = seconds > 0 ? (long)(seconds + 0.5) : 0;
    if (s >= 3600)
        snprintf(out, out_size, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(out, out_size, "%ld:%02ld", s / 60, s % 60);
}

/* "  accuracy 93.20%", or nothing where there is none. */
static const char *accuracy_text(const char *name, double accuracy, char out[48])
{
    out[0] = 0;
    if (!isnan(accuracy))
        snprintf(out, 48, "  %s %.2f%%", name, 100.0 * accuracy);
    return out;
}

static void batch_line(sp_progress_line *p, const sp_train_event *e)
{
    char rates[128], left[32], line[400], accuracy[48];
    rates_text(e, "  ", rates, sizeof rates);
    duration(e->seconds_left, left, sizeof left);
    int n = snprintf(line, sizeof line, "epoch %lld/%lld  %lld/%lld  loss %.4f%s  %.0f samples/s%s  left %s",
                     (long long)e->epoch, (long long)e->epochs, (long long)e->batch, (long long)e->batches,
                     e->loss, accuracy_text("accuracy", e->accuracy, accuracy), e->samples_per_second, rates,
                     left);
    if (p->terminal) {
        fprintf(stderr, "\r%s%*s", line, p->width > n ? p->width - n : 0, "");
        p->width = n;
    } else {
        fprintf(stderr, "%s\n", line);
    }
}

static void epoch_line(sp_progress_line *p, const sp_train_event *e)
{
    char rates[128], accuracy[48], test[48];
    rates_text(e, ", ", rates, sizeof rates);
    sp_progress_line_end(p);
    accuracy_text("test accuracy", e->test.accuracy, test);
    if (isnan(e->test.accuracy))
        snprintf(test, sizeof test, "  test mean absolute error %.4g", e->test.absolute);
    fprintf(stderr, "epoch %lld/%lld  loss %.4f%s  test loss %.4f%s  (%.1f s + %.1f s test, lr %.4g%s%s)\n",
            (long long)e->epoch, (long long)e->epochs, e->loss,
            accuracy_text("accuracy", e->accuracy, accuracy), e->test.loss, test, e->epoch_seconds,
            e->test.seconds, e->lr, rates, e->wait_fraction > 0.05 ? ", the loader is the bottleneck" : "");
}

static void similarity_line(sp_progress_line *p, const sp_train_event *e)
{
    const sp_similarity_report *r = e->similarity;
    sp_progress_line_end(p);
    fprintf(stderr,
            "gradient similarity  epoch %lld, mini-batch %lld: cosine with %s, mean of layers (lowest):",
            (long long)e->epoch, (long long)e->batch, sp_method_name(r->reference));
    for (int i = 0; i < r->n_methods; i++) {
        char name[32];
        sp_compared_name(&r->methods[i], name, sizeof name);
        fprintf(stderr, "%s %s %.4f (%.4f)", i ? "," : "", name, r->cosine[i], r->least[i]);
    }
    fputc('\n', stderr);
}

static void json_event(const sp_train_event *e)
{
    static const char *const kinds[] = {"start", "batch", "epoch", "end", "gradient_similarity"};
    json_t *o = json_pack("{s:s, s:I, s:I, s:I}", "event", kinds[e->kind], "epoch", (json_int_t)e->epoch,
                          "batch", (json_int_t)e->batch, "iteration", (json_int_t)e->iteration);
    if (o && (e->kind == SP_EVENT_BATCH || e->kind == SP_EVENT_EPOCH)) {
        json_object_set_new(o, "loss", json_real(e->loss));
        json_object_set_new(o, "accuracy", json_real(e->accuracy)); /* NaN is no number of JSON: none then */
    }
    if (o && e->kind == SP_EVENT_EPOCH) {
        json_object_set_new(o, "test_loss", json_real(e->test.loss));
        json_object_set_new(o, "test_accuracy", json_real(e->test.accuracy));
        if (isnan(e->test.accuracy))
            json_object_set_new(o, "test_absolute_error", json_real(e->test.absolute));
        json_object_set_new(o, "seconds", json_real(e->epoch_seconds));
    }
    for (int i = 0; o && e->kind == SP_EVENT_SIMILARITY && i < e->similarity->n_methods; i++) {
        char name[32];
        sp_compared_name(&e->similarity->methods[i], name, sizeof name);
        json_object_set_new(o, name,
                            isfinite(e->similarity->cosine[i]) ? json_real(e->similarity->cosine[i])
                                                               : json_null());
    }
    if (o && e->kind == SP_EVENT_END && e->session->recipe.loss != SP_LOSS_MSE)
        json_object_set_new(o, "best_accuracy", json_real(e->best_accuracy));
    sp_cli_json_line(o);
}

void sp_progress_report(void *ctx, const sp_train_event *e)
{
    sp_progress_line *p = ctx;
    if (p->json)
        json_event(e);
    else if (!sp_log_wants(SP_LOG_INFO))
        return;
    else if (e->kind == SP_EVENT_BATCH)
        batch_line(p, e);
    else if (e->kind == SP_EVENT_EPOCH)
        epoch_line(p, e);
    else if (e->kind == SP_EVENT_SIMILARITY)
        similarity_line(p, e);
}
