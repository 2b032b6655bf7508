/* What plan, train, eval and verify have in common. */
#include "cli/session_options.h"

#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "data/array.h"
#include "data/image.h"
#include "data/inputs.h"

sp_session_options sp_cli_session_options(const sp_cli_session *s)
{
    return (sp_session_options){.device = s->device,
                                .device_options = {.profiling = s->profile,
                                                   .sync_debug = s->sync,
                                                   .binaries_only = s->programs != NULL},
                                .programs = s->programs,
                                .plugins_path = s->plugins,
                                .force = s->force.items,
                                .n_force = s->force.n,
                                .sharded = true,
                                .helper = true,
                                .no_wisdom = s->no_wisdom};
}

bool sp_cli_is_type(const char *as)
{
    bool known = !as;
    for (int t = SP_DEVICE_CPU; !known && t <= SP_DEVICE_ACCELERATOR; t++)
        known = strcmp(as, sp_device_type_name((sp_device_type)t)) == 0;
    return known;
}

static sp_status check_shapes(const sp_dataset_info *a, const sp_dataset_info *b, sp_error *err)
{
    if (sp_dataset_same_shape(a, b))
        return SP_OK;
    return SP_FAIL(err, SP_E_DATA,
                   "data set \"%s\": training samples are %dx%dx%dx%d and test samples %dx%dx%dx%d (frames x "
                   "channels x height x width); one network takes one shape, so take files that belong "
                   "together",
                   a->name, a->frames, a->channels, a->height, a->width, b->frames, b->channels, b->height,
                   b->width);
}

sp_status sp_cli_session_open(sp_recipe *r, const sp_session_options *so, sp_session **s, sp_dataset **train,
                              sp_dataset **test, sp_error *err)
{
    sp_status st = sp_session_dataset(r, true, train, err);
    if (st == SP_OK && test)
        st = sp_session_dataset(r, false, test, err);
    if (st == SP_OK && test)
        st = check_shapes(&(*train)->info, &(*test)->info, err);
    sp_session_options o = *so;
    o.eval_samples = st == SP_OK && test ? (*test)->info.count : 0;
    if (st == SP_OK)
        return sp_session_open(r, &(*train)->info, &o, s, err);
    sp_recipe_free(r);
    return st;
}

/* The shape of a recipe's samples, from the data set's files or, where they are missing or no_data, from what
 * is known of the set; that is said on stderr where the recipe names files. */
static sp_status shape_of(const sp_recipe *r, bool no_data, sp_dataset_info *out, sp_error *err)
{
    sp_dataset *ds = NULL;
    sp_dataset_info known = {.count = 0};
    bool is_known = sp_session_known_shape(r, &known);
    if (no_data && is_known) {
        *out = known;
        return SP_OK;
    }
    sp_status st = sp_session_dataset(r, true, &ds, err);
    if (st == SP_OK)
        *out = ds->info;
    sp_dataset_close(&ds);
    const bool pathless = st == SP_E_CONFIG && !r->data.path; /* files are not what is asked for */
    if ((st != SP_E_DATA && !pathless) || !is_known)
        return st;
    if (pathless) {
        *err = (sp_error){.status = SP_OK};
        *out = known;
        return SP_OK;
    }
    sp_log(SP_LOG_WARNING,
           "%s\ngoing on without the files, with what is known of the set: %dx%dx%d (channels x height x "
           "width)",
           err->text, known.channels, known.height, known.width);
    *err = (sp_error){.status = SP_OK};
    *out = known;
    return SP_OK;
}

sp_status sp_cli_shape_open(sp_recipe *r, bool no_data, const sp_session_options *so, sp_session **s,
                            sp_error *err)
{
    sp_dataset_info info = {.count = 0};
    sp_status st = shape_of(r, no_data, &info, err);
    if (st == SP_OK)
        return sp_session_open(r, &info, so, s, err);
    sp_recipe_free(r);
    return st;
}

sp_status sp_cli_device_names(const char *option, const char *list, char **text, const char **names,
                              size_t *n, sp_error *err)
{
    char *at = *text = sp_strdup(list);
    *n = 0;
    while (at) {
        char *comma = strchr(at, ',');
        if (*at == ',' || *at == '\0')
            return SP_FAIL(err, SP_E_USAGE, "%s \"%s\": name %zu of the list is empty", option, list, *n + 1);
        if (*n == SP_CLI_MAX_DEVICES)
            return SP_FAIL(err, SP_E_USAGE, "%s \"%s\": more than %d devices", option, list,
                           SP_CLI_MAX_DEVICES);
        names[(*n)++] = at;
        if (comma)
            *comma++ = '\0';
        at = comma;
    }
    return *text ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory for the list of devices");
}

void sp_cli_say_device(const sp_device *dev, const sp_registry *reg)
{
    sp_cli_say("device: %s (%s, driver %s): %s\n", dev->info.name, dev->info.platform, dev->info.driver,
               dev->why);
    for (size_t i = 0; i < reg->n_refusals; i++)
        sp_log(SP_LOG_WARNING, "plugin file %s refused: %s", reg->refusals[i].path, reg->refusals[i].reason);
    sp_registry_say_forced(reg);
}

static bool has_forced(const sp_plan *p, size_t i)
{
    for (int g = 0; p && g < p->n_segments; g++)
        for (int k = 0; k < p->segments[g].n; k++)
            if (sp_step_is_forced(p->reg, i, &p->segments[g].steps[k]))
                return true;
    return false;
}

void sp_cli_say_session(const sp_session *s)
{
    sp_cli_say_device(s->dev, s->reg);
    for (size_t i = 0; s->train && i < s->reg->n_forced; i++) {
        const struct sp_forced *f = &s->reg->forced[i];
        if (strcmp(f->op, "*") != 0 && !has_forced(s->train, i) && !has_forced(s->eval, i))
            sp_log(SP_LOG_WARNING, "forced kernel %s=%s is not used: no step of this network asks for it",
                   f->op, f->variant);
    }
}

void sp_cli_say_programs(const sp_device *dev, const sp_registry *reg)
{
    if (reg->package)
        sp_cli_say("programs: %llu from binaries, %llu from source\n", (unsigned long long)dev->n_binaries,
                   (unsigned long long)dev->n_builds);
}

/* Whether the key of "KEY=VALUE" is this one or lies below it. */
static bool is_below(const char *set, const char *key)
{
    size_t n = strlen(key);
    return strncmp(set, key, n) == 0 && (n == 0 || set[n] == '.' || set[n] == '=');
}

/* Whether the key has this one below it. */
static bool is_above(const char *set, const char *key)
{
    size_t n = strcspn(set, "=");
    return strncmp(set, key, n) == 0 && key[n] == '.';
}

sp_status sp_cli_check_sets(const char *command, const sp_arg_list *sets, const char *const *keys,
                            sp_error *err)
{
    for (size_t i = 0; i < sets->n; i++) {
        const char *set = sets->items[i];
        bool used = false;
        for (size_t k = 0; keys[k]; k++)
            used = *keys[k] == '!' ? used && !is_below(set, keys[k] + 1)
                                   : used || is_below(set, keys[k]) || is_above(set, keys[k]);
        if (!used)
            return SP_FAIL(err, SP_E_CONFIG,
                           "--set %.*s would have no effect on `spikeport %s`; leave it out",
                           (int)strcspn(set, "="), set, command);
    }
    return SP_OK;
}

#define OF_A_NETWORK                                                                                         \
    "network", "neuron", "!neuron.surrogate", "!neuron.width", "!neuron.detach_reset",                       \
        "schedule.time_steps", "batch", "eval_batch", "precision", "plugins", "plugins_path",                \
        "optimizer.ema"

/* What a trained network is run with; training has its own keys. Predictions take the network's shape from
 * the checkpoint, and only photos are resized. */
static sp_status check_trained_sets(const sp_cli_session *o, const sp_recipe *r, bool data, sp_error *err)
{
    static const char *const network[] = {OF_A_NETWORK, NULL}, *const test[] = {OF_A_NETWORK,
                                                                                "data",
                                                                                "!data.train_limit",
                                                                                "!data.augment",
                                                                                "!data.sampling",
                                                                                "seed",
                                                                                "loss",
                                                                                NULL},
                             *const predict[] = {OF_A_NETWORK,  "seed",           "data.mean",
                                                 "data.std",    "data.events",    "data.encode",
                                                 "data.arrays", "data.transpose", "data.frames",
                                                 NULL},
                             *const shape[] = {OF_A_NETWORK,
                                               "data",
                                               "!data.train_limit",
                                               "!data.test_limit",
                                               "!data.augment",
                                               "!data.sampling",
                                               "seed",
                                               NULL},
                             *const photos[] = {OF_A_NETWORK,  "seed",        "data.mean", "data.std",
                                                "data.resize", "data.encode", NULL};
    bool is_photos = strcmp(r->data.name, "images") == 0;
    return sp_cli_check_sets(o->command, &o->sets,
                             data              ? test
                             : o->weights.file ? shape
                             : !o->predicts    ? network
                             : is_photos       ? photos
                                               : predict,
                             err);
}

static bool is_recipe(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0);
}

/* The data set that a network alone is for, from the name of a file that it is to predict; NULL: it cannot be
 * known. */
static const char *set_of_file(const char *path)
{
    return sp_path_has_arrays(path)           ? "data.name=arrays"
           : sp_name_is_image(-1, path, NULL) ? "data.name=images"
                                              : NULL;
}

static bool is_set(const sp_cli_session *o, const char *key)
{
    const size_t n = strlen(key);
    for (size_t i = 0; i < o->sets.n; i++)
        if (strncmp(o->sets.items[i], key, n) == 0 && o->sets.items[i][n] == '=')
            return true;
    return false;
}

static sp_status load_recipe(const char *path, const sp_cli_session *o, sp_recipe *r, sp_error *err)
{
    const char *sets[SP_ARGS_MAX + 1], *data = o->input ? set_of_file(o->input) : NULL;
    size_t n = o->sets.n;
    memcpy(sets, o->sets.items, n * sizeof *sets);
    if (data && !is_set(o, "data.name") && sp_recipe_is_network(path)) {
        sp_log(SP_LOG_INFO, "%s is a network alone: --set %s is taken for %s", path, data, o->input);
        sets[n++] = data;
    }
    return sp_recipe_load(path, sets, n, r, err);
}

/* What samples are, from the first file to predict: for sets of arrays without a path. A linear layer takes
 * vectors, so three dimensions are then samples, time steps and numbers. */
static sp_status shape_of_input(const sp_cli_session *o, sp_recipe *r, sp_dataset_info *out, sp_error *err)
{
    sp_dataset_options d = sp_session_dataset_options(r, false);
    const bool vectors = r->network.n > 0 && r->network.layers[0].type == SP_LAYER_LINEAR;
    SP_TRY(sp_inputs_shape(&d, o->input, out, err));
    if (vectors && !r->data.arrays.axes && !out->frames && out->height * out->width > 1) {
        d.arrays.axes = r->data.arrays.axes = SP_AXES_NTC;
        SP_TRY(sp_inputs_shape(&d, o->input, out, err));
    }
    out->classes = 0; /* those of the network */
    if (out->frames && !is_set(o, "schedule.time_steps"))
        r->time_steps = out->frames;
    sp_log(SP_LOG_INFO, "%s: samples of %dx%dx%d (channels x height x width)%s, %d time steps", o->input,
           out->channels, out->height, out->width, out->frames ? " at each time step" : "",
           (int)r->time_steps);
    return SP_OK;
}

static bool is_told_by_input(const sp_cli_session *o, const sp_recipe *r)
{
    return o->input && !r->data.path && strcmp(r->data.name, "arrays") == 0;
}

static sp_status open_weights(const char *path, const sp_cli_session *o, sp_recipe *r, sp_checkpoint *c,
                              sp_error *err)
{
    const sp_weights_from *w = &o->weights;
    if (is_recipe(path) && !w->file)
        return SP_FAIL(err, SP_E_USAGE, "%s is a recipe; name its weights with --weights FILE", path);
    if (!is_recipe(path) && (w->file || w->map || w->lenient))
        return SP_FAIL(err, SP_E_USAGE,
                       "%s is no recipe: a checkpoint has weights of its own; leave --weights, --map and "
                       "--lenient out",
                       path);
    if (w->file) {
        SP_TRY(sp_weights_open(w->file, c, err));
        return load_recipe(path, o, r, err);
    }
    SP_TRY(sp_checkpoint_open(path, c, err));
    return sp_checkpoint_recipe(c, o->sets.items, o->sets.n, r, err);
}

/* Samples of a mini-batch where nobody has counted them: the checkpoint's batch may be any. */
enum { MOST_UNCOUNTED = 256 };

sp_status sp_cli_trained_open(const char *path, const sp_cli_session *o, bool data, sp_cli_trained *out,
                              sp_error *err)
{
    sp_recipe r = {0};
    sp_session_options so = sp_cli_session_options(o);
    sp_dataset_info info = {.count = 0};
    so.no_train = true;
    *out = (sp_cli_trained){.test = NULL};
    SP_TRY(open_weights(path, o, &r, &out->checkpoint, err));
    sp_status st = check_trained_sets(o, &r, data, err);
    if (st == SP_OK)
        st = data                                         ? sp_session_dataset(&r, false, &out->test, err)
             : o->weights.file && is_told_by_input(o, &r) ? shape_of_input(o, &r, &info, err)
             : o->weights.file                            ? shape_of(&r, false, &info, err)
                               : sp_checkpoint_samples(&out->checkpoint, &r, &info, err);
    if (st == SP_OK && data)
        st = sp_checkpoint_check_classes(&out->checkpoint, out->test, err);
    if (st != SP_OK) {
        sp_recipe_free(&r);
        return st;
    }
    so.eval_samples = data ? out->test->info.count : MOST_UNCOUNTED;
    SP_TRY(sp_session_open(&r, data ? &out->test->info : &info, &so, &out->s, err));
    SP_TRY(o->weights.file ? sp_weights_load_from(&o->weights, out->s, err)
                           : sp_checkpoint_restore(&out->checkpoint, out->s, false, err));
    sp_cli_say_session(out->s);
    return SP_OK;
}

void sp_cli_trained_close(sp_cli_trained *t)
{
    sp_session_close(&t->s);
    sp_dataset_close(&t->test);
    sp_checkpoint_close(&t->checkpoint);
}
