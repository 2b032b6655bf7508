/* A loss and an optimizer of the caller: forward, then backward from the gradient of the outputs, through all
 * time steps at once or, where the method does not go through time, one after the other. A plan of each is
 * made at its first use; it takes the memory of the session's plans where that is enough. */
#include <string.h>

#include "api/internal.h"
#include "base/mem.h"
#include "base/stats.h"

static sp_status check_method(const sp_net *net, bool stepwise, sp_error *err)
{
    const sp_recipe *r = &net->s->recipe;
    if (r->online_update || (r->truncate && r->truncate < r->time_steps) ||
        (r->method == SP_METHOD_SLTT_K && r->adaptive))
        return SP_FAIL(err, SP_E_CONFIG,
                       "%s: schedule.online_update, truncate and backprop_steps: adaptive need the loss of "
                       "the recipe; they cannot be used with a loss of the caller",
                       r->doc.file);
    if (sp_recipe_shards(r) > 1)
        return SP_FAIL(err, SP_E_CONFIG,
                       "%s: schedule.shards is %lld; with a loss of the caller it must be 1, because nothing "
                       "would sum the gradients of the shards",
                       r->doc.file, (long long)sp_recipe_shards(r));
    if (stepwise && r->method == SP_METHOD_BPTT)
        return SP_FAIL(err, SP_E_CONFIG,
                       "%s: bptt goes back through time, so it needs the loss of all time steps; use "
                       "sp_net_forward_train and sp_net_backward, or the method sltt or ottt",
                       r->doc.file);
    return SP_OK;
}

static sp_status make_plan(sp_net *net, bool stepwise, bool input_gradient, sp_error *err)
{
    sp_session *s = net->s;
    sp_plan_options o = sp_session_plan_options(s, false);
    sp_plan *plan = NULL, **kept = &net->own[stepwise],
            *large = s->train && s->train->arena_bytes > s->eval->arena_bytes ? s->train : s->eval;
    if (*kept && (*kept)->o.input_gradient >= input_gradient)
        return SP_OK;
    SP_TRY(check_method(net, stepwise, err));
    o.external_loss = true;
    o.truncate = stepwise;
    o.input_gradient = input_gradient;
    o.count_spikes = o.step_spikes = false;
    o.class_weights = NULL;
    SP_TRY(sp_plan_create(s->graph, s->model, s->reg, &o, &plan, err));
    sp_status st = sp_plan_attach(plan, large, err);
    if (st != SP_OK) {
        sp_plan_destroy(&plan);
        return st;
    }
    if (*kept)
        s->planned_bytes -= (*kept)->owns_slabs ? (*kept)->arena_bytes : 0;
    sp_plan_destroy(kept);
    *kept = plan;
    s->planned_bytes += plan->owns_slabs ? plan->arena_bytes : 0;
    return SP_OK;
}

static sp_exec_batch batch_of(const sp_net *net, const float *images)
{
    return (
        sp_exec_batch){.images = images, .backprop = net->mask, .iteration = (int32_t)(net->forwards - 1)};
}

/* What both ways begin with; *images as spi_take_batch gives it. */
static sp_status begin(sp_net *net, const float *x, size_t count, size_t n, bool stepwise,
                       bool input_gradient, const float **images, sp_error *err)
{
    SP_TRY(spi_begin_step(net, false, err));
    SP_TRY(spi_check_batch(net, x, count, n, err));
    SP_TRY(make_plan(net, stepwise, input_gradient, err));
    SP_TRY(spi_take_batch(net, x, n, 0, n, n, images, err));
    net->forwards++;
    sp_session_draw(&net->s->recipe, net->forwards - 1, net->mask);
    return SP_OK;
}

static sp_status end_forward(sp_net *net, sp_status st)
{
    if (st != SP_OK)
        sp_device_finish(net->s->dev, NULL); /* an upload may still read x */
    net->awaits_backward = st == SP_OK;
    return st;
}

static sp_status check_gradient(const float *g, int64_t n, sp_error *err)
{
    const size_t bad = sp_first_nonfinite(g, (size_t)n);
    return bad == (size_t)n
               ? SP_OK
               : SP_FAIL(err, SP_E_NUMERIC, "the gradient of the outputs is not finite (number %zu)", bad);
}

/* ---- all time steps ---- */

static sp_status forward(sp_net *net, const float *x, size_t count, size_t n, bool input_gradient,
                         float *step_logits, sp_error *err)
{
    const float *images;
    SP_TRY(begin(net, x, count, n, false, input_gradient, &images, err));
    const sp_exec_batch e = batch_of(net, images);
    return end_forward(net, sp_exec_forward(net->own[0], &e, step_logits, err));
}

sp_status sp_net_forward_train(sp_net *net, const float *x, size_t count, size_t n, int input_gradient,
                               float *step_logits, sp_error *err)
{
    SPI_NEEDS(step_logits, err);
    SPI_ON_NET(net, err, forward(net, x, count, n, input_gradient != 0, step_logits, err));
}

/* From the device's layout at every time step to that of x: a still image is the input of all of them. */
static void give_input_gradient(const sp_net *net, const float *from, float *to)
{
    const sp_activation *a = &net->s->graph->acts[0];
    const int64_t T = net->s->recipe.time_steps, batch = net->s->recipe.batch;
    const size_t frame = (size_t)(batch * sp_act_elems(a));
    if (net->s->data.frames) {
        spi_to_file_layout(from, to, T * batch, a->c, a->h * a->w);
        return;
    }
    float *sum = net->x;
    memcpy(sum, from, frame * sizeof *sum);
    for (int64_t t = 1; t < T; t++)
        for (size_t i = 0; i < frame; i++)
            sum[i] += from[(size_t)t * frame + i];
    spi_to_file_layout(sum, to, batch, a->c, a->h * a->w);
}

/* Of time steps that are not backpropagated nothing has been written. */
static void clear_skipped(const sp_net *net, float *g, size_t frame)
{
    for (int64_t t = 0; t < net->s->recipe.time_steps; t++)
        if (!net->mask[t])
            memset(g + (size_t)t * frame, 0, frame * sizeof *g);
}

static sp_status run_backward(sp_net *net, const float *g_step_logits, float *g_x, sp_error *err)
{
    const size_t frame = (size_t)(net->s->recipe.batch * sp_act_elems(&net->s->graph->acts[0]));
    float *g = g_x ? sp_alloc_pages((size_t)net->s->recipe.time_steps, frame * sizeof *g) : NULL;
    if (g_x && !g)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for the gradient of the input");
    sp_exec_batch e = batch_of(net, NULL);
    sp_status st = sp_exec_backward(net->own[0], &e, g_step_logits, g, err);
    if (st == SP_OK)
        st = sp_exec_end(net->own[0], &e, err);
    if (st == SP_OK && g_x) {
        clear_skipped(net, g, frame);
        give_input_gradient(net, g, g_x);
    }
    sp_free(g);
    return st;
}

static sp_status backward(sp_net *net, const float *g_step_logits, float *g_x, sp_error *err)
{
    if (!net->awaits_backward || net->step > 0)
        return SP_FAIL(err, SP_E_USAGE,
                       "there is nothing to go back over: a backward pass follows sp_net_forward_train, "
                       "once, before anything else runs on the network");
    if (g_x && !net->own[0]->o.input_gradient)
        return SP_FAIL(err, SP_E_USAGE,
                       "the gradient of the input was not asked for in sp_net_forward_train");
    SP_TRY(check_gradient(g_step_logits,
                          net->s->recipe.time_steps * net->s->recipe.batch * net->s->graph->classes, err));
    net->awaits_backward = false;
    SP_TRY(run_backward(net, g_step_logits, g_x, err));
    net->has_gradient = true;
    return SP_OK;
}

sp_status sp_net_backward(sp_net *net, const float *g_step_logits, float *g_x, sp_error *err)
{
    SPI_NEEDS(g_step_logits, err);
    SPI_ON_NET(net, err, backward(net, g_step_logits, g_x, err));
}

/* ---- one time step after the other ---- */

static sp_status begin_steps(sp_net *net, const float *x, size_t count, size_t n, sp_error *err)
{
    const float *images;
    SP_TRY(begin(net, x, count, n, true, false, &images, err));
    if (images != net->x) /* the caller lends it for this call only */
        memcpy(net->x, images, count * sizeof *net->x);
    net->stepping = true;
    return SP_OK;
}

sp_status sp_net_begin_steps(sp_net *net, const float *x, size_t count, size_t n, sp_error *err)
{
    SPI_ON_NET(net, err, begin_steps(net, x, count, n, err));
}

static sp_status check_stepping(const sp_net *net, bool ready, const char *what, sp_error *err)
{
    return net->stepping && ready
               ? SP_OK
               : SP_FAIL(err, SP_E_USAGE,
                         "there is no time step to %s: sp_net_begin_steps is followed by sp_net_forward_step "
                         "for each time step, sp_net_backward_step at most once after it, and "
                         "sp_net_end_steps, with nothing else on the network in between",
                         what);
}

static sp_status forward_step(sp_net *net, float *logits, sp_error *err)
{
    SP_TRY(check_stepping(net, net->step < net->s->recipe.time_steps, "run", err));
    const sp_exec_batch e = batch_of(net, net->x);
    const sp_status st = end_forward(net, sp_exec_forward_step(net->own[1], &e, net->step++, logits, err));
    net->stepping = st == SP_OK; /* after an error the neurons' state is not known */
    return st;
}

sp_status sp_net_forward_step(sp_net *net, float *logits, sp_error *err)
{
    SPI_NEEDS(logits, err);
    SPI_ON_NET(net, err, forward_step(net, logits, err));
}

static sp_status backward_step(sp_net *net, const float *g_logits, sp_error *err)
{
    SP_TRY(check_stepping(net, net->awaits_backward, "go back over", err));
    SP_TRY(check_gradient(g_logits, net->s->recipe.batch * net->s->graph->classes, err));
    net->awaits_backward = false;
    sp_exec_batch e = batch_of(net, NULL);
    const sp_status st = sp_exec_backward_step(net->own[1], &e, net->step - 1, g_logits, err);
    net->stepping = st == SP_OK; /* after an error the gradients are not whole */
    return st;
}

sp_status sp_net_backward_step(sp_net *net, const float *g_logits, sp_error *err)
{
    SPI_NEEDS(g_logits, err);
    SPI_ON_NET(net, err, backward_step(net, g_logits, err));
}

static sp_status end_steps(sp_net *net, sp_error *err)
{
    SP_TRY(check_stepping(net, net->step > 0, "end", err));
    SP_TRY(spi_begin_step(net, false, err));
    sp_exec_batch e = batch_of(net, NULL);
    SP_TRY(sp_exec_end(net->own[1], &e, err));
    net->has_gradient = true;
    return SP_OK;
}

sp_status sp_net_end_steps(sp_net *net, sp_error *err)
{
    SPI_ON_NET(net, err, end_steps(net, err));
}
