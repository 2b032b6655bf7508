/* Recipe files: reading with checks, defaults, and writing out again. */
#include "train/recipe.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "train/recipe_base.h"
#include "train/recipe_data.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define CHECK_KEYS(map, what, ...)                                                                           \
    do {                                                                                                     \
        static const char *const known_[] = {__VA_ARGS__};                                                   \
        SP_TRY(sp_yaml_check_keys((map), known_, COUNT(known_), (what), err));                               \
    } while (0)

static const char *const methods[] = {"sltt", "sltt-k", "bptt", "ottt"};
static const char *const lr_schedules[] = {"constant", "cosine", "step"};
static const char *const lr_per[] = {"epoch", "batch"};
static const char *const precisions[] = {"float", "half"};
static const char *const optimizers[] = {"sgd", "adamw"};
static const int64_t most = 1000000000;

static void set_defaults(sp_recipe *r)
{
    r->name = "unnamed";
    r->data.std = 1;
    r->data.channels = 1, r->data.height = 16, r->data.width = 16, r->data.count = 2000;
    r->neuron = sp_neuron_default();
    r->method = SP_METHOD_SLTT;
    r->time_steps = 4, r->backprop_steps = 1;
    r->spike_share = 0.5, r->min_steps = 1;
    r->mse_one_hot = true;
    r->lr = 0.1, r->momentum = 0.9, r->beta1 = 0.9, r->beta2 = 0.999, r->eps = 1e-8;
    r->lr_schedule = SP_LR_COSINE;
    r->lr_step = 30, r->lr_gamma = 0.1;
    r->batch = 128, r->epochs = 1, r->seed = 2022;
    r->log_every = 50;
}

/* Absent or null: NULL. Else it must be a map. */
static sp_status section(const sp_yaml *root, const char *key, const sp_yaml **out, sp_error *err)
{
    *out = sp_yaml_get(root, key);
    if (*out && (*out)->kind == SP_YAML_NULL)
        *out = NULL;
    if (*out && (*out)->kind != SP_YAML_MAP)
        return sp_yaml_fail(*out, err, "\"%s\" must be a map of settings", key);
    return SP_OK;
}

static sp_status read_data(sp_recipe *r, const sp_yaml *root, sp_error *err)
{
    const sp_yaml *m;
    SP_TRY(section(root, "data", &m, err));
    if (!m)
        return sp_yaml_fail(root, err,
                            "a recipe needs \"data\" with a \"name\", such as data: {name: fashion-mnist}");
    return spi_recipe_read_data(r, m, err);
}

/* backprop_steps: a number, or "adaptive" with spike_share, min_steps, max_steps. */
static sp_status read_backprop_steps(sp_recipe *r, const sp_yaml *m, sp_error *err)
{
    static const char *const about[] = {"spike_share", "min_steps", "max_steps"};
    const sp_yaml *k = sp_yaml_get(m, "backprop_steps");
    r->adaptive = k && k->kind == SP_YAML_STRING && strcmp(k->text, "adaptive") == 0;
    for (size_t i = 0; i < COUNT(about) && !r->adaptive; i++)
        if (sp_yaml_get(m, about[i]))
            return sp_yaml_fail(sp_yaml_get(m, about[i]), err, "\"%s\" is about backprop_steps: adaptive",
                                about[i]);
    if (!r->adaptive && k && k->kind == SP_YAML_STRING)
        return sp_yaml_fail(k, err, "\"backprop_steps\" must be a number of time steps, or adaptive");
    if (!r->adaptive)
        return sp_yaml_read_int(m, "backprop_steps", 1, 4096, &r->backprop_steps, err);
    r->max_steps = r->time_steps;
    SP_TRY(sp_yaml_read_float(m, "spike_share", 0, 1, &r->spike_share, err));
    SP_TRY(sp_yaml_read_int(m, "min_steps", 1, r->time_steps, &r->min_steps, err));
    SP_TRY(sp_yaml_read_int(m, "max_steps", 1, r->time_steps, &r->max_steps, err));
    if (r->min_steps > r->max_steps)
        return sp_yaml_fail(sp_yaml_get(m, "min_steps"), err,
                            "\"min_steps\" is %lld, but \"max_steps\" is %lld", (long long)r->min_steps,
                            (long long)r->max_steps);
    return SP_OK;
}

/* true, false, or the share of memory that is to be saved. */
static sp_status read_recompute(sp_recipe *r, const sp_yaml *m, sp_error *err)
{
    const sp_yaml *v = sp_yaml_get(m, "recompute");
    bool all = false;
    if (v && (v->kind == SP_YAML_INT || v->kind == SP_YAML_FLOAT))
        return sp_yaml_read_float(m, "recompute", 0, 1, &r->recompute, err);
    if (v && v->kind != SP_YAML_BOOL)
        return sp_yaml_fail(v, err, "\"recompute\" must be true, false or a share from 0 to 1");
    SP_TRY(sp_yaml_read_bool(m, "recompute", &all, err));
    r->recompute = all ? 1 : 0;
    return SP_OK;
}

static sp_status read_schedule(sp_recipe *r, const sp_yaml *root, sp_error *err)
{
    const sp_yaml *m;
    int method = SP_METHOD_SLTT;
    SP_TRY(section(root, "schedule", &m, err));
    if (!m)
        return SP_OK;
    CHECK_KEYS(m, "schedule", "method", "time_steps", "backprop_steps", "online_update", "truncate",
               "recompute", "spike_share", "min_steps", "max_steps");
    SP_TRY(sp_yaml_read_choice(m, "method", methods, COUNT(methods), &method, err));
    SP_TRY(sp_yaml_read_int(m, "time_steps", 1, 4096, &r->time_steps, err));
    SP_TRY(read_backprop_steps(r, m, err));
    SP_TRY(sp_yaml_read_bool(m, "online_update", &r->online_update, err));
    SP_TRY(sp_yaml_read_int(m, "truncate", 0, 4096, &r->truncate, err));
    SP_TRY(read_recompute(r, m, err));
    r->method = (sp_method)method;
    if (r->online_update && r->method != SP_METHOD_SLTT && r->method != SP_METHOD_OTTT)
        return sp_yaml_fail(sp_yaml_get(m, "online_update"), err,
                            "\"online_update\" needs method sltt or ottt, not %s: there "
                            "has to be a gradient at every time step",
                            methods[method]);
    if (r->recompute > 0 && r->method != SP_METHOD_BPTT)
        return sp_yaml_fail(sp_yaml_get(m, "recompute"), err,
                            "\"recompute\" is about bptt; %s keeps one time step only", methods[r->method]);
    if (r->truncate && r->method != SP_METHOD_BPTT)
        return sp_yaml_fail(sp_yaml_get(m, "truncate"), err,
                            "\"truncate\" is about bptt; %s has no gradient through time", methods[method]);
    if (r->method == SP_METHOD_SLTT_K && !r->adaptive && r->backprop_steps > r->time_steps)
        return sp_yaml_fail(m, err, "\"backprop_steps\" is %lld, but there are only %lld time steps",
                            (long long)r->backprop_steps, (long long)r->time_steps);
    return SP_OK;
}

static sp_status read_precision(sp_recipe *r, const sp_yaml *root, sp_error *err)
{
    const sp_yaml *m;
    int half = 0;
    SP_TRY(section(root, "precision", &m, err));
    if (!m)
        return SP_OK;
    CHECK_KEYS(m, "precision", "activations");
    SP_TRY(sp_yaml_read_choice(m, "activations", precisions, COUNT(precisions), &half, err));
    r->half = half == 1;
    return SP_OK;
}

static sp_status read_loss(sp_recipe *r, const sp_yaml *root, sp_error *err)
{
    const sp_yaml *m, *target;
    SP_TRY(section(root, "loss", &m, err));
    if (!m)
        return SP_OK;
    CHECK_KEYS(m, "loss", "mse", "mse_target");
    SP_TRY(sp_yaml_read_float(m, "mse", 0, 1, &r->w_mse, err));
    target = sp_yaml_get(m, "mse_target");
    if (!target || (target->kind == SP_YAML_STRING && strcmp(target->text, "one_hot") == 0))
        return SP_OK;
    if (target->kind != SP_YAML_INT && target->kind != SP_YAML_FLOAT)
        return sp_yaml_fail(target, err,
                            "\"mse_target\" must be one_hot or a number, the target of every class");
    r->mse_one_hot = false;
    r->mse_target = target->number;
    return SP_OK;
}

static sp_status read_optimizer(sp_recipe *r, const sp_yaml *root, sp_error *err)
{
    const sp_yaml *m;
    int kind = 0;
    SP_TRY(section(root, "optimizer", &m, err));
    if (!m)
        return SP_OK;
    CHECK_KEYS(m, "optimizer", "name", "lr", "momentum", "weight_decay", "beta1", "beta2", "eps");
    SP_TRY(sp_yaml_read_choice(m, "name", optimizers, COUNT(optimizers), &kind, err));
    r->adamw = kind == 1;
    r->lr = r->adamw ? 0.001 : 0.1;
    SP_TRY(sp_yaml_read_float(m, "lr", 0, 1e6, &r->lr, err));
    SP_TRY(sp_yaml_read_float(m, "momentum", 0, 1, &r->momentum, err));
    SP_TRY(sp_yaml_read_float(m, "weight_decay", 0, 1e3, &r->weight_decay, err));
    SP_TRY(sp_yaml_read_float(m, "beta1", 0, 0.9999999, &r->beta1, err));
    SP_TRY(sp_yaml_read_float(m, "beta2", 0, 0.9999999, &r->beta2, err));
    return sp_yaml_read_float(m, "eps", 1e-30, 1, &r->eps, err);
}

static sp_status read_lr_schedule(sp_recipe *r, const sp_yaml *root, sp_error *err)
{
    const sp_yaml *m;
    SP_TRY(section(root, "lr_schedule", &m, err));
    if (!m)
        return SP_OK;
    CHECK_KEYS(m, "lr_schedule", "name", "epochs", "every", "gamma", "min", "per");
    int per = 0;
    SP_TRY(sp_yaml_read_choice(m, "name", lr_schedules, COUNT(lr_schedules), &r->lr_schedule, err));
    SP_TRY(sp_yaml_read_int(m, "epochs", 1, 1000000, &r->lr_period, err));
    SP_TRY(sp_yaml_read_int(m, "every", 1, 1000000, &r->lr_step, err));
    SP_TRY(sp_yaml_read_float(m, "gamma", 0, 1, &r->lr_gamma, err));
    SP_TRY(sp_yaml_read_choice(m, "per", lr_per, COUNT(lr_per), &per, err));
    r->lr_per_batch = per == 1;
    return sp_yaml_read_float(m, "min", 0, 1e6, &r->lr_min, err);
}

static sp_status read_plugins(sp_recipe *r, const sp_yaml *root, sp_error *err)
{
    const sp_yaml *m;
    SP_TRY(section(root, "plugins", &m, err));
    if (!m || m->n == 0)
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
static sp_status check_td(const sp_recipe *r, const char *file, sp_error *err)
{
    const sp_layer *l = find_td(r->network.layers, r->network.n);
    if (!l || (r->method == SP_METHOD_BPTT && (r->truncate == 0 || r->truncate >= r->time_steps)))
        return SP_OK;
    return SP_FAIL(err, SP_E_CONFIG,
                   "%s:%d:%d: layer %s: td_batch_norm needs schedule.method bptt without truncate, not %s: "
                   "its "
                   "statistics are those of all time steps, and must be known before the neurons behind it "
                   "take their first one; "
                   "use batch_norm, whose statistics are of one step",
                   file, l->line, l->column, l->name,
                   r->truncate ? "truncated bptt" : sp_method_name(r->method));
}

static sp_status read_network(sp_recipe *r, const sp_yaml *root, sp_error *err)
{
    const sp_yaml *n = sp_yaml_get(root, "network"), *layers = n;
    if (!n || n->kind == SP_YAML_NULL)
        return sp_yaml_fail(root, err, "a recipe needs \"network\": a file name, or a list of layers");
    r->network_file = sp_strdup(r->doc.file);
    if (n->kind == SP_YAML_STRING) {
        sp_free(r->network_file);
        r->network_file = spi_recipe_beside(r, n);
        if (!r->network_file)
            return SP_FAIL(err, SP_E_MEMORY, "out of memory while reading a recipe");
        sp_status st = sp_yaml_load(r->network_file, &r->network_doc, err);
        if (st != SP_OK)
            return sp_error_prefix(err, st, "%s:%d:%d: network: ", r->doc.file, n->line, n->column);
        layers = r->network_doc.root;
    }
    if (layers && layers->kind == SP_YAML_MAP) {
        CHECK_KEYS(layers, "network", "layers", "name", "about");
        layers = sp_yaml_get(layers, "layers");
    }
    if (!layers || layers->kind != SP_YAML_LIST)
        return sp_yaml_fail(n, err, "\"network\" must be a file with \"layers\", or a list of layers");
    SP_TRY(sp_network_parse(layers, &r->neuron, &r->network, err));
    SP_TRY(check_td(r, layers->file, err));
    sp_text t = {0};
    sp_network_print(&r->network, 2, &t);
    r->network_text = t.s;
    return t.s && !t.failed ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory while reading a recipe");
}

static sp_status read_all(sp_recipe *r, sp_error *err)
{
    const sp_yaml *root = r->doc.root, *neuron;
    if (!root || root->kind != SP_YAML_MAP)
        return SP_FAIL(err, SP_E_CONFIG, "%s: a recipe is a map of settings", r->doc.file);
    CHECK_KEYS(root, "the recipe", "name", "about", "data", "network", "neuron", "schedule", "precision",
               "loss", "optimizer", "lr_schedule", "batch", "eval_batch", "epochs", "seed",
               "checkpoint_every", "log_every", "plugins", "plugins_path", "base", "init_from", "monitor");
    SP_TRY(sp_yaml_read_string(root, "name", &r->name, err));
    SP_TRY(read_data(r, root, err));
    SP_TRY(section(root, "neuron", &neuron, err));
    if (neuron)
        SP_TRY(sp_neuron_read(neuron, &r->neuron, err));
    SP_TRY(read_schedule(r, root, err));
    SP_TRY(read_precision(r, root, err));
    SP_TRY(spi_recipe_read_monitor(r, root, err));
    SP_TRY(read_loss(r, root, err));
    SP_TRY(read_optimizer(r, root, err));
    SP_TRY(sp_yaml_read_int(root, "batch", 1, 1 << 20, &r->batch, err));
    r->eval_batch = r->batch;
    SP_TRY(sp_yaml_read_int(root, "eval_batch", 1, 1 << 20, &r->eval_batch, err));
    SP_TRY(sp_yaml_read_int(root, "epochs", 1, 1000000, &r->epochs, err));
    SP_TRY(sp_yaml_read_int(root, "seed", 0, 0x7fffffff, &r->seed, err));
    SP_TRY(sp_yaml_read_int(root, "checkpoint_every", 0, most, &r->checkpoint_every, err));
    SP_TRY(sp_yaml_read_int(root, "log_every", 1, most, &r->log_every, err));
    r->lr_period = r->epochs;
    SP_TRY(read_lr_schedule(r, root, err));
    SP_TRY(sp_yaml_read_string(root, "init_from", &r->init_from, err));
    SP_TRY(sp_yaml_read_string(root, "plugins_path", &r->plugins_path, err));
    SP_TRY(read_plugins(r, root, err));
    return read_network(r, root, err);
}

static sp_status finish(sp_recipe *r, const char *const *sets, size_t n_sets, sp_error *err)
{
    sp_status st = spi_recipe_bases(r, err);
    for (size_t i = 0; i < n_sets && st == SP_OK; i++)
        st = sp_yaml_set(&r->doc, sets[i], err);
    const sp_yaml *base = sp_yaml_get(r->doc.root, "base");
    if (st == SP_OK && base && strcmp(base->file, "--set") == 0)
        st = sp_yaml_fail(base, err, "\"base\" cannot be set from outside; name the other recipe instead");
    if (st == SP_OK)
        st = read_all(r, err);
    if (st != SP_OK)
        sp_recipe_free(r);
    return st;
}

sp_status sp_recipe_load(const char *path, const char *const *sets, size_t n_sets, sp_recipe *out,
                         sp_error *err)
{
    memset(out, 0, sizeof *out);
    set_defaults(out);
    SP_TRY(sp_yaml_load(path, &out->doc, err));
    return finish(out, sets, n_sets, err);
}

sp_status sp_recipe_parse(const char *name, const char *text, size_t n, const char *const *sets,
                          size_t n_sets, sp_recipe *out, sp_error *err)
{
    memset(out, 0, sizeof *out);
    set_defaults(out);
    SP_TRY(sp_yaml_parse(name, text, n, &out->doc, err));
    return finish(out, sets, n_sets, err);
}

void sp_recipe_free(sp_recipe *r)
{
    for (size_t i = 0; i < r->n_plugins; i++)
        sp_free(r->plugins[i]);
    sp_free(r->plugins);
    sp_free(r->network_text);
    sp_free(r->network_file);
    sp_network_free(&r->network);
    sp_yaml_free(&r->doc);
    for (size_t i = 0; i < r->n_bases; i++)
        sp_yaml_free(&r->bases[i]);
    sp_yaml_free(&r->network_doc);
    memset(r, 0, sizeof *r);
}

/* A string as a double-quoted YAML scalar. */
static void add_quoted(sp_text *t, const char *s)
{
    sp_text_add(t, "\"");
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            sp_text_add(t, "\\%c", *s);
        else if ((unsigned char)*s < 0x20)
            sp_text_add(t, "\\x%02x", (unsigned)(unsigned char)*s);
        else
            sp_text_add(t, "%c", *s);
    }
    sp_text_add(t, "\"");
}

static void print_neuron(const sp_neuron *n, sp_text *t)
{
    sp_text_add(t, "neuron:\n  model: %s\n  tau: %.17g\n  v_th: %.17g\n  v_reset: %.17g\n  reset: %s\n",
                n->model, n->tau, n->v_th, n->v_reset, n->hard_reset ? "hard" : "soft");
    sp_text_add(t, "  detach_reset: %s\n  decay_input: %s\n  surrogate: %s\n",
                n->detach_reset ? "true" : "false", n->decay_input ? "true" : "false", n->surrogate);
    if (isnan(n->width))
        sp_text_add(t, "  width: null\n");
    else
        sp_text_add(t, "  width: %.17g\n", n->width);
    sp_neuron_print_extra(n, "  ", "\n", t);
}

static void print_data(const sp_recipe *r, sp_text *t)
{
    sp_text_add(t, "data:\n  name: ");
    add_quoted(t, r->data.name);
    if (r->data.path) {
        sp_text_add(t, "\n  path: ");
        add_quoted(t, r->data.path);
    }
    sp_text_add(t, "\n");
    spi_recipe_print_data(r, t);
}

void sp_recipe_print(const sp_recipe *r, sp_text *t)
{
    sp_text_add(t, "name: ");
    add_quoted(t, r->name);
    sp_text_add(t, "\n");
    print_data(r, t);
    print_neuron(&r->neuron, t);
    sp_text_add(t, "schedule:\n  method: %s\n  time_steps: %lld\n", sp_method_name(r->method),
                (long long)r->time_steps);
    if (r->method == SP_METHOD_SLTT_K && r->adaptive)
        sp_text_add(t,
                    "  backprop_steps: adaptive\n  spike_share: %.17g\n  min_steps: %lld\n  max_steps: "
                    "%lld\n",
                    r->spike_share, (long long)r->min_steps, (long long)r->max_steps);
    else if (r->method == SP_METHOD_SLTT_K)
        sp_text_add(t, "  backprop_steps: %lld\n", (long long)r->backprop_steps);
    if (r->online_update)
        sp_text_add(t, "  online_update: true\n");
    if (r->recompute >= 1)
        sp_text_add(t, "  recompute: true\n");
    else if (r->recompute > 0)
        sp_text_add(t, "  recompute: %.17g\n", r->recompute);
    if (r->truncate)
        sp_text_add(t, "  truncate: %lld\n", (long long)r->truncate);
    if (r->half)
        sp_text_add(t, "precision:\n  activations: half\n");
    sp_text_add(t, "loss:\n  mse: %.17g\n", r->w_mse);
    if (r->mse_one_hot)
        sp_text_add(t, "  mse_target: one_hot\n");
    else
        sp_text_add(t, "  mse_target: %.17g\n", r->mse_target);
    sp_text_add(t, "optimizer:\n  name: %s\n  lr: %.17g\n  momentum: %.17g\n  weight_decay: %.17g\n",
                optimizers[r->adamw], r->lr, r->momentum, r->weight_decay);
    sp_text_add(t, "  beta1: %.17g\n  beta2: %.17g\n  eps: %.17g\n", r->beta1, r->beta2, r->eps);
    sp_text_add(t,
                "lr_schedule:\n  name: %s\n  epochs: %lld\n  every: %lld\n  gamma: %.17g\n  min: %.17g\n  "
                "per: %s\n",
                lr_schedules[r->lr_schedule], (long long)r->lr_period, (long long)r->lr_step, r->lr_gamma,
                r->lr_min, lr_per[r->lr_per_batch]);
    sp_text_add(t,
                "batch: %lld\neval_batch: %lld\nepochs: %lld\nseed: %lld\ncheckpoint_every: %lld\nlog_every: "
                "%lld\n",
                (long long)r->batch, (long long)r->eval_batch, (long long)r->epochs, (long long)r->seed,
                (long long)r->checkpoint_every, (long long)r->log_every);
    spi_recipe_print_monitor(r, t);
    if (r->init_from) {
        sp_text_add(t, "init_from: ");
        add_quoted(t, r->init_from);
        sp_text_add(t, "\n");
    }
    if (r->plugins_path) {
        sp_text_add(t, "plugins_path: ");
        add_quoted(t, r->plugins_path);
        sp_text_add(t, "\n");
    }
    if (r->n_plugins)
        sp_text_add(t, "plugins:\n");
    for (size_t i = 0; i < r->n_plugins; i++) {
        const char *eq = strchr(r->plugins[i], '=');
        sp_text_add(t, "  \"%.*s\": ", (int)(eq - r->plugins[i]),
                    r->plugins[i]); /* quoted: "*" alone is YAML's alias */
        add_quoted(t, eq + 1);
        sp_text_add(t, "\n");
    }
    sp_text_add(t, "network:\n%s", r->network_text ? r->network_text : "");
}

double sp_recipe_lr(const sp_recipe *r, int64_t epoch, int64_t batch, int64_t batches)
{
    const double pi = 3.14159265358979323846;
    double at = (double)epoch + (r->lr_per_batch && batches > 0 ? (double)batch / (double)batches : 0.0);
    switch (r->lr_schedule) {
    case SP_LR_COSINE:
        return r->lr_min + (r->lr - r->lr_min) * 0.5 * (1.0 + cos(pi * at / (double)r->lr_period));
    case SP_LR_STEP: return r->lr * pow(r->lr_gamma, (double)(epoch / r->lr_step));
    default: return r->lr;
    }
}
