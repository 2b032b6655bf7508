/* Recipes based on other recipes: what is joined and what is replaced, whose folder paths count from, where
 * errors point; and the keys of the methods' variants. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "train/recipe.h"

static sp_error err;
static char folder[64];

static void make_folder(void)
{
    char sub[80];
    snprintf(folder, sizeof folder, "/tmp/spikeport-base-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    snprintf(sub, sizeof sub, "%s/sub", folder);
    cr_assert_eq(mkdir(sub, 0777), 0);
}

static void remove_folder(void)
{
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}

TestSuite(recipe_base, .init = make_folder, .fini = remove_folder);

static void put(const char *name, const char *text)
{
    char path[160];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f);
    fputs(text, f);
    fclose(f);
}

static sp_status load(const char *name, const char *set, sp_recipe *r)
{
    char path[160];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return sp_recipe_load(path, &set, set ? 1 : 0, r, &err);
}

static void expect_refused(const char *name, const char *set, sp_status status, const char *message)
{
    sp_recipe r;
    cr_assert_eq(load(name, set, &r), status, "%s accepted, or refused otherwise: %s", name, err.text);
    cr_assert(strstr(err.text, message), "\"%s\" lacks \"%s\"", err.text, message);
    cr_assert_null(r.doc.root);
}

static const char whole[] = "name: whole\n"
                            "data: {name: synthetic, classes: 3, channels: 2}\n"
                            "network: net.yaml\n"
                            "neuron: {tau: 2}\n"
                            "schedule: {method: bptt, time_steps: 5}\n"
                            "optimizer: {name: sgd, lr: 0.25, momentum: 0.5}\n"
                            "batch: 9\n";
static const char net[] = "layers: [{type: flatten}, {type: linear, out: 4}, {type: lif}, {type: linear, "
                          "out: 3}]\n";

Test(recipe_base, maps_are_joined_and_values_replaced)
{
    sp_recipe r;
    put("sub/whole.yaml", whole);
    put("sub/net.yaml", net); /* beside the recipe that names it, not the one that was loaded */
    put("middle.yaml", "base: sub/whole.yaml\nschedule: {time_steps: 6}\nbatch: 10\nname: middle\n");
    put("leaf.yaml", "base: middle.yaml\noptimizer: {lr: 0.125}\ndata: {channels: 1}\nbatch: 11\n");
    cr_assert_eq(load("leaf.yaml", NULL, &r), SP_OK, "%s", err.text);
    cr_assert_str_eq(r.name, "middle");
    cr_assert(r.batch == 11 && r.time_steps == 6 && r.method == SP_METHOD_BPTT);
    cr_assert(fabs(r.lr - 0.125) < 1e-12 && fabs(r.momentum - 0.5) < 1e-12 && fabs(r.neuron.tau - 2) < 1e-12);
    cr_assert(r.data.classes == 3 && r.data.channels == 1);
    cr_assert_eq(r.network.n, 4);
    /* printed, it stands on its own */
    sp_text t = {0};
    sp_recipe again;
    sp_recipe_print(&r, &t);
    cr_assert_eq(sp_recipe_parse("again.yaml", t.s, t.n, NULL, 0, &again, &err), SP_OK, "%s\n%s", err.text,
                 t.s);
    cr_assert(again.batch == 11 && again.time_steps == 6 && again.network.n == 4 && again.n_bases == 0);
    sp_text_free(&t);
    sp_recipe_free(&again);
    sp_recipe_free(&r);
}

Test(recipe_base, lists_are_replaced_whole)
{
    sp_recipe r;
    put("whole.yaml", whole);
    put("net.yaml", net);
    put("leaf.yaml", "base: whole.yaml\nnetwork: [{type: flatten}, {type: linear, out: 3}]\n");
    put("list.yaml", "base: leaf.yaml\nnetwork: [{type: flatten}, {type: linear, out: 8}, {type: linear, "
                     "out: 5}]\n");
    cr_assert_eq(load("leaf.yaml", NULL, &r), SP_OK, "%s", err.text);
    cr_assert_eq(r.network.n, 2);
    sp_recipe_free(&r);
    cr_assert_eq(load("list.yaml", NULL, &r), SP_OK, "%s", err.text);
    cr_assert(r.network.n == 3 && r.network.layers[2].out == 5);
    sp_recipe_free(&r);
}

Test(recipe_base, settings_from_outside_reach_what_is_inherited)
{
    sp_recipe r;
    put("whole.yaml", whole);
    put("net.yaml", net);
    put("inline.yaml", "base: whole.yaml\nnetwork: [{type: flatten}, {type: linear, out: 3}]\n");
    put("leaf.yaml", "base: inline.yaml\n");
    cr_assert_eq(load("leaf.yaml", "schedule.time_steps=7", &r), SP_OK, "%s", err.text);
    cr_assert(r.time_steps == 7 && r.method == SP_METHOD_BPTT);
    sp_recipe_free(&r);
    cr_assert_eq(load("leaf.yaml", "network.1.out=4", &r), SP_OK, "%s", err.text);
    cr_assert_eq(r.network.layers[1].out, 4);
    sp_recipe_free(&r);
    /* a path from outside counts from the recipe that was named */
    put("sub/leaf.yaml", "base: ../inline.yaml\n");
    put("sub/other.yaml", "layers: [{type: flatten}, {type: linear, out: 9}]\n");
    cr_assert_eq(load("sub/leaf.yaml", "network=other.yaml", &r), SP_OK, "%s", err.text);
    cr_assert_eq(r.network.layers[1].out, 9);
    sp_recipe_free(&r);
    expect_refused("leaf.yaml", "base=whole.yaml", SP_E_CONFIG, "\"base\" cannot be set from outside");
}

Test(recipe_base, errors_point_into_the_file_they_come_from)
{
    put("net.yaml", net);
    put("whole.yaml", whole);
    put("wrong.yaml", "base: whole.yaml\nbatch: 3\nschedule:\n  method: bptt\n  time_steps: none\n");
    put("leaf.yaml", "base: wrong.yaml\n\nbatch: 4\n");
    expect_refused("leaf.yaml", NULL, SP_E_CONFIG, "/wrong.yaml:5:15: \"time_steps\" must be");
    put("wrong.yaml", "base: whole.yaml\nepohcs: 3\n");
    expect_refused("leaf.yaml", NULL, SP_E_CONFIG, "/wrong.yaml:2:1: unknown key \"epohcs\"");
    put("wrong.yaml", "base: whole.yaml\noptimizer: {lr: 0.1, momentun: 0.3}\n");
    put("leaf.yaml", "base: wrong.yaml\noptimizer: {weight_decay: 0.1}\n");
    expect_refused("leaf.yaml", NULL, SP_E_CONFIG, "/wrong.yaml:2:22: unknown key \"momentun\"");
    put("net.yaml", "layers: [{type: flaten}]\n");
    expect_refused("whole.yaml", NULL, SP_E_CONFIG, "/net.yaml:1:17: ");
}

Test(recipe_base, what_is_no_base_is_refused)
{
    char name[16], text[64];
    put("net.yaml", net);
    put("self.yaml", "base: self.yaml\n");
    expect_refused("self.yaml", NULL, SP_E_CONFIG, "self.yaml is based on itself");
    put("a.yaml", "base: b.yaml\n");
    put("b.yaml", "base: a.yaml\n");
    expect_refused("a.yaml", NULL, SP_E_CONFIG, "/b.yaml:1:7: base: ");
    put("sub/round.yaml", "base: ../sub/../sub/round.yaml\n"); /* another spelling each time */
    expect_refused("sub/round.yaml", NULL, SP_E_CONFIG, "is it a circle?");
    put("c.yaml", "name: c\nbase: nowhere.yaml\n");
    sp_recipe r;
    cr_assert_neq(load("c.yaml", NULL, &r), SP_OK);
    cr_assert(strstr(err.text, "/c.yaml:2:7: base: ") && strstr(err.text, "nowhere.yaml"), "%s", err.text);
    put("c.yaml", "base: 3\n");
    expect_refused("c.yaml", NULL, SP_E_CONFIG,
                   "/c.yaml:1:7: \"base\" must be the file name of another recipe");
    put("c.yaml", "base: d.yaml\n");
    put("d.yaml", "- 1\n- 2\n");
    expect_refused("c.yaml", NULL, SP_E_CONFIG, "/d.yaml: a recipe is a map of settings");
    put("d.yaml", "batch: [\n");
    expect_refused("c.yaml", NULL, SP_E_CONFIG, "/d.yaml:");
    /* eight bases are enough for everybody */
    put("0.yaml", whole);
    for (int i = 1; i <= SP_RECIPE_BASES + 1; i++) {
        snprintf(name, sizeof name, "%d.yaml", i);
        snprintf(text, sizeof text, "base: %d.yaml\n", i - 1);
        put(name, text);
    }
    cr_assert_eq(load("8.yaml", NULL, &r), SP_OK, "%s", err.text);
    sp_recipe_free(&r);
    expect_refused("9.yaml", NULL, SP_E_CONFIG, "more than 8 recipes");
}

/* No allocation that fails leaves anything behind or crashes. */
Test(recipe_base, survives_running_out_of_memory)
{
    put("sub/whole.yaml", whole);
    put("sub/net.yaml", net);
    put("leaf.yaml", "base: sub/whole.yaml\noptimizer: {lr: 0.125}\n");
    bool done = false;
    for (int64_t k = 1; !done; k++) {
        sp_recipe r;
        sp_mem_fail_at(k);
        sp_status st = load("leaf.yaml", NULL, &r);
        sp_mem_fail_at(0);
        done = st == SP_OK;
        cr_assert(done || st == SP_E_MEMORY, "allocation %lld: %s", (long long)k, err.text);
        if (done)
            sp_recipe_free(&r);
        cr_assert_lt(k, 100000);
    }
}

Test(recipe_base, variants_of_the_methods)
{
#define HEAD "data: {name: synthetic}\nnetwork: [{type: flatten}, {type: linear, out: 10}]\n"
    static const struct {
        const char *text, *message;
    } wrong[] = {
        {HEAD "schedule: {method: bptt, online_update: true}\n", ":3:41: \"online_update\" needs method "
                                                                 "sltt, "
                                                                 "ottt or ndot"},
        {HEAD "schedule: {method: sltt-k, online_update: true}\n", "not sltt-k"},
        {HEAD "schedule: {method: ltl}\n", ":3:11: method ltl needs \"teacher\""},
        {HEAD "teacher: t\nschedule: {method: ltl, time_steps: 4, warm_up: 4}\n", ":4:49: \"warm_up\" is "
                                                                                  "4, which leaves none"},
        {HEAD "teacher: t\nschedule: {method: ltl, width_step: 1}\n", "\"width_step\" compares gradients"},
        {HEAD "teacher: t\nschedule: {method: ltl}\nmonitor: {gradient_similarity: 5}\n", "monitor.gradient_"
                                                                                          "similarity "
                                                                                          "compares "
                                                                                          "gradients"},
        {HEAD "teacher: t\nschedule: {method: ltl, online_update: true}\n", "not ltl"},
        {HEAD "schedule: {method: bptt, batch_norm: online}\n", ":3:38: \"batch_norm\": online is not "
                                                                "defined "
                                                                "for bptt"},
        {HEAD "schedule: {batch_norm: online, sync_batch_norm: true, shards: 2}\n", "with sync_batch_norm"},
        {HEAD "schedule: {method: ottt, truncate: 2}\n", ":3:36: \"truncate\" is about bptt"},
        {HEAD "schedule: {method: bptt, truncate: -1}\n", "\"truncate\" must be a whole number from 0"},
        {HEAD "schedule: {method: bptt, recompute: some}\n", ":3:37: \"recompute\" must be true, false or a "
                                                             "share from 0 to 1"},
        {HEAD "schedule: {method: bptt, recompute: 1.5}\n", "\"recompute\" must be a number from 0 to 1"},
        {HEAD "schedule: {method: sltt, recompute: 0.5}\n", ":3:37: \"recompute\" is about bptt"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        put("w.yaml", wrong[i].text);
        expect_refused("w.yaml", NULL, SP_E_CONFIG, wrong[i].message);
    }
    static const char *const right[] = {
        HEAD "schedule: {method: ottt, online_update: true}\ninit_from: \"runs/a "
             "\\\"b\\\"/best.safetensors\"\n",
        HEAD "schedule: {method: bptt, truncate: 3, time_steps: 7, recompute: 0.75}\n",
    };
    for (size_t i = 0; i < 2; i++) {
        sp_recipe a, b;
        sp_text t = {0};
        cr_assert_eq(sp_recipe_parse("a", right[i], strlen(right[i]), NULL, 0, &a, &err), SP_OK, "%s",
                     err.text);
        sp_recipe_print(&a, &t);
        cr_assert_eq(sp_recipe_parse("b", t.s, t.n, NULL, 0, &b, &err), SP_OK, "%s\n%s", err.text, t.s);
        cr_assert(a.online_update == (i == 0) && b.online_update == a.online_update);
        cr_assert(a.truncate == (i == 1 ? 3 : 0) && b.truncate == a.truncate);
        cr_assert_float_eq(a.recompute, i == 1 ? 0.75 : 0, 0);
        cr_assert_float_eq(b.recompute, a.recompute, 0);
        if (i == 0)
            cr_assert(strcmp(a.init_from, "runs/a \"b\"/best.safetensors") == 0 &&
                      strcmp(a.init_from, b.init_from) == 0);
        else
            cr_assert_null(b.init_from);
        sp_text_free(&t);
        sp_recipe_free(&a);
        sp_recipe_free(&b);
    }
}
