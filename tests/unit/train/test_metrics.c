/* metrics.csv and metrics.jsonl agree, also where the disk is full. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/mem.h"
#include "train/train.h"

static int lines_of(const char *folder, const char *name)
{
    char path[600], line[1024];
    int n = 0;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "r");
    cr_assert_not_null(f, "%s", path);
    while (fgets(line, sizeof line, f))
        n += strchr(line, '\n') != NULL;
    fclose(f);
    unlink(path);
    return n;
}

Test(metrics, a_full_disk_leaves_no_row_that_the_other_file_lacks)
{
    char folder[] = "/tmp/spikeport-metrics-XXXXXX";
    sp_metrics *m;
    sp_error err = {0};
    sp_graph g = {.n_nodes = 0};
    const sp_session s = {.graph = &g};
    sp_train_event e = {.kind = SP_EVENT_BATCH, .session = &s, .loss = 0.5, .accuracy = 0.25};
    const struct rlimit full = {2000, RLIM_INFINITY};
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(sp_metrics_open(folder, NULL, &m, &err), SP_OK, "%s", err.text);
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &full), 0);
    sp_status st = SP_OK;
    while (st == SP_OK && e.batch < 1000) {
        e.iteration = ++e.batch;
        st = sp_metrics_event(m, &e, &err);
    }
    cr_assert_eq(st, SP_E_IO, "%s", err.text);
    cr_assert_not_null(strstr(err.text, "metrics.jsonl"), "%s", err.text);
    sp_metrics_close(&m);
    int rows = lines_of(folder, "metrics.csv") - 1, events = lines_of(folder, "metrics.jsonl");
    rmdir(folder);
    cr_assert(events > 2 && rows == events, "%d rows, %d events", rows, events);
}
