/* A recipe for `bench --network NAME`: a network of the zoo on made-up data. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "cli/bench.h"
#include "graph/zoo.h"

/* What the network was made for, unless --input says otherwise. */
static sp_status input_of(const sp_cli_bench_options *o, int shape[3], sp_error *err)
{
    bool large = strncmp(o->network, "nf_", 3) == 0 || strncmp(o->network, "sew_", 4) == 0;
    bool grey = strncmp(o->network, "conv_", 5) == 0, events = strcmp(o->network, "vgg11_bn") == 0;
    shape[0] = grey ? 1 : events ? 2 : 3;
    shape[1] = shape[2] = large ? 224 : grey ? 28 : events ? 48 : 32;
    char end;
    if (o->input && (sscanf(o->input, "%dx%dx%d%c", &shape[0], &shape[1], &shape[2], &end) != 3 || shape[0] < 1 ||
                     shape[1] < 1 || shape[2] < 1))
        return SP_FAIL(err, SP_E_USAGE, "--input %s: write CHANNELSxHEIGHTxWIDTH, for example 3x32x32", o->input);
    return SP_OK;
}

/* "sltt-2" is sltt-k with 2 steps that backpropagate; everything else is a method's own name. */
static void read_method(const char *text, char method[40], long long *k)
{
    char end;
    *k = 0;
    if (sscanf(text, "sltt-%lld%c", k, &end) == 1)
        text = "sltt-k";
    snprintf(method, 40, "%s", text);
}

static void add_indented(sp_text *to, const char *text)
{
    for (const char *at = text; *at;) {
        size_t n = strcspn(at, "\n");
        sp_text_add(to, "  %.*s\n", (int)n, at);
        at += n + (at[n] == '\n');
    }
}

static sp_status make(const sp_cli_bench_options *o, sp_recipe *out, sp_error *err)
{
    int shape[3];
    sp_text network = {0}, text = {0};
    sp_zoo_options zoo = {.classes = 10, .dropout = -1};
    long long batch = o->batch ? o->batch : 32, T = o->time_steps ? o->time_steps : 6, k;
    char method[40], backprop[40] = "";
    read_method(o->method ? o->method : "sltt", method, &k);
    if (k)
        snprintf(backprop, sizeof backprop, ", backprop_steps: %lld", k);
    SP_TRY(input_of(o, shape, err));
    sp_status st = sp_zoo_write(o->network, &zoo, &network, err);
    if (st == SP_OK) {
        sp_text_add(&text, "name: %s\ndata: {name: synthetic, classes: 10, channels: %d, height: %d, width: %d, count: 256, "
                    "train_limit: 256, test_limit: 64}\nneuron: {tau: 1.1}\nschedule: {method: %s, time_steps: %lld%s}\n"
                    "optimizer: {name: sgd, lr: 0.01}\nbatch: %lld\neval_batch: %lld\nepochs: 1\nnetwork:\n",
                    o->network, shape[0], shape[1], shape[2], method, T, backprop, batch, batch);
        add_indented(&text, network.s);
        st = text.failed ? SP_FAIL(err, SP_E_MEMORY, "out of memory for the recipe")
                         : sp_recipe_parse(o->network, text.s, text.n, o->session.sets.items, o->session.sets.n, out, err);
    }
    sp_text_free(&network);
    sp_text_free(&text);
    return st;
}

sp_status sp_cli_bench_recipe(const char *path, const sp_cli_bench_options *o, sp_recipe *out, sp_error *err)
{
    if (o->network)
        return make(o, out, err);
    char sets[4][64], method[40];
    const char *all[SP_ARGS_MAX + 4];
    size_t n = 0;
    long long k = 0;
    read_method(o->method ? o->method : "", method, &k);
    if (o->method)
        snprintf(sets[0], sizeof *sets, "schedule.method=%s", method), all[n++] = sets[0];
    if (k)
        snprintf(sets[3], sizeof *sets, "schedule.backprop_steps=%lld", k), all[n++] = sets[3];
    if (o->time_steps)
        snprintf(sets[1], sizeof *sets, "schedule.time_steps=%lld", (long long)o->time_steps), all[n++] = sets[1];
    if (o->batch)
        snprintf(sets[2], sizeof *sets, "batch=%lld", (long long)o->batch), all[n++] = sets[2];
    for (size_t i = 0; i < o->session.sets.n; i++)
        all[n++] = o->session.sets.items[i];
    return sp_recipe_load(path, all, n, out, err);
}
