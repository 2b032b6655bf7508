/* Networks: opening, shapes, parameters by name. */
#include <stdio.h>
#include <string.h>

#include "api/internal.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/stats.h"
#include "base/suggest.h"

/* ---- opening ---- */

/* By its contents, so that what sp_net_save has written under any name is one; by its ending too, so that a
 * file that is missing or damaged is told from a recipe. */
static bool is_checkpoint(const char *path)
{
    size_t n = strlen(path);
    return sp_path_is_folder(path) || (n > 12 && strcmp(path + n - 12, ".safetensors") == 0) ||
           sp_tensors_are_in(path);
}

/* Shape of a sample: the caller's, else that of the checkpoint's data, else that of the recipe's. */
static sp_status find_shape(const sp_checkpoint *c, const sp_recipe *r, const sp_net_options *o,
                            sp_dataset_info *out, sp_error *err)
{
    sp_dataset *ds = NULL;
    sp_error unknown;
    bool given = o->channels > 0 && o->height > 0 && o->width > 0;
    *out = (sp_dataset_info){.channels = o->channels, .height = o->height, .width = o->width};
    if (!given && (o->channels || o->height || o->width))
        return SP_FAIL(err, SP_E_USAGE,
                       "a sample of %d x %d x %d (channels x height x width) has no numbers; give all three, "
                       "or none",
                       o->channels, o->height, o->width);
    bool kept = !given && c->file.path && sp_checkpoint_samples(c, r, out, &unknown) == SP_OK;
    if (!given && !kept && !sp_session_known_shape(r, out)) {
        SP_TRY(sp_session_dataset(r, true, &ds, err));
        *out = ds->info;
        sp_dataset_close(&ds);
    }
    if (given || o->sequence) {
        out->classes = 0; /* they are the caller's data */
        snprintf(out->name, sizeof out->name, "caller");
        out->frames = o->sequence ? (int)r->time_steps : 0;
    }
    return SP_OK;
}

static sp_status open_session(sp_net *net, const sp_checkpoint *c, sp_recipe *r, const sp_net_options *o,
                              sp_error *err)
{
    const sp_context *ctx = net->ctx;
    sp_dataset_info shape;
    sp_text text = {0};
    sp_session_options so = {.opened = ctx->dev,
                             .plugins_path = ctx->plugin_path,
                             .force = (const char *const *)ctx->plugins,
                             .n_force = ctx->n_plugins,
                             .programs = ctx->programs,
                             .no_wisdom = ctx->no_wisdom,
                             .no_train = (o->flags & SP_NET_INFERENCE) != 0,
                             .own_loss = true};
    sp_recipe_print(r, &text);
    net->recipe = text.s;
    sp_status st = text.failed ? SP_FAIL(err, SP_E_MEMORY, "out of memory for a network") : SP_OK;
    if (st == SP_OK)
        st = find_shape(c, r, o, &shape, err);
    if (st != SP_OK) {
        sp_recipe_free(r);
        return st;
    }
    SP_TRY(sp_session_open(r, &shape, &so, &net->s, err));
    sp_registry_say_forced(net->s->reg);
    return SP_OK;
}

static sp_status make_buffers(sp_net *net, sp_error *err)
{
    const sp_session *s = net->s;
    const sp_recipe *r = &s->recipe;
    int64_t most = r->batch > r->eval_batch ? r->batch : r->eval_batch;
    net->x_room = (size_t)(most * sp_act_elems(&s->graph->acts[0]) * (s->data.frames ? r->time_steps : 1));
    net->x = sp_alloc_pages(net->x_room, sizeof *net->x);
    net->mask = sp_alloc_array((size_t)r->time_steps, sizeof *net->mask);
    net->lr = r->lr;
    net->p.measured = sp_measured_start(r->measure);
    if (!net->x || !net->mask)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for a mini-batch");
    return s->train ? sp_replicas_create(&net->s, 1, NULL, &net->replicas, err) : SP_OK;
}

/* path: a file; text: a recipe without one. */
static sp_status open_net(sp_net *net, const char *path, const char *text, const sp_net_options *o,
                          sp_error *err)
{
    sp_checkpoint c = {0};
    sp_recipe r = {0};
    sp_status st = SP_OK;
    if (path && is_checkpoint(path)) {
        SP_TRY(sp_weights_open(path, &c, err));
        SP_TRY_GOTO(sp_checkpoint_recipe(&c, o->sets, o->n_sets, &r, err));
    } else if (path) {
        SP_TRY_GOTO(sp_recipe_load(path, o->sets, o->n_sets, &r, err));
    } else {
        SP_TRY_GOTO(sp_recipe_parse("recipe", text, strlen(text), o->sets, o->n_sets, &r, err));
    }
    SP_TRY_GOTO(open_session(net, &c, &r, o, err));
    SP_TRY_GOTO(make_buffers(net, err));
    const char *format = c.file.path ? sp_tensors_meta(&c.file, "format") : NULL;
    if (format && strcmp(format, SP_WEIGHTS_FORMAT) == 0)
        SP_TRY_GOTO(sp_weights_load(c.file.path, net->s, err));
    else if (c.file.path)
        SP_TRY_GOTO(sp_checkpoint_restore(&c, net->s, false, err));
    else if (net->s->recipe.init_from)
        SP_TRY_GOTO(sp_weights_load(net->s->recipe.init_from, net->s, err));
done:
    sp_checkpoint_close(&c);
    return st;
}

void spi_net_destroy(sp_net *net)
{
    for (int i = 0; i < 2; i++)
        sp_plan_destroy(&net->own[i]); /* its memory may be that of the session's plans */
    sp_replicas_destroy(&net->replicas);
    sp_session_close(&net->s);
    void *all[] = {net->recipe, net->x, net->mask};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        sp_free(all[i]);
    sp_free(net);
}

static sp_status open_on(sp_context *ctx, const char *path, const char *text, const sp_net_options *options,
                         sp_net **out, sp_error *err)
{
    sp_net_options o;
    spi_call call;
    sp_error local = {0};
    err = err ? err : &local;
    if (!ctx)
        return SP_FAIL(err, SP_E_USAGE, "the context is NULL: never created, or destroyed");
    if (!out)
        return SP_FAIL(err, SP_E_USAGE, "there is no place for the network: the argument out is NULL");
    if (!path && !text)
        return SP_FAIL(err, SP_E_USAGE, "name a recipe or a checkpoint");
    SP_TRY(spi_take_struct("sp_net_options", options, options ? options->struct_size : 0, &o, sizeof o, err));
    SP_TRY(spi_check_texts("sp_net_options.sets", o.sets, o.n_sets, err));
    SP_TRY(spi_enter(ctx, &call, err));
    sp_net *net = sp_alloc(sizeof *net);
    sp_status st = net ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory for a network");
    if (net) {
        net->ctx = ctx;
        st = open_net(net, path, text, &o, err);
    }
    if (st == SP_OK) {
        pthread_mutex_lock(&ctx->lock);
        ctx->handles++;
        pthread_mutex_unlock(&ctx->lock);
        *out = net;
    } else if (net) {
        spi_net_destroy(net);
    }
    spi_leave(&call);
    return st;
}

sp_status sp_net_open(sp_context *ctx, const char *path, const sp_net_options *options, sp_net **out,
                      sp_error *err)
{
    return open_on(ctx, path, NULL, options, out, err);
}

sp_status sp_net_parse(sp_context *ctx, const char *recipe, const sp_net_options *options, sp_net **out,
                       sp_error *err)
{
    return open_on(ctx, NULL, recipe, options, out, err);
}

/* ---- what it is ---- */

static sp_status describe(const sp_net *net, sp_net_info *out, sp_error *err)
{
    const sp_session *s = net->s;
    const sp_recipe *r = &s->recipe;
    const sp_activation *in = &s->graph->acts[0];
    sp_net_info i = {.sequence = s->data.frames > 0,
                     .channels = (int32_t)in->c,
                     .height = (int32_t)in->h,
                     .width = (int32_t)in->w,
                     .outputs = (int32_t)s->graph->classes,
                     .time_steps = (int32_t)r->time_steps,
                     .batch = (int32_t)r->batch,
                     .eval_batch = (int32_t)s->eval_batch,
                     .is_training = s->train != NULL,
                     .device_bytes = s->planned_bytes,
                     .name = r->name ? r->name : "",
                     .method = sp_method_name(r->method),
                     .recipe = net->recipe};
    return spi_give_struct("sp_net_info", &i, sizeof i, out, err);
}

sp_status sp_net_describe(sp_net *net, sp_net_info *out, sp_error *err)
{
    SPI_ON_NET(net, err, describe(net, out, err));
}

/* ---- parameters ---- */

static sp_status count_params(const sp_net *net, size_t *n)
{
    *n = (size_t)net->s->graph->n_params;
    return SP_OK;
}

sp_status sp_net_param_count(sp_net *net, size_t *n, sp_error *err)
{
    SPI_NEEDS(n, err);
    SPI_ON_NET(net, err, count_params(net, n));
}

static sp_status describe_param(const sp_net *net, size_t i, sp_param_info *out, sp_error *err)
{
    const sp_graph *g = net->s->graph;
    if (i >= (size_t)g->n_params)
        return SP_FAIL(err, SP_E_USAGE, "there is no parameter %zu; there are %d, from 0 on", i, g->n_params);
    const sp_param *p = &g->params[i];
    sp_param_info info = {.n_dims = p->n_dims, .count = p->elems, .trainable = p->trainable, .name = p->name};
    memcpy(info.shape, p->shape, sizeof info.shape);
    return spi_give_struct("sp_param_info", &info, sizeof info, out, err);
}

sp_status sp_net_param_describe(sp_net *net, size_t i, sp_param_info *out, sp_error *err)
{
    SPI_ON_NET(net, err, describe_param(net, i, out, err));
}

static sp_status unknown_param(const sp_graph *g, const char *name, sp_error *err)
{
    const char **names = sp_alloc_array((size_t)g->n_params + 1, sizeof *names);
    for (int i = 0; names && i < g->n_params; i++)
        names[i] = g->params[i].name;
    const char *near = names ? sp_suggest(name, names, (size_t)g->n_params) : NULL;
    sp_status st = SP_FAIL(err, SP_E_USAGE, "the network has no parameter \"%.64s\"%s%s%s", name,
                           near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    sp_free(names);
    return st;
}

static sp_status find_param(const sp_net *net, const char *name, const void *numbers, size_t count,
                            const sp_param **out, sp_error *err)
{
    *out = sp_graph_param(net->s->graph, name ? name : "");
    if (!*out)
        return unknown_param(net->s->graph, name ? name : "", err);
    if (!numbers || count != (size_t)(*out)->elems)
        return SP_FAIL(err, SP_E_USAGE, "%s has %lld numbers, not %zu", name, (long long)(*out)->elems,
                       numbers ? count : 0);
    return SP_OK;
}

static sp_status get(const sp_net *net, const char *name, float *to, size_t count, sp_error *err)
{
    const sp_param *p;
    SP_TRY(find_param(net, name, to, count, &p, err));
    return sp_model_read(net->s->model, p, SP_RANGE_WEIGHTS, to, err);
}

sp_status sp_net_get(sp_net *net, const char *name, float *to, size_t count, sp_error *err)
{
    SPI_ON_NET(net, err, get(net, name, to, count, err));
}

static sp_status check_finite(const sp_param *p, const float *from, sp_error *err)
{
    const size_t count = (size_t)p->elems, bad = sp_first_nonfinite(from, count);
    return bad == count
               ? SP_OK
               : SP_FAIL(err, SP_E_NUMERIC, "%s: number %zu is not finite; the parameter stays as it was",
                         p->name, bad);
}

/* What a forward pass has kept does not belong to other parameters. */
static void end_passes(sp_net *net)
{
    net->awaits_backward = net->stepping = false;
}

static sp_status set(sp_net *net, const char *name, const float *from, size_t count, sp_error *err)
{
    const sp_param *p;
    SP_TRY(find_param(net, name, from, count, &p, err));
    SP_TRY(check_finite(p, from, err));
    end_passes(net);
    return sp_model_write(net->s->model, p, SP_RANGE_WEIGHTS, from, err);
}

sp_status sp_net_set(sp_net *net, const char *name, const float *from, size_t count, sp_error *err)
{
    SPI_ON_NET(net, err, set(net, name, from, count, err));
}

static sp_status check_gradient(const sp_net *net, const sp_param *p, sp_error *err)
{
    if (!p->trainable)
        return SP_FAIL(err, SP_E_USAGE, "%s is a running statistic and has no gradient", p->name);
    if (!net->has_gradient)
        return SP_FAIL(err, SP_E_USAGE, "there is no gradient yet; run a training step first");
    return SP_OK;
}

static sp_status gradient(const sp_net *net, const char *name, float *to, size_t count, sp_error *err)
{
    const sp_param *p;
    SP_TRY(find_param(net, name, to, count, &p, err));
    SP_TRY(check_gradient(net, p, err));
    return sp_model_read(net->s->model, p, SP_RANGE_GRADIENTS, to, err);
}

sp_status sp_net_gradient(sp_net *net, const char *name, float *to, size_t count, sp_error *err)
{
    SPI_ON_NET(net, err, gradient(net, name, to, count, err));
}

static sp_status check_all(const sp_net *net, const void *arrays, size_t n, sp_error *err)
{
    if (arrays && n == (size_t)net->s->graph->n_params)
        return SP_OK;
    return SP_FAIL(err, SP_E_USAGE, "all parameters are %d arrays, not %zu; an array may be NULL",
                   net->s->graph->n_params, arrays ? n : 0);
}

static sp_status get_all(const sp_net *net, float *const *to, size_t n, bool gradients, sp_error *err)
{
    const sp_param *p = net->s->graph->params;
    SP_TRY(check_all(net, to, n, err));
    for (size_t i = 0; i < n && gradients; i++)
        if (to[i])
            SP_TRY(check_gradient(net, &p[i], err));
    return sp_model_read_several(net->s->model, p, (int)n, gradients ? SP_RANGE_GRADIENTS : SP_RANGE_WEIGHTS,
                                 to, err);
}

sp_status sp_net_get_all(sp_net *net, float *const *to, size_t n, sp_error *err)
{
    SPI_ON_NET(net, err, get_all(net, to, n, false, err));
}

sp_status sp_net_gradient_all(sp_net *net, float *const *to, size_t n, sp_error *err)
{
    SPI_ON_NET(net, err, get_all(net, to, n, true, err));
}

static sp_status set_all(sp_net *net, const float *const *from, size_t n, sp_error *err)
{
    const sp_param *p = net->s->graph->params;
    SP_TRY(check_all(net, from, n, err));
    for (size_t i = 0; i < n; i++)
        if (from[i])
            SP_TRY(check_finite(&p[i], from[i], err));
    end_passes(net);
    return sp_model_write_several(net->s->model, p, (int)n, SP_RANGE_WEIGHTS, from, err);
}

sp_status sp_net_set_all(sp_net *net, const float *const *from, size_t n, sp_error *err)
{
    SPI_ON_NET(net, err, set_all(net, from, n, err));
}

sp_status sp_net_save(sp_net *net, const char *path, sp_error *err)
{
    SPI_NEEDS(path, err);
    SPI_ON_NET(net, err, sp_weights_save(path, net->s, err));
}

static sp_status load(sp_net *net, const char *path, sp_error *err)
{
    end_passes(net);
    return sp_weights_load(path, net->s, err);
}

sp_status sp_net_load(sp_net *net, const char *path, sp_error *err)
{
    SPI_NEEDS(path, err);
    SPI_ON_NET(net, err, load(net, path, err));
}
