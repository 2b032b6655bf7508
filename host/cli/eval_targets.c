/* Errors of numbers, and scores of several labels a sample. */
#include "cli/eval_targets.h"

#include "cli/cli.h"
#include "cli/table.h"

/* As scikit-learn has it: without a case to count it is 0. */
static double ratio(uint64_t part, uint64_t all)
{
    return all ? (double)part / (double)all : 0.0;
}

static double f1_of(const sp_output_score *o)
{
    return ratio(2 * o->hits, 2 * o->hits + o->false_alarms + o->misses);
}

/* Counts of all labels together, and the mean of their F1. */
static sp_output_score sum_labels(const sp_session *s, const sp_scores *scores, double *macro)
{
    sp_output_score sum = {0};
    int64_t n = s->graph->classes;
    *macro = 0;
    for (int64_t k = 0; k < n; k++) {
        const sp_output_score *o = &scores->outputs[k];
        sum.hits += o->hits, sum.misses += o->misses;
        sum.false_alarms += o->false_alarms, sum.rest += o->rest;
        *macro += f1_of(o) / (double)n;
    }
    return sum;
}

static double accuracy_of(const sp_output_score *o)
{
    return ratio(o->hits + o->rest, o->hits + o->rest + o->misses + o->false_alarms);
}

void sp_cli_targets_summary(const sp_session *s, const sp_scores *scores, sp_text *out)
{
    double macro;
    if (s->recipe.loss == SP_LOSS_MSE) {
        sp_text_add(out, "mean squared error %.6g, mean absolute error %.6g", scores->squared,
                    scores->absolute);
        return;
    }
    sp_output_score all = sum_labels(s, scores, &macro);
    sp_text_add(out,
                "all labels right (exact match) %.2f%%, accuracy of labels %.2f%%, F1 %.4f (micro), %.4f "
                "(macro)",
                100 * scores->accuracy, 100 * accuracy_of(&all), f1_of(&all), macro);
}

static json_t *output_json(const sp_session *s, const sp_dataset *ds, const sp_scores *scores, int64_t k)
{
    const sp_output_score *o = &scores->outputs[k];
    const char *name = sp_dataset_class(ds, (int)k);
    json_t *row =
        json_pack("{s:I, s:o}", "output", (json_int_t)k, "name", sp_cli_json_text(name ? name : ""));
    json_t *more =
        s->recipe.loss == SP_LOSS_MSE
            ? json_pack("{s:f, s:f}", "squared_error", o->squared / (double)scores->samples, "absolute_error",
                        o->absolute / (double)scores->samples)
            : json_pack("{s:I, s:f, s:f, s:f, s:f}", "samples", (json_int_t)(o->hits + o->misses), "accuracy",
                        accuracy_of(o), "precision", ratio(o->hits, o->hits + o->false_alarms), "recall",
                        ratio(o->hits, o->hits + o->misses), "f1", f1_of(o));
    json_object_update(row, more);
    json_decref(more);
    return row;
}

sp_status sp_cli_targets_print(const sp_session *s, const sp_dataset *ds, const sp_scores *scores)
{
    static const sp_column numbers[] = {
        {.key = "output", .head = "output", .width = 6},
        {.key = "name", .head = "name", .width = -14},
        {.key = "squared_error", .head = "mean squared error", .width = 18, .digits = -6},
        {.key = "absolute_error", .head = "mean absolute error", .width = 19, .digits = -6}};
    static const sp_column labels[] = {{.key = "output", .head = "label", .width = 5},
                                       {.key = "name", .head = "name", .width = -14},
                                       {.key = "samples", .head = "samples", .width = 8},
                                       {.key = "accuracy", .head = "accuracy", .width = 9, .digits = 4},
                                       {.key = "precision", .head = "precision", .width = 9, .digits = 4},
                                       {.key = "recall", .head = "recall", .width = 7, .digits = 4},
                                       {.key = "f1", .head = "F1", .width = 7, .digits = 4}};
    bool mse = s->recipe.loss == SP_LOSS_MSE;
    const sp_column *columns = mse ? numbers : labels;
    size_t n = mse ? sizeof numbers / sizeof *numbers : sizeof labels / sizeof *labels;
    sp_status st = SP_OK;
    sp_table_print_head(columns, n);
    for (int64_t k = 0; st == SP_OK && k < s->graph->classes; k++)
        st = sp_table_print(columns, n, output_json(s, ds, scores, k), false);
    return st;
}

void sp_cli_targets_json(json_t *out, const sp_session *s, const sp_dataset *ds, const sp_scores *scores)
{
    json_t *outputs = json_array(), *all;
    double macro;
    for (int64_t k = 0; k < s->graph->classes; k++)
        json_array_append_new(outputs, output_json(s, ds, scores, k));
    if (s->recipe.loss == SP_LOSS_MSE) {
        all = json_pack("{s:f, s:f}", "squared_error", scores->squared, "absolute_error", scores->absolute);
    } else {
        sp_output_score sum = sum_labels(s, scores, &macro);
        all = json_pack("{s:f, s:f, s:f, s:f}", "exact_match", scores->accuracy, "label_accuracy",
                        accuracy_of(&sum), "f1_micro", f1_of(&sum), "f1_macro", macro);
    }
    json_object_update(out, all);
    json_decref(all);
    json_object_set_new(out, "outputs", outputs);
}
