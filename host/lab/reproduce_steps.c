/* Times of `spikeport reproduce`: a training step of the rows of a group, in alternation, so that whatever
 * else the machine does falls on all of them. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/stats.h"
#include "cli/bench.h"
#include "lab/reproduce.h"

enum { MAX_TOGETHER = 8, MAX_ROUNDS = 1000 };

typedef struct timed {
    sp_reproduce_row *row;
    sp_cli_bench b;
    double *ms, *cpu; /* of every round */
} timed;

/* With the weights that the first seed reached, on a mini-batch of the recipe's data: what firing rates cost
 * is in it. */
static sp_status open_timed(const sp_reproduce *p, timed *t, size_t rounds, sp_error *err)
{
    sp_recipe recipe = {0};
    double ignored;
    int64_t seed = json_integer_value(json_array_get(sp_reproduce_seeds(t->row), 0));
    bool trained = sp_reproduce_wants(t->row, "train");
    char *folder = sp_reproduce_folder(p, t->row, seed);
    sp_cli_bench_options o = {.session = p->session,
                              .iterations = 1,
                              .real_input = true,
                              .checkpoint = trained ? folder : NULL};
    t->ms = sp_alloc_array(rounds, sizeof *t->ms);
    t->cpu = sp_alloc_array(rounds, sizeof *t->cpu);
    sp_status st =
        folder && t->ms && t->cpu ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory for the times");
    if (st == SP_OK)
        st = sp_reproduce_load(p, t->row, seed, trained, &recipe, err);
    if (st == SP_OK)
        st = sp_cli_bench_open(&recipe, &o, &t->b, err);
    for (int i = 0; i < 2 && st == SP_OK; i++)
        st = sp_cli_bench_step(&t->b, &ignored, err);
    sp_free(folder);
    return st;
}

static json_t *quantiles(double *x, size_t n)
{
    sp_sort(x, n);
    return json_pack("[f, f, f]", sp_quantile(x, n, 0.5), sp_quantile(x, n, 0.05), sp_quantile(x, n, 0.95));
}

static sp_status keep_times(const sp_reproduce *p, timed *t, size_t n, size_t rounds, sp_error *err)
{
    const timed *base = NULL;
    double ratio[2][MAX_ROUNDS];
    json_t *all[MAX_TOGETHER];
    for (size_t i = 0; i < n; i++)
        base = json_equal(json_object_get(t[i].row->row, "method"), json_object_get(t->row->group, "baselin"
                                                                                                   "e"))
                   ? &t[i]
                   : base;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; base && k < rounds; k++) {
            ratio[0][k] = t[i].ms[k] / base->ms[k];
            ratio[1][k] = t[i].cpu[k] / base->cpu[k];
        }
        all[i] = json_pack("{s:I, s:I}", "rounds", (json_int_t)rounds, "device_bytes",
                           (json_int_t)t[i].b.s->dev->peak_bytes);
        if (base) { /* of the same round, so that other work on the machine falls on both */
            json_object_set_new(all[i], "ratio", quantiles(ratio[0], rounds));
            json_object_set_new(all[i], "cpu_ratio", quantiles(ratio[1], rounds));
        }
    }
    for (size_t i = 0; i < n; i++) { /* sorts the times: after all ratios */
        json_object_set_new(all[i], "ms", quantiles(t[i].ms, rounds));
        json_object_set_new(all[i], "cpu_ms", quantiles(t[i].cpu, rounds));
        SP_TRY(sp_reproduce_keep(p, t[i].row, "step", all[i], t[i].b.s->dev, err));
    }
    return SP_OK;
}

static sp_status run_rounds(const sp_reproduce *p, timed *t, size_t n, size_t rounds, sp_error *err)
{
    for (size_t k = 0; k < rounds; k++)
        for (size_t i = 0; i < n; i++) {
            double cpu = sp_clock_cpu_seconds();
            SP_TRY(sp_cli_bench_step(&t[i].b, &t[i].ms[k], err));
            t[i].cpu[k] = 1e3 * (sp_clock_cpu_seconds() - cpu);
            if (p->stop && *p->stop)
                return SP_FAIL(err, SP_E_INTERRUPTED, "interrupted; the same command goes on");
        }
    return keep_times(p, t, n, rounds, err);
}

sp_status sp_reproduce_steps(sp_reproduce *p, sp_reproduce_row *rows, size_t n, sp_error *err)
{
    timed t[MAX_TOGETHER] = {{.row = NULL}};
    size_t together = 0, rounds = (size_t)json_integer_value(json_object_get(rows->scale, "rounds"));
    bool missing = false;
    sp_status st = SP_OK;
    for (size_t i = 0; i < n; i++)
        missing = missing || (sp_reproduce_wants(&rows[i], "step") && !rows[i].why.status &&
                              !json_object_get(rows[i].state, "step"));
    for (size_t i = 0; missing && i < n; i++) {
        if (!sp_reproduce_wants(&rows[i], "step") || rows[i].why.status || together == MAX_TOGETHER)
            continue;
        sp_cli_say("%s: preparing the times\n", rows[i].key);
        t[together].row = &rows[i];
        SP_TRY_GOTO(sp_reproduce_about(&rows[i], open_timed(p, &t[together], rounds, err), err));
        together += !rows[i].why.status; /* one that failed is cleaned up below and leaves its place */
        if (rows[i].why.status) {
            sp_cli_bench_close(&t[together].b);
            sp_free(t[together].ms);
            sp_free(t[together].cpu);
            t[together] = (timed){.row = NULL};
        }
    }
    if (together)
        st = run_rounds(p, t, together, rounds, err);
    for (size_t i = 0; i < together && st != SP_OK; i++)
        st = sp_reproduce_about(t[i].row, st, err) == SP_OK && st != SP_E_INTERRUPTED ? SP_OK : st;
done:
    for (size_t i = 0; i < MAX_TOGETHER; i++) {
        sp_cli_bench_close(&t[i].b);
        sp_free(t[i].ms);
        sp_free(t[i].cpu);
    }
    return st;
}
