/* Opening a session: device, plugins, graph, memory, plans, starting parameters. */
#include "train/session.h"

#include <string.h>

#include "base/error.h"
#include "base/rng.h"
#include "check/check.h"
#include "check/helper.h"
#include "registry/wisdom.h"
#include "train/adaptive.h"
#include "train/similarity.h"
#include "train/starting.h"
#include "train/teacher.h"

sp_loader_options sp_session_loader_options(const sp_recipe *r, bool train)
{
    return (sp_loader_options){.batch = (size_t)r->batch,
                               .shuffle = train,
                               .balanced = train && r->data.balanced,
                               .seed = (uint64_t)r->seed,
                               .threads = (int)r->data.threads};
}

sp_dataset_options sp_session_dataset_options(const sp_recipe *r, bool train)
{
    int64_t limit = train ? r->data.train_limit : r->data.test_limit;
    sp_dataset_options o = {.name = r->data.name,
                            .path = r->data.path,
                            .train = train,
                            .mean = r->data.mean,
                            .std = r->data.std,
                            .limit = (size_t)limit,
                            .classes = (int)r->data.classes,
                            .channels = (int)r->data.channels,
                            .height = (int)r->data.height,
                            .width = (int)r->data.width,
                            .frames = (int)r->data.frames,
                            .count = (size_t)r->data.count,
                            .noise = r->data.noise,
                            .seed = (uint64_t)r->seed,
                            .augment = r->data.augment,
                            .n_means = r->data.n_means,
                            .n_stds = r->data.n_stds,
                            .size = (int)r->data.size,
                            .resize = (int)r->data.resize,
                            .time_steps = (int)r->time_steps,
                            .events = r->data.events,
                            .arrays = r->data.arrays,
                            .split = r->data.split,
                            .split_seed = (uint64_t)r->data.split_seed,
                            .prefix = r->data.prefix,
                            .transpose = r->data.transpose,
                            .first_label = (int)r->data.first_label,
                            .encoding = r->data.encoding,
                            .targets = r->loss == SP_LOSS_MSE   ? SP_TARGETS_NUMBERS
                                       : r->loss == SP_LOSS_BCE ? SP_TARGETS_LABELS
                                                                : SP_TARGETS_NONE};
    memcpy(o.means, r->data.means, sizeof o.means);
    memcpy(o.stds, r->data.stds, sizeof o.stds);
    return o;
}

sp_status sp_session_dataset(const sp_recipe *r, bool train, sp_dataset **out, sp_error *err)
{
    sp_dataset_options o = sp_session_dataset_options(r, train);
    sp_status st = sp_dataset_open(&o, out, err);
    const sp_yaml *data = sp_yaml_get(r->doc.root, "data"), *at = sp_yaml_get(data, o.path ? "path" : "name");
    return st == SP_OK || !at ? st : sp_error_prefix(err, st, "%s:%d:%d: ", at->file, at->line, at->column);
}

bool sp_session_known_shape(const sp_recipe *r, sp_dataset_info *out)
{
    sp_dataset_options o = sp_session_dataset_options(r, true);
    return sp_dataset_shape(&o, out);
}

static sp_status force_variants(sp_session *s, const sp_session_options *o, sp_error *err)
{
    for (size_t i = 0; i < s->recipe.n_plugins; i++)
        SP_TRY(sp_registry_force(s->reg, s->recipe.plugins[i], err));
    for (size_t i = 0; i < o->n_force; i++)
        SP_TRY(sp_registry_force(s->reg, o->force[i], err));
    return SP_OK;
}

sp_status sp_session_programs(sp_registry *reg, const sp_device *dev, const sp_session_options *o,
                              sp_error *err)
{
    sp_registry_suit(reg, dev);
    if (o->programs && reg->n_forced)
        return SP_FAIL(err, SP_E_USAGE,
                       "--plugin (or plugins in the recipe) cannot change programs compiled ahead of time; "
                       "name it when they are compiled, and leave \"%s=%s\" out here",
                       reg->forced[0].op, reg->forced[0].variant);
    if (o->programs)
        return sp_package_open(o->programs, dev, &reg->package, err);
    reg->recorder = o->recorder;
    if (!o->unchecked)
        sp_check_install(reg); /* binaries were checked when they were compiled: a check builds from source */
    /* what was measured here says nothing about the device that programs are compiled for */
    return o->no_wisdom || o->recorder ? SP_OK : sp_wisdom_open(reg, dev, err);
}

static sp_status load_plugins(sp_session *s, const sp_session_options *o, sp_error *err)
{
    char *paths = NULL;
    if (o->plugins_path && s->recipe.plugins_path)
        paths = sp_format("%s:%s", o->plugins_path, s->recipe.plugins_path);
    else if (o->plugins_path || s->recipe.plugins_path)
        paths = sp_strdup(o->plugins_path ? o->plugins_path : s->recipe.plugins_path);
    sp_status st = sp_registry_create(paths, &s->reg, err);
    sp_free(paths);
    SP_TRY(st);
    SP_TRY(force_variants(s, o, err));
    return s->dev ? sp_session_programs(s->reg, s->dev, o, err) : SP_OK;
}

static sp_status check_classes(const sp_session *s, sp_error *err)
{
    if (s->data.targets && s->graph->classes != s->data.targets)
        return SP_FAIL(err, SP_E_CONFIG,
                       "%s: the network has %lld outputs, but a row of targets has %d numbers",
                       s->graph->network.file, (long long)s->graph->classes, s->data.targets);
    if (s->graph->classes >= s->data.classes)
        return SP_OK;
    return SP_FAIL(err, SP_E_CONFIG, "%s: the network has %lld outputs, but the data set %s has %d classes",
                   s->graph->network.file, (long long)s->graph->classes, s->data.name, s->data.classes);
}

sp_plan_options sp_session_plan_options(const sp_session *s, bool eval)
{
    const sp_recipe *r = &s->recipe;
    return (sp_plan_options){.method = eval ? SP_METHOD_EVAL : r->method,
                             .batch = eval ? s->eval_batch : r->batch / sp_recipe_shards(r),
                             .time_steps = r->time_steps,
                             .sequence = s->data.frames > 0,
                             .loss = r->loss,
                             .loss_of = r->loss_of,
                             .label_smoothing = r->label_smoothing,
                             .class_weights = r->class_weights,
                             .n_class_weights = r->n_class_weights,
                             .w_ce = 1.0 - r->w_mse,
                             .w_mse = r->w_mse,
                             .mse_target = r->mse_target,
                             .mse_one_hot = r->mse_one_hot,
                             .w_membrane = r->w_membrane,
                             .teacher = s->teacher && !eval ? s->teacher->eval : NULL,
                             .seed = (uint64_t)r->seed,
                             .optimizer = r->optimizer,
                             .binary = r->binary,
                             .flip_bar = r->flip_bar,
                             .flip_beta1 = r->flip_beta1,
                             .flip_beta2 = r->flip_beta2,
                             .momentum = r->momentum,
                             .weight_decay = r->weight_decay,
                             .beta1 = r->beta1,
                             .beta2 = r->beta2,
                             .eps = r->eps,
                             .clip_norm = r->clip_norm,
                             .clip_value = r->clip_value,
                             .ema = r->ema,
                             .online_update = r->online_update && !eval,
                             .truncate = eval ? 0 : r->truncate,
                             .block = r->block,
                             .recompute = r->recompute,
                             .online_norm = r->online_norm && !eval,
                             .sync_norm = r->sync_norm && !eval && sp_recipe_shards(r) > 1,
                             .bf16 = r->bf16,
                             .half = r->half,
                             .weight_bits = (int)r->weight_bits,
                             .channel_scales = r->channel_scales,
                             .count_spikes = true,
                             .step_spikes = !eval && r->method == SP_METHOD_SLTT_K && r->adaptive};
}

static sp_status check_shards(const sp_recipe *r, bool sharded, sp_error *err)
{
    const long long shards = sp_recipe_shards(r);
    const char *file = r->doc.file;
    if (shards == 1)
        return SP_OK;
    if (r->batch % shards)
        return SP_FAIL(err, SP_E_CONFIG,
                       "%s: a batch of %lld cannot be split evenly into %lld shards (schedule.shards, or the "
                       "number of devices that share it)",
                       file, (long long)r->batch, shards);
    if (!sharded)
        return SP_FAIL(err, SP_E_CONFIG,
                       "%s: schedule.shards is %lld, and this command works on whole mini-batches; set it to "
                       "1, and batch to %lld for the work of one shard",
                       file, shards, (long long)r->batch / shards);
    if (r->method == SP_METHOD_LTL)
        return SP_FAIL(err, SP_E_CONFIG,
                       "%s: schedule.method: ltl has a teacher that runs before each mini-batch, and has not "
                       "been made for parts of one; use one shard and one device",
                       file);
    if (r->online_update)
        return SP_FAIL(err, SP_E_CONFIG,
                       "%s: schedule.online_update steps at every time step, inside of a shard; shards, and "
                       "several devices, meet once a mini-batch. Turn it off, or use one shard and one "
                       "device",
                       file);
    if (r->monitor.every || r->width_step > 0)
        return SP_FAIL(err, SP_E_CONFIG,
                       "%s: %s compares gradients of whole mini-batches; use one shard and one device, or "
                       "leave it out",
                       file, r->monitor.every ? "monitor.gradient_similarity" : "schedule.width_step");
    return SP_OK;
}

static sp_status make_plans(sp_session *s, const sp_session_options *so, sp_error *err)
{
    const bool no_train = so->no_train, unlimited = so->unlimited || so->no_device;
    if (!no_train)
        SP_TRY(check_shards(&s->recipe, so->sharded, err));
    sp_plan_options o = sp_session_plan_options(s, true);
    o.unlimited = unlimited;
    if (so->teaches)
        sp_teacher_plan_options(&o);
    sp_status st = sp_plan_create(s->graph, s->model, s->reg, &o, &s->eval, err);
    if (st != SP_OK)
        return sp_error_prefix(err, st, "evaluation, whose mini-batch is eval_batch: ");
    if (no_train) {
        s->planned_bytes = s->model->bytes + s->eval->arena_bytes;
        if (unlimited)
            return SP_OK;
        SP_TRY(sp_plan_attach(s->eval, NULL, err));
        return sp_exec_clear_spikes(s->eval, err);
    }
    if (s->recipe.method == SP_METHOD_LTL)
        SP_TRY(sp_teacher_open(s, so, err));
    o = sp_session_plan_options(s, false);
    o.unlimited = unlimited;
    o.early = !unlimited;
    o.keep_potentials = so->keep_potentials;
    SP_TRY(sp_plan_create(s->graph, s->model, s->reg, &o, &s->train, err));
    bool train_larger = s->train->arena_bytes >= s->eval->arena_bytes;
    sp_plan *large = train_larger ? s->train : s->eval, *small = train_larger ? s->eval : s->train;
    s->planned_bytes = s->model->bytes + large->arena_bytes;
    if (!unlimited) {
        SP_TRY(sp_plan_attach(large, NULL, err));
        SP_TRY(sp_plan_attach(small, large, err));
    }
    if (s->recipe.monitor.every)
        SP_TRY(sp_similarity_create(s, unlimited, &s->similarity, err));
    s->planned_bytes += sp_similarity_bytes(s->similarity) + (s->teacher ? s->teacher->planned_bytes : 0);
    if (unlimited)
        return SP_OK;
    s->dev->peak_bytes =
        s->dev->live_bytes; /* from here on: kernels checked for the first time took memory too */
    return sp_exec_clear_spikes(s->train, err);
}

static sp_status open_model(sp_session *s, const sp_session_options *o, sp_error *err)
{
    if (!o->no_device && !s->dev)
        SP_TRY(sp_device_open(o->device, &o->device_options, &s->dev, err));
    const sp_plan_options kept = sp_session_plan_options(s, o->no_train && !o->own_loss);
    SP_TRY(sp_model_create(s->graph, s->dev, &kept, &s->model, err));
    return load_plugins(s, o, err); /* meanwhile the device clears the model's memory */
}

/* In the second process: the kernels of the larger plan, from its end. This process makes the plan for
 * evaluation first, and has the most of it from there. */
static _Noreturn void compile_from_end(sp_session *s, const sp_session_options *so)
{
    sp_error err;
    sp_plan_options o = sp_session_plan_options(s, so->no_train);
    o.from_end = true;
    if (open_model(s, so, &err) == SP_OK &&
        (so->no_train || check_shards(&s->recipe, so->sharded, &err) == SP_OK))
        sp_plan_create(s->graph, s->model, s->reg, &o, &s->train, &err);
    sp_helper_exit();
}

static sp_status prepare_adaptive(sp_session *s, sp_error *err)
{
    size_t T = (size_t)s->recipe.time_steps;
    if (!s->train || !s->train->o.step_spikes)
        return SP_OK;
    s->step_mass = sp_alloc_array(T, sizeof *s->step_mass);
    s->step_spikes = sp_alloc_array(T, (size_t)(s->train->n_neuron_layers + 1) * sizeof *s->step_spikes);
    s->step_counters = sp_alloc_array((size_t)s->train->n_neuron_layers + 1, 64 * sizeof *s->step_counters);
    if (!s->step_mass || !s->step_spikes || !s->step_counters)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for the session");
    sp_adaptive_start(s->step_mass, s->recipe.time_steps);
    return SP_OK;
}

sp_status sp_session_open(sp_recipe *recipe, const sp_dataset_info *data, const sp_session_options *o,
                          sp_session **out, sp_error *err)
{
    sp_session *s = sp_alloc(sizeof *s);
    sp_status st = SP_OK;
    if (!s) {
        sp_recipe_free(recipe);
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for the session");
    }
    s->recipe = *recipe;
    memset(recipe, 0, sizeof *recipe);
    s->data = *data;
    s->eval_batch = s->recipe.eval_batch;
    if (o->eval_samples && !o->programs &&
        o->eval_samples < (size_t)s->eval_batch) /* programs are of one batch */
        s->eval_batch = (int64_t)o->eval_samples;
    if (data->frames > 0 && data->frames != s->recipe.time_steps)
        SP_TRY_GOTO(SP_FAIL(err, SP_E_CONFIG,
                            "%s: schedule.time_steps is %lld, but a sample of %s has %d frames",
                            s->recipe.doc.file, (long long)s->recipe.time_steps, data->name, data->frames));
    SP_TRY_GOTO(sp_graph_create(&s->recipe.network, s->recipe.network.file, data->channels, data->height,
                                data->width, &s->graph, err));
    SP_TRY_GOTO(check_classes(s, err));
    s->dev = o->opened;
    s->borrows_dev = o->opened != NULL;
    s->has_helper = o->helper && !s->dev && !o->no_device && !o->programs && !o->recorder && !o->unchecked;
    if (s->has_helper && sp_helper_fork())
        compile_from_end(s, o);
    SP_TRY_GOTO(open_model(s, o, err));
    if (s->dev)
        SP_TRY_GOTO(sp_starting_begin(s, err));
    SP_TRY_GOTO(make_plans(s, o, err));
    SP_TRY_GOTO(sp_starting_end(s, err));
    if (s->has_helper)
        sp_helper_dismiss();
    SP_TRY_GOTO(prepare_adaptive(s, err));
    *out = s;
    return SP_OK;
done:
    sp_session_close(&s);
    return st;
}

void sp_session_close(sp_session **ps)
{
    if (!ps || !*ps)
        return;
    sp_session *s = *ps;
    sp_starting_end(s, NULL);
    if (s->has_helper)
        sp_helper_wait();
    sp_similarity_destroy(&s->similarity);
    /* a plan that borrows its memory goes before the one that owns it */
    if (s->train && !s->train->owns_slabs)
        sp_plan_destroy(&s->train);
    sp_plan_destroy(&s->eval);
    sp_plan_destroy(&s->train);
    sp_session_close(&s->teacher);
    sp_model_destroy(&s->model);
    sp_registry_destroy(&s->reg);
    if (!s->borrows_dev)
        sp_device_close(&s->dev);
    sp_graph_destroy(&s->graph);
    sp_recipe_free(&s->recipe);
    sp_free(s->step_mass);
    sp_free(s->step_spikes);
    sp_free(s->step_counters);
    sp_free(s);
    *ps = NULL;
}

void sp_session_draw_steps(const sp_recipe *r, int64_t iteration, int64_t k, uint8_t *mask)
{
    enum { DRAW_STREAM = 0x2000 };
    sp_rng rng = sp_rng_make((uint64_t)r->seed, DRAW_STREAM + ((uint64_t)iteration << 16));
    int64_t left = r->time_steps, wanted = k;
    /* selection sampling (Knuth, TAOCP 3.4.2 S): every set of K steps is equally likely */
    for (int64_t t = 0; t < r->time_steps; t++, left--) {
        mask[t] = (int64_t)sp_rng_below(&rng, (uint32_t)left) < wanted;
        wanted -= mask[t];
    }
}

void sp_session_draw(const sp_recipe *r, int64_t iteration, uint8_t *mask)
{
    for (int64_t t = 0; t < r->time_steps && r->method == SP_METHOD_LTL; t++)
        mask[t] = t >= r->warm_up;
    if (r->method == SP_METHOD_LTL)
        return;
    sp_session_draw_steps(r, iteration, r->method == SP_METHOD_SLTT_K ? r->backprop_steps : r->time_steps,
                          mask);
}

int64_t sp_session_choose(sp_session *s, int64_t iteration, uint8_t *mask)
{
    const sp_recipe *r = &s->recipe;
    int64_t n = 0;
    if (s->step_mass)
        return sp_adaptive_draw(s->step_mass, r->time_steps, r->spike_share, r->min_steps, r->max_steps,
                                (uint64_t)r->seed, iteration, mask);
    sp_session_draw(r, iteration, mask);
    for (int64_t t = 0; t < r->time_steps; t++)
        n += mask[t];
    return n;
}

void sp_session_learn(sp_session *s, const uint64_t *step_spikes)
{
    if (s->step_mass)
        sp_adaptive_learn(s->step_mass, s->recipe.time_steps, step_spikes, s->train->n_neuron_layers);
}

sp_status sp_session_rates(const sp_session *s, const uint64_t *spikes, int64_t samples, double *rates,
                           sp_error *err)
{
    for (int i = 0; i < s->graph->n_nodes; i++) {
        double n = (double)sp_act_elems(&s->graph->acts[s->graph->nodes[i].out]) * (double)samples *
                   (double)s->recipe.time_steps;
        rates[i] = n > 0 ? (double)spikes[i] / n : 0.0;
        if (rates[i] > 1)
            return SP_FAIL(err, SP_E_FAILED,
                           "layer %s: %g spikes a neuron and time step, where 1 is the most: the device %s "
                           "computes something else than it was asked; `spikeport verify` tests it",
                           s->graph->nodes[i].name, rates[i], s->dev->info.name);
    }
    return SP_OK;
}
