/* The best epoch, early stopping and the learning rate. */
#include "train/measure.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {"test_accuracy", "test_loss", "accuracy", "loss"};
enum { MEASURES = sizeof names / sizeof *names, BESTS = 3 };

const char *sp_measure_name(int measure)
{
    return names[measure];
}

static bool larger_is_better(int measure)
{
    return measure == SP_MEASURE_TEST_ACCURACY || measure == SP_MEASURE_ACCURACY;
}

sp_measured sp_measured_start(int measure)
{
    const sp_best none = {(double)NAN, 0};
    return (sp_measured){measure, none, none, none, 1};
}

/* The value counts where it is better than the best one by a share of that and by an amount. */
static bool improve(sp_best *b, double value, double sign, double share, double amount)
{
    bool better = isnan(b->value) || sign * (value - b->value) > share * fabs(b->value) + amount;
    b->value = better ? value : b->value;
    b->stale = better ? 0 : b->stale + 1;
    return better;
}

bool sp_measured_add(sp_measured *m, const sp_recipe *r, double value)
{
    if (m->measure != r->measure)
        *m = sp_measured_start(r->measure);
    double sign = larger_is_better(r->measure) ? 1 : -1;
    improve(&m->stopping, value, sign, 0, r->min_delta);
    improve(&m->plateau, value, sign, r->lr_threshold, 0);
    if (r->lr_schedule == SP_LR_PLATEAU && m->plateau.stale > r->lr_patience) {
        m->lr_factor *= r->lr_gamma;
        m->plateau.stale = 0;
    }
    return improve(&m->all, value, sign, 0, 0);
}

bool sp_measured_ends(const sp_measured *m, const sp_recipe *r)
{
    return r->patience > 0 && m->stopping.stale >= r->patience;
}

void sp_measured_print(const sp_measured *m, sp_text *out)
{
    const sp_best *bests[BESTS] = {&m->all, &m->stopping, &m->plateau};
    sp_text_add(out, "%s %a", names[m->measure], m->lr_factor);
    for (int i = 0; i < BESTS; i++)
        sp_text_add(out, " %a %" PRId64, bests[i]->value, bests[i]->stale);
}

bool sp_measured_parse(const char *text, sp_measured *out)
{
    sp_best *bests[BESTS] = {&out->all, &out->stopping, &out->plateau};
    size_t n = strcspn(text, " ");
    char *end;
    for (out->measure = 0; out->measure < MEASURES; out->measure++)
        if (strlen(names[out->measure]) == n && strncmp(text, names[out->measure], n) == 0)
            break;
    out->lr_factor = strtod(text + n, &end);
    bool ok = out->measure < MEASURES && end > text + n && out->lr_factor >= 0 && out->lr_factor <= 1;
    for (int i = 0; i < BESTS && ok; i++) {
        const char *at = end;
        bests[i]->value = strtod(at, &end);
        ok = end > at && !(bests[i]->value < 0) && !isinf(bests[i]->value);
        at = end;
        bests[i]->stale = strtoll(at, &end, 10);
        ok = ok && end > at && bests[i]->stale >= 0 && bests[i]->stale <= INT32_MAX;
    }
    return ok && !*end;
}

/* From one rate to another along a half wave. */
static double anneal(double from, double to, double at)
{
    const double pi = 3.14159265358979323846;
    return to + (from - to) * 0.5 * (1.0 + cos(pi * at));
}

static double one_cycle(const sp_recipe *r, double step, double steps)
{
    double top = r->lr_pct_start * steps - 1, end = steps - 1, start = r->lr / r->lr_div;
    step = fmin(step, end);
    if (step <= top)
        return anneal(start, r->lr, top > 0 ? step / top : 1);
    return anneal(r->lr, start / r->lr_final_div, end > top ? (step - top) / (end - top) : 1);
}

double sp_recipe_lr(const sp_recipe *r, const sp_measured *m, int64_t epoch, int64_t batch, int64_t batches)
{
    double per = batches > 0 ? (double)batches : 1, now = (double)epoch + (double)batch / per, lr = r->lr;
    double wave = r->lr_per_batch ? now : (double)epoch;
    switch (r->lr_schedule) {
    case SP_LR_COSINE: lr = anneal(r->lr, r->lr_min, fmin(wave / (double)r->lr_period, 1)); break;
    case SP_LR_STEP: lr = r->lr * pow(r->lr_gamma, (double)(epoch / r->lr_step)); break;
    case SP_LR_PLATEAU: lr = m ? fmin(r->lr, fmax(r->lr * m->lr_factor, r->lr_min)) : r->lr; break;
    case SP_LR_ONE_CYCLE: return one_cycle(r, (double)epoch * per + (double)batch, (double)r->epochs * per);
    default: break;
    }
    bool warm = now >= r->warmup;
    return warm ? lr : lr * (r->warmup_from + (1 - r->warmup_from) * now / r->warmup);
}
