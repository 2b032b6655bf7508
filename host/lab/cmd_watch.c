/* spikeport watch: a run in progress, from its metrics.jsonl alone; nothing of the run is touched. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/output.h"
#include "cli/cli.h"
#include "lab/report.h"
#include "lab/watch.h"
#include "train/run_folder.h"

static void percent(sp_text *out, const json_t *row, const json_t *value)
{
    (void)row;
    if (json_is_number(value))
        sp_text_add(out, "%.2f%%", 100 * json_number_value(value));
}

const sp_column sp_run_columns[] = {
    {.key = "epoch", .head = "epoch", .width = 5},
    {.key = "batch", .head = "mini-batch", .width = 10},
    {.key = "loss", .head = "loss", .width = 9, .digits = -5},
    {.key = "accuracy", .head = "accuracy", .width = 8, .cell = percent},
    {.key = "test_loss", .head = "test loss", .width = 9, .digits = -5},
    {.key = "test_accuracy", .head = "test accuracy", .width = 13, .cell = percent},
    {.key = "test_absolute_error", .head = "test error", .width = 10, .digits = -4},
    {.key = "lr", .head = "lr", .width = 9, .digits = -4},
    {.key = "samples_per_second", .head = "samples/s", .width = 9, .digits = -4}};
const size_t sp_n_run_columns = sizeof sp_run_columns / sizeof *sp_run_columns;

sp_status sp_run_events_read(const char *folder, sp_run_events *out, sp_error *err)
{
    sp_lines lines;
    *out = (sp_run_events){.rows = json_array()};
    if (!sp_lines_open(&lines, folder, "metrics.jsonl", err))
        return SP_E_IO;
    for (json_t *j; (j = sp_lines_json(&lines)) != NULL; json_decref(j)) {
        const char *event = spi_text(j, "event");
        if (strcmp(event, "batch") == 0 || strcmp(event, "epoch") == 0)
            json_array_append(out->rows, j);
        if (strcmp(event, "start") == 0) {
            json_decref(out->start);
            out->start = json_incref(j);
        }
        out->ended = strcmp(event, "end") == 0;
    }
    sp_lines_close(&lines);
    return SP_OK;
}

void sp_run_events_free(sp_run_events *e)
{
    json_decref(e->start);
    json_decref(e->rows);
    *e = (sp_run_events){.start = NULL};
}

typedef struct watch {
    const char *folder, *html;
    int64_t seconds;
    bool once;
    double last; /* iteration of the row that was printed last, and a half for an epoch's */
    bool headed;
    bool paged; /* the page is of the state that is known */
} watch;

/* Rows that are new. A run that is resumed drops some and writes them again, with the same numbers. */
static sp_status print_rows(watch *w, const sp_run_events *e)
{
    for (size_t i = 0; i < json_array_size(e->rows); i++) {
        json_t *row = json_array_get(e->rows, i);
        double at = spi_number(row, "iteration") + (strcmp(spi_text(row, "event"), "epoch") == 0 ? 0.5 : 0);
        if (at <= w->last)
            continue;
        w->last = at;
        w->paged = false;
        if (!w->headed)
            sp_table_print_head(sp_run_columns, sp_n_run_columns);
        w->headed = true;
        if (sp_table_print(sp_run_columns, sp_n_run_columns, json_incref(row), false) != SP_OK)
            return SP_E_MEMORY;
    }
    return SP_OK;
}

/* Looks once; *done: there is nothing more to wait for. */
static sp_status look(watch *w, bool *done, sp_error *err)
{
    const double before = w->last;
    sp_run_events e;
    bool busy = sp_run_folder_busy(w->folder);
    char *file = sp_format("%s/metrics.jsonl", w->folder);
    bool starts = busy && file && !sp_path_exists(file); /* its kernels are being built */
    sp_free(file);
    if (starts && !w->once)
        return SP_OK;
    sp_status st = sp_run_events_read(w->folder, &e, err);
    if (st == SP_OK && print_rows(w, &e) != SP_OK)
        st = SP_FAIL(err, SP_E_MEMORY, "out of memory for the rows of a run");
    *done = w->once || e.ended || (!busy && w->last <= before);
    if (st == SP_OK && w->html && (!w->paged || *done)) {
        st = sp_run_page(w->folder, &e, busy, w->html, err);
        w->paged = true;
    }
    if (st == SP_OK && *done && !w->once && !e.ended)
        sp_cli_say("%s: no process trains in this folder; continue the run with spikeport train --resume "
                   "%s\n",
                   w->folder, w->folder);
    sp_run_events_free(&e);
    return st;
}

static sp_status run(watch *w, sp_error *err)
{
    const volatile int *stop = sp_cli_catch_signals();
    bool done = false;
    if (w->html)
        SP_TRY(sp_output_check(w->html, SP_OUTPUT_PAGE, NULL, 0, err));
    SP_TRY(look(w, &done, err));
    while (!done && !*stop) {
        nanosleep(&(struct timespec){.tv_sec = (time_t)w->seconds}, NULL);
        SP_TRY(*stop ? SP_OK : look(w, &done, err));
    }
    return SP_OK; /* Ctrl-C ends the watching; the run goes on */
}

int sp_cmd_watch(int argc, char **argv)
{
    watch w = {.seconds = 2, .last = -1};
    sp_arg_list rest = {.n = 0};
    const sp_arg args[] = {
        SP_TEXT("html", 0, &w.html, "FILE.html",
                "write a page with curves, epochs and pictures, anew as the run goes on; a browser refreshes "
                "it"),
        SP_INTEGER("every", 'n', &w.seconds, "SECONDS", "how often to look (default 2)", 1, 86400),
        SP_FLAG("once", 0, &w.once, "show what is there and end"),
    };
    const sp_args a = {.command = "watch",
                       .synopsis = "RUN [options]",
                       .about = "Shows a run in progress, from the folder that `spikeport train` writes: a "
                                "line for each line of metrics.jsonl, until the run ends or nobody trains "
                                "there.",
                       SP_ARGS(args, 1, 1),
                       .notes = "It only reads, and may run on another machine that sees the folder. "
                                "Pictures of `spikeport visualise RUN` come into the page."};
    sp_error err = {0};
    int code;
    if (!sp_args_parse(&a, argc, argv, &rest, &code))
        return code;
    w.folder = rest.items[0];
    return run(&w, &err) == SP_OK ? 0 : sp_cli_fail("watch", &err);
}
