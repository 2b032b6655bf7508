/* Every key of a recipe, driven from the tables: a new row is covered without an edit here. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "graph/layer_names.h"
#include "train/measure.h"
#include "train/recipe_keys.h"

static sp_error err;
static const char *const base = "data: {name: synthetic}\n"
                                "network: [{type: flatten}, {type: linear, out: 4}, {type: lif}, {type: "
                                "linear, out: 10}]\n";

/* What some keys need beside them. */
static const char *const contexts[][3] = {
    {NULL},
    {"schedule.method=sltt-k", "schedule.time_steps=6"},
    {"schedule.method=sltt-k", "schedule.time_steps=6", "schedule.backprop_steps=adaptive"},
    {"schedule.method=bptt"},
    {"schedule.method=rate", "schedule.time_steps=6"},
    {"schedule.method=ltl", "teacher=runs/t", "schedule.time_steps=4096"},
    {"optimizer.name=adamw"},
    {"optimizer.binary=t-bso"},
    {"schedule.width_step=0.5"},
    {"lr_schedule.name=step"},
    {"lr_schedule.name=plateau"},
    {"lr_schedule.name=one_cycle"},
    {"lr_schedule.warmup=2"},
    {"early_stopping.patience=3"},
    {"loss.mse=0.5"},
    {"neuron.model=if"},
    {"precision.weights=4"},
    {"init_from=a.safetensors"},
    {"neuron.reset=hard"},
    {"neuron.model=cuba_lif", "neuron.tau_syn=2"},
    {"neuron.model=alif", "neuron.tau_a=2", "neuron.beta=1"},
    {"neuron.model=other"},
    {"data.name=cifar10-dvs"},
    {"data.name=arrays"},
    {"data.name=events"},
    {"data.name=idx"},
};
enum { CONTEXTS = sizeof contexts / sizeof *contexts };

static sp_status load(const char *text, const char *const *context, const char *set, sp_recipe *r)
{
    const char *sets[4];
    size_t n = 0;
    while (n < 3 && context && context[n])
        sets[n] = context[n], n++;
    if (set)
        sets[n++] = set;
    memset(&err, 0, sizeof err);
    return sp_recipe_parse("r.yaml", text, strlen(text), sets, n, r, &err);
}

/* The k-th value to try for a row; false: there are no more. */
static bool value_of(const sp_field *f, int k, char *out, size_t size)
{
    double low = f->low;
    if (f->sample || f->kind == SP_FIELD_TEXT || f->kind == SP_FIELD_NAME)
        snprintf(out, size, "%s", f->sample ? f->sample : f->kind == SP_FIELD_NAME ? "atan" : "/a b #1: *x");
    else if (f->kind == SP_FIELD_INT)
        snprintf(out, size, "%.0f", f->initial && strtod(f->initial, NULL) == low + 1 ? low + 2 : low + 1);
    else if (f->kind == SP_FIELD_FLOAT)
        snprintf(out, size, "%.17g", low <= 0.3 && f->high >= 0.3 ? 0.3 : low * 1.5);
    else if (f->kind == SP_FIELD_BOOL)
        snprintf(out, size, "%s", f->initial && strcmp(f->initial, "true") == 0 ? "false" : "true");
    else if (f->kind == SP_FIELD_PAIR)
        snprintf(out, size, "[%.0f, %.0f]", low + 2, low + 3);
    else if (f->kind == SP_FIELD_CHOICE) {
        int i = 0, left = k;
        while (f->names[i] && (strcmp(f->names[i], f->initial) == 0 || left-- > 0))
            i++;
        snprintf(out, size, "%s", f->names[i] ? f->names[i] : "");
        return f->names[i] != NULL;
    } else
        cr_assert_fail("key \"%s\" has a form of its own, and no sample for this test", f->key);
    return k == 0;
}

static void expect_equal(const sp_fields *table, const void *a, const void *b)
{
    for (size_t i = 0; i < table->n; i++) {
        const sp_field *f = &table->items[i];
        const char *at = (const char *)a + f->at, *bt = (const char *)b + f->at;
        cr_assert(!f->follows || sp_fields_given(table, a, f->key) == sp_fields_given(table, b, f->key), "%s",
                  f->key);
        if (f->kind == SP_FIELD_TABLE)
            expect_equal(f->table, at, bt);
        else if (f->kind == SP_FIELD_TEXT) {
            const char *s = *(const char *const *)at, *t = *(const char *const *)bt;
            cr_assert(s == t || (s && t && strcmp(s, t) == 0), "%s", f->key);
        } else if (f->kind != SP_FIELD_OTHER)
            cr_assert(memcmp(at, bt, f->size) == 0, "%s", f->key);
        else if (f->print) {
            sp_text s = {0}, t = {0};
            f->print(a, &s);
            f->print(b, &t);
            cr_assert_str_eq(s.s, t.s);
            sp_text_free(&s);
            sp_text_free(&t);
        }
    }
}

static char *print(const sp_recipe *r)
{
    sp_text t = {0};
    sp_recipe_print(r, &t);
    cr_assert(!t.failed);
    return t.s;
}

static void expect_equal_layers(const sp_layer *a, size_t n, const sp_layer *b, size_t n_again)
{
    cr_assert_eq(n, n_again);
    for (size_t i = 0; i < n; i++) {
        cr_assert_eq(a[i].type, b[i].type);
        expect_equal(&sp_layer_fields[a[i].type], &a[i], &b[i]);
        if (a[i].type == SP_LAYER_LIF)
            expect_equal(&sp_neuron_fields, &a[i].neuron, &b[i].neuron);
        cr_assert_eq(a[i].neuron.recurrent, b[i].neuron.recurrent);
        expect_equal_layers(a[i].pre, a[i].n_pre, b[i].pre, b[i].n_pre);
        expect_equal_layers(a[i].branch, a[i].n_branch, b[i].branch, b[i].n_branch);
        expect_equal_layers(a[i].shortcut, a[i].n_shortcut, b[i].shortcut, b[i].n_shortcut);
    }
}

static void expect_round_trip(const sp_recipe *r, const char *path)
{
    sp_recipe again;
    char *text = print(r);
    cr_assert_eq(load(text, NULL, NULL, &again), SP_OK, "%s: %s\n%s", path, err.text, text);
    expect_equal(&spi_recipe_fields, r, &again);
    cr_assert_str_eq(r->network_text, again.network_text);
    expect_equal_layers(r->network.layers, r->network.n, again.network.layers, again.network.n);
    sp_recipe_free(&again);
    sp_free(text);
}

/* One key set to another value than its default, in the first context that takes it. */
static void check_key(const sp_field *f, const char *path)
{
    sp_recipe r, plain;
    char value[128], set[256];
    bool taken = false;
    for (int k = 0; value_of(f, k, value, sizeof value); k++)
        for (int c = 0; c < CONTEXTS; c++) {
            snprintf(set, sizeof set, "%s=%s", path, value);
            if (load(base, contexts[c], set, &r) != SP_OK)
                continue;
            cr_assert_eq(load(base, contexts[c], NULL, &plain), SP_OK);
            char *with = print(&r), *without = print(&plain);
            taken = taken || strcmp(with, without) != 0;
            expect_round_trip(&r, set);
            sp_free(with);
            sp_free(without);
            sp_recipe_free(&r);
            sp_recipe_free(&plain);
        }
    cr_assert(taken, "%s is refused in every context, or read and not written; last: %s", set, err.text);
}

static void check_keys(const sp_fields *table, const char *prefix)
{
    for (size_t i = 0; i < table->n; i++) {
        const sp_field *f = &table->items[i];
        char *path = sp_format("%s%s%s", prefix, *prefix ? "." : "", f->key);
        if (f->kind == SP_FIELD_TABLE)
            check_keys(f->table, path);
        else if (f->kind != SP_FIELD_OTHER || f->print)
            check_key(f, path);
        sp_free(path);
    }
}

Test(recipe_keys, every_key_is_read_printed_and_read_again)
{
    check_keys(&spi_recipe_fields, "");
}

static const char *const required[SP_LAYER_TYPES] = {
    [SP_LAYER_CONV] = ", out: 4, kernel: 7",
    [SP_LAYER_WS_CONV] = ", out: 4, kernel: 7",
    [SP_LAYER_LINEAR] = ", out: 4",
    [SP_LAYER_AVG_POOL] = ", kernel: 7",
    [SP_LAYER_MAX_POOL] = ", kernel: 7",
    [SP_LAYER_ADAPTIVE_AVG_POOL] = ", output: 7",
    [SP_LAYER_SCALE] = ", factor: 7",
    [SP_LAYER_DROPOUT] = ", p: 0.9",
    [SP_LAYER_DELAY] = ", steps: 3",
    [SP_LAYER_SYNAPSE] = ", tau: 3",
    [SP_LAYER_CONV1D] = ", out: 4, kernel: 3",
    [SP_LAYER_RESIDUAL] = ", branch: [{type: scale, factor: 2}]",
};

/* One key of a layer at another value than what the layer has without it. */
static void check_layer_key(int type, const sp_field *f)
{
    char value[128], set[200], text[600];
    sp_recipe r, plain;
    for (int k = 0; value_of(f, k, value, sizeof value); k++) {
        snprintf(text, sizeof text,
                 "data: {name: synthetic}\nschedule: {method: bptt}\nnetwork:\n- {type: %s%s}\n- {type: "
                 "flatten}\n- {type: linear, out: 10}\n",
                 sp_layer_fields[type].what, required[type] ? required[type] : "");
        snprintf(set, sizeof set, "network.0.%s=%s", f->key, value);
        cr_assert_eq(load(text, NULL, NULL, &plain), SP_OK, "%s: %s", set, err.text);
        cr_assert_eq(load(text, NULL, set, &r), SP_OK, "%s: %s", set, err.text);
        cr_assert(strcmp(r.network_text, plain.network_text) != 0, "%s is read and not written", set);
        expect_round_trip(&r, set);
        sp_recipe_free(&r);
        sp_recipe_free(&plain);
    }
}

Test(recipe_keys, every_key_of_every_layer_is_read_printed_and_read_again)
{
    for (int type = 0; type < SP_LAYER_TYPES; type++)
        for (size_t i = 0; i < sp_layer_fields[type].n; i++)
            if (sp_layer_fields[type].items[i].kind !=
                SP_FIELD_OTHER) /* lists of layers, type, what is fixed */
                check_layer_key(type, &sp_layer_fields[type].items[i]);
    static const sp_field recurrent = {.key = "recurrent", .kind = SP_FIELD_BOOL};
    check_layer_key(SP_LAYER_LIF, &recurrent);
    static const char *const outputs[] = {"spikes", "membrane", NULL};
    static const sp_field output = {.key = "output",
                                    .kind = SP_FIELD_CHOICE,
                                    .names = outputs,
                                    .initial = "spikes"};
    check_layer_key(SP_LAYER_LIF, &output);
    for (size_t i = 0; i < sp_neuron_fields.n; i++) {
        const sp_field *f = &sp_neuron_fields.items[i];
        const bool needs_another =
            !strcmp(f->key, "v_reset") || !strcmp(f->key, "per_channel") || !strcmp(f->key, "v_init");
        if (f->kind != SP_FIELD_OTHER && !needs_another)
            check_layer_key(SP_LAYER_LIF, f);
    }
}

/* What has a form of its own, or needs another key beside it. `has`: what the printed network must say. */
Test(recipe_keys, layers_with_keys_of_their_own_are_read_printed_and_read_again)
{
    static const struct {
        const char *layer, *has;
    } cases[] = {
        {"{type: conv, out: 4, kernel: 1, groups: 2}", "groups: 2"},
        {"{type: ws_conv, out: 2, kernel: 1, groups: 1, gain: true}", "ws_conv"},
        {"{type: lif, reset: hard, v_reset: 0.3}", "v_reset: 0.3"},
        {"{type: lif, reset: hard, v_reset: -0.3, recurrent: true}", "v_reset: -0.3"},
        {"{type: lif, width: 0.3}", "width: 0.3"},
        {"{type: if}", "if"},
        {"{type: if, v_init: 0.3}", "v_init: 0.3"},
        {"{type: plif, tau: 3}", "plif"},
        {"{type: cuba_lif, tau_syn: 3}", "tau_syn: 3"},
        {"{type: alif, tau_a: 3, beta: 0.3}", "beta: 0.3"},
        {"{type: alif, tau_a: 3, beta: -0.3}", "tau_a: 3"},
        {"{type: residual, branch: [{type: scale, factor: 3}]}", "factor: 3"},
        {"{type: residual, branch: [{type: scale, factor: 3}], shortcut: null}", "branch"},
        {"{type: residual, pre: [{type: scale, factor: 2}], branch: [{type: lif, tau: 3}], shortcut: [{type: "
         "scale, factor: 5}], skip_gain: true}",
         "factor: 5"},
        {"{type: residual, pre: [{type: scale, factor: 2}], identity_from: input, branch: [{type: residual, "
         "branch: [{type: cuba_lif, tau_syn: 7}]}], alpha: 0.5}",
         "tau_syn: 7"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[600];
        sp_recipe r;
        snprintf(text, sizeof text,
                 "data: {name: synthetic}\nnetwork:\n- %s\n- {type: flatten}\n- {type: linear, out: 10}\n",
                 cases[i].layer);
        cr_assert_eq(load(text, NULL, NULL, &r), SP_OK, "%s: %s", cases[i].layer, err.text);
        cr_assert(strstr(r.network_text, cases[i].has), "%s: %s", cases[i].layer, r.network_text);
        expect_round_trip(&r, cases[i].layer);
        sp_recipe_free(&r);
    }
    static const char *const refused[] = {"{type: conv, out: 2, kernel: 1, groups: 0}",
                                          "{type: ws_conv, out: 2, kernel: 1, gain: false}",
                                          "{type: lif, tau_syn: 3}"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        char text[300];
        sp_recipe r;
        snprintf(text, sizeof text, "data: {name: synthetic}\nnetwork: [%s]\n", refused[i]);
        cr_assert_eq(load(text, NULL, NULL, &r), SP_E_CONFIG, "accepted: %s", refused[i]);
    }
}

Test(recipe_keys, a_printed_recipe_with_a_setting_is_the_short_one_with_it)
{
    static const char *const sets[] = {
        "epochs=5",        "batch=3",      "schedule.time_steps=7", "optimizer.name=adamw",
        "neuron.v_th=0.3", "neuron.tau=2", "neuron.surrogate=atan", "network.2.tau=3",
        "data.classes=4"};
    for (int c = 0; c < CONTEXTS; c++)
        for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
            sp_recipe shorter, full, changed;
            if (load(base, contexts[c], sets[i], &changed) != SP_OK)
                continue;
            cr_assert_eq(load(base, contexts[c], NULL, &shorter), SP_OK, "%s", err.text);
            char *text = print(&shorter);
            cr_assert_eq(load(text, NULL, sets[i], &full), SP_OK, "%s", err.text);
            expect_equal(&spi_recipe_fields, &full, &changed);
            expect_equal(&sp_neuron_fields, &full.network.layers[2].neuron,
                         &changed.network.layers[2].neuron);
            sp_recipe_free(&shorter);
            sp_recipe_free(&changed);
            sp_recipe_free(&full);
            sp_free(text);
        }
}

Test(recipe_keys, a_cosine_stays_at_its_end)
{
    sp_recipe r;
    static const char *const longer[] = {"epochs=6", "lr_schedule.epochs=2", "lr_schedule.min=0.01"};
    cr_assert_eq(load(base, longer, NULL, &r), SP_OK, "%s", err.text);
    cr_assert_float_eq(sp_recipe_lr(&r, NULL, 2, 0, 1), 0.01, 1e-12);
    cr_assert_float_eq(sp_recipe_lr(&r, NULL, 3, 0, 1), 0.01, 1e-12);
    cr_assert_float_eq(sp_recipe_lr(&r, NULL, 5, 0, 1), 0.01, 1e-12);
    sp_recipe_free(&r);
}

Test(recipe_keys, what_would_have_no_effect_is_refused_from_the_command_line)
{
    static const char *const vain[][2] = {
        {"data.path=/a", "\"path\" is about data sets of files, not about \"synthetic\""},
        {"optimizer.beta1=0.5", "--set optimizer.beta1:1:17: \"beta1\" would have no effect"},
        {"lr_schedule.gamma=0.5", "lr_schedule.name: step"},
        {"schedule.backprop_steps=2", "schedule.method: sltt-k"},
        {"neuron.surrogate=atan", "network.N.surrogate"},
        {"loss.mse_target=.nan", "--set loss.mse_target:1:17: "},
        {"neuron.tau=.inf", "--set neuron.tau:1:12: "},
        {"lr_schedule.epochs=x", "--set lr_schedule.epochs:1:20: \"epochs\" must be a whole number"},
    };
    static const char *const own = "data: {name: synthetic}\n"
                                   "network: [{type: flatten}, {type: lif, surrogate: triangle}, {type: "
                                   "linear, out: 10}]\n";
    sp_recipe r;
    for (size_t i = 0; i < sizeof vain / sizeof *vain; i++) {
        cr_assert_eq(load(own, NULL, vain[i][0], &r), SP_E_CONFIG, "accepted: %s", vain[i][0]);
        cr_assert(strstr(err.text, vain[i][1]), "%s: %s", vain[i][0], err.text);
    }
    static const char *const neutral[] = {"schedule.truncate=0", "schedule.recompute=false",
                                          "optimizer.beta1=0.9"};
    for (size_t i = 0; i < sizeof neutral / sizeof *neutral; i++) {
        cr_assert_eq(load(own, NULL, neutral[i], &r), SP_OK, "%s: %s", neutral[i], err.text);
        sp_recipe_free(&r);
    }
    static const char *const cifar = "data: {name: cifar10}\nnetwork: [{type: flatten}, {type: linear, out: "
                                     "10}]\n";
    cr_assert_eq(load(cifar, NULL, "data.classes=7", &r), SP_E_CONFIG);
    cr_assert_eq(load(cifar, NULL, "neuron.v_th=2", &r), SP_E_CONFIG);
}

static void refuse_lists(const sp_fields *table, const char *prefix)
{
    static const char *const values[] = {"[x]", "[0.3, 0.3, 0.3]", "{a: 1}"};
    for (size_t i = 0; i < table->n; i++) {
        const sp_field *f = &table->items[i];
        char *path = sp_format("%s%s%s", prefix, *prefix ? "." : "", f->key);
        if (f->kind == SP_FIELD_TABLE)
            refuse_lists(f->table, path);
        for (size_t k = 0; k < 3 && f->kind != SP_FIELD_TABLE && (!f->form || !strstr(f->form, "map")); k++) {
            char set[128];
            sp_recipe r;
            if (k == 1 && f->form && strstr(f->form, "list"))
                continue;
            snprintf(set, sizeof set, "%s=%s", path, values[k]);
            cr_assert_eq(load(base, NULL, set, &r), SP_E_CONFIG, "accepted: %s", set);
        }
        sp_free(path);
    }
}

Test(recipe_keys, a_list_or_a_map_is_no_value_of_a_scalar_key)
{
    refuse_lists(&spi_recipe_fields, "");
}

Test(recipe_keys, text_is_taken_as_it_stands)
{
    static const char *const values[][2] = {{"/data/run #3", "/data/run #3"},
                                            {"/data/a: b", "/data/a: b"},
                                            {"*x", "*x"},
                                            {"12", "12"},
                                            {"\"/a #b\"", "/a #b"},
                                            {"\"[a]\"", "[a]"}};
    sp_recipe r;
    static const char *const files[] = {"data.name=idx", NULL};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char set[64];
        snprintf(set, sizeof set, "data.path=%s", values[i][0]);
        cr_assert_eq(load(base, files, set, &r), SP_OK, "%s", err.text);
        cr_assert_str_eq(r.data.path, values[i][1]);
        sp_recipe_free(&r);
    }
}

Test(recipe_keys, the_documentation_is_generated)
{
    sp_text t = {0};
    char *page = NULL;
    size_t n = 0;
    sp_recipe_document(&t);
    cr_assert_eq(sp_file_read(SP_TEST_SOURCE_DIR "/docs/RECIPE.md", 1 << 20, &page, &n, &err), SP_OK, "%s",
                 err.text);
    cr_assert_str_eq(page, t.s, "docs/RECIPE.md is not of this table: spikeport recipe > docs/RECIPE.md");
    sp_free(page);
    sp_text_free(&t);
}
