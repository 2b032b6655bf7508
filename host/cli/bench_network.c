/* A recipe for `bench --network NAME`: a network of recipes/networks on made-up data. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/paths.h"
#include "cli/bench.h"
#include "cli/sets.h"

/* What the network was made for, unless --input says otherwise. */
static sp_status input_of(const sp_cli_bench_options *o, int shape[3], sp_error *err)
{
    bool large = strncmp(o->network, "nf_", 3) == 0 || strncmp(o->network, "sew_", 4) == 0;
    bool grey = strncmp(o->network, "conv_", 5) == 0, events = strcmp(o->network, "vgg11_bn") == 0;
    shape[0] = grey ? 1 : events ? 2 : 3;
    shape[1] = shape[2] = large ? 224 : grey ? 28 : events ? 48 : 32;
    char end;
    if (o->input && (sscanf(o->input, "%dx%dx%d%c", &shape[0], &shape[1], &shape[2], &end) != 3 ||
                     shape[0] < 1 || shape[1] < 1 || shape[2] < 1))
        return SP_FAIL(err, SP_E_USAGE, "--input %s: write CHANNELSxHEIGHTxWIDTH, for example 3x32x32",
                       o->input);
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

static sp_status parse_network(const sp_cli_bench_options *o, sp_sets *sets, sp_recipe *out, sp_error *err)
{
    int shape[3];
    char *path = NULL;
    sp_text text = {0};
    SP_TRY(input_of(o, shape, err));
    SP_TRY(sp_own_file("recipes/networks", "network", o->network, &path, err));
    sp_text_add(&text,
                "name: %s\ndata: {name: synthetic, classes: 10, channels: %d, height: %d, width: %d, "
                "count: 256, train_limit: 256, test_limit: 64}\nneuron: {tau: 1.1}\n"
                "schedule: {method: sltt, time_steps: 6}\noptimizer: {name: sgd, lr: 0.01}\n"
                "batch: 32\neval_batch: %lld\nepochs: 1\nnetwork: {classes: 10, file: ",
                o->network, shape[0], shape[1], shape[2],
                (long long)(o->batch && o->batch < 32 ? o->batch : 32));
    sp_yaml_quote(&text, path);
    sp_text_add(&text, "}\n");
    sp_status st = text.failed ? SP_FAIL(err, SP_E_MEMORY, "out of memory for the recipe")
                               : sp_sets_parse(sets, "--network", &text, out, err);
    sp_text_free(&text);
    sp_free(path);
    return st;
}

/* --set of the person first, then what the options say: a swept value must not be overridden. */
sp_status sp_cli_bench_recipe(const char *path, const sp_cli_bench_options *o, sp_recipe *out, sp_error *err)
{
    sp_sets sets = {.n = 0};
    char method[40];
    long long k = 0;
    sp_sets_add_list(&sets, &o->session.sets);
    read_method(o->method ? o->method : "", method, &k);
    if (o->method)
        sp_sets_add(&sets, "schedule.method=%s", method);
    if (k)
        sp_sets_add(&sets, "schedule.backprop_steps=%lld", k);
    if (o->time_steps)
        sp_sets_add(&sets, "schedule.time_steps=%lld", (long long)o->time_steps);
    if (o->batch)
        sp_sets_add(&sets, "batch=%lld", (long long)o->batch);
    return o->network ? parse_network(o, &sets, out, err) : sp_sets_load(&sets, path, out, err);
}
