/* Recipe files: reading with checks, defaults, and writing out again. */
#include "train/recipe.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/paths.h"
#include "train/recipe_base.h"
#include "train/recipe_keys.h"

static void set_defaults(sp_recipe *r)
{
    memset(r, 0, sizeof *r);
    r->neuron = sp_neuron_default();
    sp_fields_defaults(&spi_recipe_fields, r);
    r->data.std = 1;
    r->backprop_steps = 1;
    r->mse_one_hot = true;
    r->monitor.reference = SP_METHOD_BPTT;
}

/* Defaults that follow another key. */
static void follow(sp_recipe *r)
{
    const sp_yaml *root = r->doc.root, *schedule = sp_yaml_get(root, "schedule");
    if (!sp_yaml_get(root, "eval_batch"))
        r->eval_batch = r->batch;
    if (!sp_yaml_get(sp_yaml_get(root, "lr_schedule"), "epochs"))
        r->lr_period = r->epochs;
    if (!sp_yaml_get(sp_yaml_get(root, "optimizer"), "lr"))
        r->lr = r->optimizer == SP_OPTIMIZER_SGD ? 0.1 : 0.001;
    if (!sp_yaml_get(schedule, "max_steps"))
        r->max_steps = r->time_steps;
    if (!sp_yaml_get(schedule, "block"))
        r->block = r->time_steps;
    if (r->loss == SP_LOSS_MSE && !sp_yaml_get(root, "measure"))
        r->measure = SP_MEASURE_TEST_LOSS;
}

static sp_status check_adaptive(const sp_recipe *r, const sp_yaml *m, sp_error *err)
{
    static const char *const about[] = {"spike_share", "min_steps", "max_steps"};
    for (size_t i = 0; i < 3 && !r->adaptive; i++)
        if (sp_yaml_get(m, about[i]))
            return sp_yaml_fail(sp_yaml_get(m, about[i]), err, "\"%s\" is about backprop_steps: adaptive",
                                about[i]);
    if (r->adaptive && r->max_steps > r->time_steps)
        return sp_yaml_fail(sp_yaml_get(m, "max_steps"), err,
                            "\"max_steps\" is %lld, but there are only %lld time steps",
                            (long long)r->max_steps, (long long)r->time_steps);
    if (r->adaptive && r->min_steps > r->max_steps)
        return sp_yaml_fail(sp_yaml_get(m, "min_steps"), err,
                            "\"min_steps\" is %lld, but \"max_steps\" is %lld", (long long)r->min_steps,
                            (long long)r->max_steps);
    return SP_OK;
}

static sp_status check_ltl(const sp_recipe *r, const sp_yaml *m, sp_error *err)
{
    if (r->method != SP_METHOD_LTL)
        return SP_OK;
    if (!r->teacher)
        return sp_yaml_fail(m, err,
                            "method ltl needs \"teacher\", the folder of a run whose network has relu or "
                            "qcfs in the places of this network's neurons");
    if (r->warm_up >= r->time_steps)
        return sp_yaml_fail(sp_yaml_get(m, "warm_up"), err,
                            "\"warm_up\" is %lld, which leaves none of the %lld time steps for a backward "
                            "pass",
                            (long long)r->warm_up, (long long)r->time_steps);
    if (r->width_step > 0 || r->monitor.every)
        return sp_yaml_fail(m, err,
                            "%s compares gradients of the loss at the outputs, which reaches only the last "
                            "layer under ltl; leave it out",
                            r->width_step > 0 ? "\"width_step\"" : "monitor.gradient_similarity");
    return SP_OK;
}

static sp_status check_schedule(const sp_recipe *r, sp_error *err)
{
    const sp_yaml *m = sp_yaml_get(r->doc.root, "schedule");
    const char *method = sp_method_name(r->method);
    if (r->online_update && r->method != SP_METHOD_SLTT && r->method != SP_METHOD_OTTT &&
        r->method != SP_METHOD_NDOT)
        return sp_yaml_fail(sp_yaml_get(m, "online_update"), err,
                            "\"online_update\" needs method sltt, ottt or ndot, not %s: there "
                            "has to be a gradient at every time step",
                            method);
    if (r->recompute > 0 && r->method != SP_METHOD_BPTT)
        return sp_yaml_fail(sp_yaml_get(m, "recompute"), err,
                            "\"recompute\" is about bptt; %s keeps one time step only", method);
    if (r->truncate && r->method != SP_METHOD_BPTT)
        return sp_yaml_fail(sp_yaml_get(m, "truncate"), err,
                            "\"truncate\" is about bptt; %s has no gradient through time", method);
    if (sp_yaml_get(m, "block") && r->method != SP_METHOD_RATE)
        return sp_yaml_fail(sp_yaml_get(m, "block"), err, "\"block\" is about rate; %s has none", method);
    if (r->method == SP_METHOD_RATE && r->time_steps % r->block)
        return sp_yaml_fail(sp_yaml_get(m, "block"), err,
                            "\"block\" is %lld, which does not divide the %lld time steps; each block has "
                            "one backward pass, and all are to weigh the same",
                            (long long)r->block, (long long)r->time_steps);
    if (r->online_norm && (r->method == SP_METHOD_BPTT || r->sync_norm))
        return sp_yaml_fail(sp_yaml_get(m, "batch_norm"), err, "\"batch_norm\": online is not defined %s",
                            r->sync_norm ? "with sync_batch_norm, as the statistics of a time step do not "
                                           "normalise it"
                                         : "for bptt, which knows the statistics of all time steps when it "
                                           "goes back");
    if (r->width_step > 0 && r->online_update)
        return sp_yaml_fail(sp_yaml_get(m, "width_step"), err,
                            "\"width_step\" compares losses at one set of weights, which online_update "
                            "changes in the course of a mini-batch; leave one of them out");
    if (r->method == SP_METHOD_SLTT_K && !r->adaptive && r->backprop_steps > r->time_steps)
        return sp_yaml_fail(m, err, "\"backprop_steps\" is %lld, but there are only %lld time steps",
                            (long long)r->backprop_steps, (long long)r->time_steps);
    SP_TRY(check_ltl(r, m, err));
    return check_adaptive(r, m, err);
}

/* What is about classes does nothing with rows of targets. */
static sp_status check_loss(const sp_recipe *r, sp_error *err)
{
    const sp_yaml *root = r->doc.root, *loss = sp_yaml_get(root, "loss"), *data = sp_yaml_get(root, "data");
    const struct {
        bool given;
        const sp_yaml *at;
        const char *what;
    } about[] = {{r->w_mse > 0, sp_yaml_get(loss, "mse"), "\"mse\" weighs the error of one-hot classes"},
                 {r->label_smoothing > 0, sp_yaml_get(loss, "label_smoothing"),
                  "\"label_smoothing\" is of classes"},
                 {r->data.balanced, sp_yaml_get(data, "sampling"),
                  "\"balanced\" counts the samples of classes"},
                 {r->data.classes > 0, sp_yaml_get(data, "classes"), "\"classes\" is about labels"},
                 {r->loss == SP_LOSS_MSE &&
                      (r->measure == SP_MEASURE_TEST_ACCURACY || r->measure == SP_MEASURE_ACCURACY),
                  sp_yaml_get(root, "measure"), "numbers have no accuracy; take test_loss or loss"}};
    for (size_t i = 0; i < sizeof about / sizeof *about && r->loss; i++)
        if (about[i].given)
            return sp_yaml_fail(about[i].at, err, "%s, and loss.name is %s", about[i].what,
                                r->loss == SP_LOSS_MSE ? "mse" : "bce");
    return SP_OK;
}

static sp_status check_rate(const sp_recipe *r, sp_error *err)
{
    const sp_yaml *min = sp_yaml_get(sp_yaml_get(r->doc.root, "lr_schedule"), "min");
    bool has_least = r->lr_schedule == SP_LR_COSINE || r->lr_schedule == SP_LR_PLATEAU;
    return !min || !has_least || r->lr_min <= r->lr ? SP_OK
                                                    : sp_yaml_fail(min, err,
                                                                   "\"min\" is %g, the smallest learning "
                                                                   "rate, but optimizer.lr is %g, from which "
                                                                   "the rate falls; choose a smaller min",
                                                                   r->lr_min, r->lr);
}

static sp_status check_data(const sp_recipe *r, sp_error *err)
{
    static const struct {
        const char *key, *about;
        unsigned takes;
    } sections[] = {{"events", "event cameras and spike trains", SP_TAKES_EVENTS},
                    {"arrays", "data sets of arrays", SP_TAKES_ARRAYS}};
    const sp_yaml *m = sp_yaml_get(r->doc.root, "data");
    if (!m || m->kind == SP_YAML_NULL)
        return sp_yaml_fail(r->doc.root, err,
                            "a recipe needs \"data\" with a \"name\", such as data: {name: fashion-mnist}");
    if (!r->data.name)
        return sp_yaml_fail(m, err, "\"data\" needs a \"name\"");
    if (r->data.path && strcmp(r->data.name, "synthetic") == 0)
        return sp_yaml_fail(sp_yaml_get(m, "path"), err,
                            "\"path\" is about data sets of files, not about \"synthetic\"; leave it out");
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
        const sp_yaml *at = sp_yaml_get(m, sections[i].key);
        if (at && at->kind == SP_YAML_MAP && !sp_dataset_takes(r->data.name, sections[i].takes))
            return sp_yaml_fail(at, err, "\"%s\" is about %s, not about \"%s\"; leave it out",
                                sections[i].key, sections[i].about, r->data.name);
    }
    return SP_OK;
}

sp_status spi_recipe_read_plugins(void *base, const sp_yaml *m, sp_error *err)
{
    sp_recipe *r = base;
    if (m->kind != SP_YAML_MAP && m->kind != SP_YAML_NULL)
        return sp_yaml_fail(m, err, "\"plugins\" must be a map of settings");
    if (m->n == 0)
        return SP_OK;
    r->plugins = sp_alloc_array(m->n, sizeof *r->plugins);
    for (size_t i = 0; r->plugins && i < m->n; i++) {
        if (m->items[i]->kind != SP_YAML_STRING)
            return sp_yaml_fail(m->items[i], err,
                                "\"plugins\" maps an op to the name of a variant, such as gemm: "
                                "gemm_clblast");
        r->plugins[r->n_plugins] = sp_format("%s=%s", m->keys[i], m->items[i]->text);
        if (!r->plugins[r->n_plugins++])
            return SP_FAIL(err, SP_E_MEMORY, "out of memory while reading a recipe");
    }
    return r->plugins ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory while reading a recipe");
}

static const sp_layer *find_td(const sp_layer *layers, size_t n)
{
    const sp_layer *found = NULL;
    for (size_t i = 0; i < n && !found; i++) {
        const sp_layer *l = &layers[i];
        found = l->type == SP_LAYER_TD_BATCH_NORM ? l : find_td(l->pre, l->n_pre);
        found = found ? found : find_td(l->branch, l->n_branch);
        found = found ? found : find_td(l->shortcut, l->n_shortcut);
    }
    return found;
}

/* Here as well as in plan/, because here the place is known. */
static sp_status check_td(const sp_recipe *r, sp_error *err)
{
    const sp_layer *l = find_td(r->network.layers, r->network.n);
    if (!l || (r->method == SP_METHOD_BPTT && (r->truncate == 0 || r->truncate >= r->time_steps)))
        return SP_OK;
    return SP_FAIL(err, SP_E_CONFIG,
                   "%s:%d:%d: layer %s: td_batch_norm needs schedule.method bptt without truncate, not %s: "
                   "its statistics are those of all time steps, and must be known before the neurons behind "
                   "it take their first one; use batch_norm, whose statistics are of one step",
                   r->network.file, l->line, l->column, l->name,
                   r->truncate ? "truncated bptt" : sp_method_name(r->method));
}

/* Whether a layer takes a setting of the recipe's "neuron" section. */
static bool takes(const sp_layer *layers, size_t n, uint64_t bit)
{
    for (size_t i = 0; i < n; i++) {
        const sp_layer *l = &layers[i];
        bool td = l->type == SP_LAYER_TD_BATCH_NORM && bit == sp_neuron_bit("v_th");
        if (((l->type == SP_LAYER_LIF || td) && !(l->neuron.given & bit)) || takes(l->pre, l->n_pre, bit) ||
            takes(l->branch, l->n_branch, bit) || takes(l->shortcut, l->n_shortcut, bit))
            return true;
    }
    return false;
}

/* A layer's own setting goes before the recipe's. */
static sp_status check_neuron_sets(const sp_recipe *r, sp_error *err)
{
    const sp_yaml *m = sp_yaml_get(r->doc.root, "neuron");
    for (size_t i = 0; m && i < m->n; i++)
        if (sp_yaml_from_set(m->items[i]) &&
            !takes(r->network.layers, r->network.n, sp_neuron_bit(m->keys[i])))
            return sp_yaml_fail(m->items[i], err,
                                "\"%s\" would have no effect: every layer of neurons has its own; set that "
                                "of a layer, as network.N.%s with N counted from 0",
                                m->keys[i], m->keys[i]);
    return SP_OK;
}

static sp_status read_network(sp_recipe *r, const sp_yaml *root, sp_error *err)
{
    const sp_yaml *n = sp_yaml_get(root, "network");
    sp_text t = {0};
    if (!n || n->kind == SP_YAML_NULL)
        return sp_yaml_fail(root, err, "a recipe needs \"network\": a file name, or a list of layers");
    SP_TRY(sp_network_read(n, r->doc.file, &r->neuron, &r->network, err));
    SP_TRY(check_td(r, err));
    SP_TRY(check_neuron_sets(r, err));
    sp_network_print(&r->network, 2, &t);
    r->network_text = t.s;
    return t.s && !t.failed ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory while reading a recipe");
}

static sp_status read_all(sp_recipe *r, sp_error *err)
{
    const sp_yaml *root = r->doc.root;
    if (!root || root->kind != SP_YAML_MAP)
        return SP_FAIL(err, SP_E_CONFIG, "%s: a recipe is a map of settings", r->doc.file);
    SP_TRY(sp_fields_read(&spi_recipe_fields, root, r, err));
    follow(r);
    SP_TRY(check_data(r, err));
    SP_TRY(check_schedule(r, err));
    SP_TRY(check_rate(r, err));
    SP_TRY(check_loss(r, err));
    SP_TRY(sp_fields_check_sets(&spi_recipe_fields, root, r, err));
    return read_network(r, root, err);
}

/* Whether "KEY=VALUE" is about a key that is text. */
static bool is_text(const char *set)
{
    char key[64];
    size_t n = strcspn(set, "=");
    snprintf(key, sizeof key, "%.*s", (int)n, set);
    const sp_field *f = n < sizeof key ? sp_fields_find(&spi_recipe_fields, key) : NULL;
    return f && f->kind == SP_FIELD_TEXT;
}

static sp_status finish(sp_recipe *r, const char *const *sets, size_t n_sets, sp_error *err)
{
    sp_status st = spi_recipe_bases(r, err);
    for (size_t i = 0; i < n_sets && st == SP_OK; i++)
        st = sp_yaml_set(&r->doc, sets[i], is_text(sets[i]), err);
    const sp_yaml *base = sp_yaml_get(r->doc.root, "base");
    if (st == SP_OK && base && sp_yaml_from_set(base))
        st = sp_yaml_fail(base, err, "\"base\" cannot be set from outside; name the other recipe instead");
    if (st == SP_OK)
        st = read_all(r, err);
    if (st != SP_OK)
        sp_recipe_free(r);
    return st;
}

/* A file; else an installed recipe by its path below recipes/, with or without ".yaml". */
static sp_status find_recipe(const char *path, char **out, sp_error *err)
{
    char *own = sp_path_exists(path) || *path == '/' ? NULL : sp_own_data("recipes");
    bool named = own && sp_path_is_folder(own) && !strpbrk(path, "./");
    *out = own ? sp_format("%s/%s", own, path) : NULL;
    if (*out && !sp_path_exists(*out)) {
        sp_free(*out);
        *out = sp_format("%s/%s.yaml", own, path);
    }
    bool found = *out && sp_path_exists(*out) && !sp_path_is_folder(*out);
    sp_free(own);
    if (found)
        return SP_OK;
    sp_free(*out);
    *out = NULL;
    if (named) /* the error lists the names that there are */
        return sp_own_file("recipes", "recipe", path, out, err);
    *out = sp_strdup(path);
    return *out ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory for a recipe");
}

static bool has_key(const char *const *sets, size_t n, const char *key)
{
    const size_t length = strlen(key);
    for (size_t i = 0; i < n; i++)
        if (strncmp(sets[i], key, length) == 0 && sets[i][length] == '=')
            return true;
    return false;
}

/* Whether a document is a network: a list of layers, or a map that has them or names another file. */
static bool is_network(const sp_yaml *root)
{
    return root &&
           (root->kind == SP_YAML_LIST || (root->kind == SP_YAML_MAP && !sp_yaml_get(root, "network") &&
                                           (sp_yaml_get(root, "layers") || sp_yaml_get(root, "file"))));
}

/* A recipe of a network file alone: --set gives the rest. */
static sp_status take_network(const char *file, sp_yaml_doc *doc, sp_error *err)
{
    const char *slash = strrchr(file, '/');
    sp_text text = {0};
    sp_yaml_free(doc);
    sp_text_add(&text, "network: ");
    sp_yaml_quote(&text, slash ? slash + 1 : file);
    sp_status st = text.failed ? SP_FAIL(err, SP_E_MEMORY, "out of memory for a recipe")
                               : sp_yaml_parse(file, text.s, text.n, doc, err);
    sp_text_free(&text);
    return st;
}

bool sp_recipe_is_network(const char *path)
{
    char *file = NULL;
    sp_yaml_doc doc = {0};
    sp_error err;
    bool is = find_recipe(path, &file, &err) == SP_OK && sp_yaml_load(file, &doc, &err) == SP_OK &&
              is_network(doc.root);
    sp_yaml_free(&doc);
    sp_free(file);
    return is;
}

sp_status sp_recipe_load(const char *path, const char *const *sets, size_t n_sets, sp_recipe *out,
                         sp_error *err)
{
    char *file;
    set_defaults(out);
    SP_TRY(find_recipe(path, &file, err));
    sp_status st = sp_yaml_load(file, &out->doc, err);
    const bool network = st == SP_OK && is_network(out->doc.root);
    if (network)
        st = take_network(file, &out->doc, err);
    if (st == SP_OK)
        st = finish(out, sets, n_sets, err);
    if (network && st == SP_E_CONFIG && !has_key(sets, n_sets, "data.name"))
        st = sp_error_prefix(err, st,
                             "%s is a network alone; say what data it is for, as --set data.name=NAME, and "
                             "the time steps, as --set schedule.time_steps=T: ",
                             file);
    sp_free(file);
    return st;
}

sp_status sp_recipe_parse(const char *name, const char *text, size_t n, const char *const *sets,
                          size_t n_sets, sp_recipe *out, sp_error *err)
{
    set_defaults(out);
    SP_TRY(sp_yaml_parse(name, text, n, &out->doc, err));
    return finish(out, sets, n_sets, err);
}

void sp_recipe_free(sp_recipe *r)
{
    for (size_t i = 0; i < r->n_plugins; i++)
        sp_free(r->plugins[i]);
    sp_free(r->plugins);
    sp_free(r->class_weights);
    sp_free(r->network_text);
    sp_network_free(&r->network);
    sp_yaml_free(&r->doc);
    for (size_t i = 0; i < r->n_bases; i++)
        sp_yaml_free(&r->bases[i]);
    memset(r, 0, sizeof *r);
}

void spi_recipe_print_plugins(const void *base, sp_text *t)
{
    const sp_recipe *r = base;
    sp_text_add(t, "{");
    for (size_t i = 0; i < r->n_plugins; i++) {
        const char *eq = strchr(r->plugins[i], '=');
        sp_text_add(t, "%s\"%.*s\": ", i ? ", " : "", (int)(eq - r->plugins[i]), r->plugins[i]);
        sp_yaml_quote(t, eq + 1);
    }
    sp_text_add(t, "}");
}

void sp_recipe_print(const sp_recipe *r, sp_text *t)
{
    sp_fields_print(&spi_recipe_fields, r, 0, t);
    sp_text_add(t, "network:\n%s", r->network_text ? r->network_text : "");
}
