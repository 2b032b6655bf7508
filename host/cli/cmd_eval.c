/* spikeport eval: scores a checkpoint on the test split of its data set. */
#include <stdio.h>

#include "cli/session_options.h"

static sp_status evaluate(const char *path, const sp_cli_session *o, bool json, sp_error *err)
{
    sp_cli_trained t;
    sp_scores scores = {0};
    sp_status st = sp_cli_trained_open(path, o, &t, err);
    const char *file = t.checkpoint.file.path;
    if (st == SP_OK) {
        st = sp_session_evaluate(t.s, t.test, NULL, &scores, err);
        sp_cli_say_programs(t.s->dev, t.s->reg);
    }
    if (st == SP_OK && json)
        st = sp_cli_json_line(json_pack("{s:s, s:s, s:I, s:I, s:f, s:f, s:f}", "checkpoint", file, "data",
                                        t.test->info.name, "epoch", (json_int_t)t.checkpoint.progress.epoch,
                                        "samples", (json_int_t)scores.samples, "loss", scores.loss,
                                        "accuracy", scores.accuracy, "seconds", scores.seconds));
    else if (st == SP_OK)
        printf("%s: %s, %lld samples: accuracy %.2f%%, loss %.4f (%.1f s)\n", file, t.test->info.name,
               (long long)scores.samples, 100.0 * scores.accuracy, scores.loss, scores.seconds);
    sp_free(scores.spike_rate);
    sp_cli_trained_close(&t);
    return st;
}

int sp_cmd_eval(int argc, char **argv)
{
    sp_cli_session o = {.device = NULL};
    sp_arg_list rest = {.n = 0};
    bool json = false;
    const sp_arg args[] = {
        SP_CLI_SET_ARG(o),
        SP_CLI_DEVICE_ARGS(o),
        SP_CLI_PROGRAMS_ARG(o),
        SP_FLAG("json", 0, &json, "one JSON object on stdout"),
    };
    const sp_args a = {.command = "eval",
                       .synopsis = "CHECKPOINT|DIR [options]",
                       .about = "Scores a checkpoint on the test split: argmax of the outputs summed over "
                                "the time steps.",
                       SP_ARGS(args, 1, 1)};
    int code;
    sp_error err = {0};
    if (!sp_args_parse(&a, argc, argv, &rest, &code))
        return code;
    return evaluate(rest.items[0], &o, json, &err) == SP_OK ? 0 : sp_cli_fail("eval", &err);
}
