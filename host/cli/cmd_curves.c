/* spikeport curves: the curves of several runs in one picture. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "train/train.h"

/* "NAME=FOLDER", or a folder whose last part is its name. `name` has to be freed. */
static sp_status split(const char *text, char **name, const char **folder, sp_error *err)
{
    const char *equals = strchr(text, '=');
    size_t n = strlen(text);
    *folder = equals ? equals + 1 : text;
    while (n > 1 && text[n - 1] == '/')
        n--;
    size_t from = n;
    while (from > 0 && text[from - 1] != '/')
        from--;
    *name = equals ? sp_format("%.*s", (int)(equals - text), text)
                   : sp_format("%.*s", (int)(n - from), text + from);
    return *name ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory");
}

int sp_cmd_curves(int argc, char **argv)
{
    const char *out = "curves.png", *title = "runs";
    sp_arg_list rest = {.n = 0};
    const sp_arg args[] = {
        {"out", 'o', SP_ARG_TEXT, &out, "FILE.png", "where to (default curves.png)", 0, 0},
        {"title", 't', SP_ARG_TEXT, &title, "TEXT", "stands above the first panel", 0, 0},
    };
    const sp_args a = {.command = "curves",
                       .synopsis = "[NAME=]RUN... [options]",
                       .about = "Draws test accuracy, test loss and training loss of up to six runs (folders "
                                "that `spikeport train` "
                                "made) into one PNG.",
                       .args = args,
                       .n_args = sizeof args / sizeof *args,
                       .min_rest = 1,
                       .max_rest = SP_COMPARE_RUNS,
                       .notes = "NAME is the run's name in the legend (default: its folder). The training "
                                "loss is a moving mean."};
    sp_error err = {0};
    int code;
    if (!sp_args_parse(&a, argc, argv, &rest, &code))
        return code;
    char *names[SP_COMPARE_RUNS] = {NULL};
    const char *folders[SP_COMPARE_RUNS];
    sp_status st = SP_OK;
    for (size_t i = 0; i < rest.n && st == SP_OK; i++)
        st = split(rest.items[i], &names[i], &folders[i], &err);
    if (st == SP_OK)
        st = sp_curves_compare(out, title, folders, (const char *const *)names, rest.n, &err);
    for (size_t i = 0; i < rest.n; i++)
        sp_free(names[i]);
    if (st == SP_OK)
        printf("%s\n", out);
    return st == SP_OK ? 0 : sp_cli_fail("curves", &err);
}
