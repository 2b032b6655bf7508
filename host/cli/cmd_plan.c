/* spikeport plan: what a recipe would do on a device, without training: graph, steps, kernels with reasons,
 * memory. */
#include <stdio.h>

#include "base/error.h"
#include "cli/plan_hardware.h"
#include "cli/session_options.h"

/* Of how many shards of a mini-batch a device holds the activations at the same time. */
static int64_t shards_at_once(const sp_recipe *r)
{
    return r->sync_norm && sp_recipe_shards(r) > 1 ? sp_recipe_shards(r) : 1;
}

static void add_shards(const sp_session *s, sp_text *t)
{
    const long long shards = sp_recipe_shards(&s->recipe), at_once = shards_at_once(&s->recipe);
    if (shards <= 1)
        return;
    sp_text_add(t, "this is one of %lld shards of a mini-batch, %lld of its %lld samples; ", shards,
                (long long)s->train->o.batch, (long long)s->recipe.batch);
    if (at_once > 1)
        sp_text_add(t, "they run in step: one device needs %llu bytes for all of them\n",
                    (unsigned long long)s->planned_bytes * (unsigned long long)at_once);
    else
        sp_text_add(t, "a device runs its shards one after the other in this memory\n");
}

static void print_text(const sp_session *s, bool brief)
{
    sp_text t = {0};
    if (!brief)
        sp_graph_print(s->graph, &t);
    sp_text_add(&t, "\n");
    sp_plan_print(s->train, !brief, &t);
    sp_text_add(&t, "\n");
    sp_plan_print(s->eval, false, &t);
    sp_text_add(&t, "\ntraining and evaluation share memory: %llu bytes planned",
                (unsigned long long)s->planned_bytes);
    if (!s->dev)
        sp_text_add(&t,
                    "; tensors begin at multiples of %d bytes, and none is larger than %llu. Kernels may "
                    "need working memory of their own on a device\n",
                    SP_PLAN_ALIGN, (unsigned long long)s->train->slab_bytes);
    else if (s->train->slabs)
        sp_text_add(&t, ", %llu bytes allocated\n", (unsigned long long)s->dev->peak_bytes);
    else
        sp_text_add(&t, "; the device has %llu\n", (unsigned long long)s->dev->info.global_bytes);
    add_shards(s, &t);
    fputs(t.s ? t.s : "", stdout);
    sp_text_free(&t);
}

static json_t *steps_json(const sp_plan *p)
{
    json_t *steps = json_array();
    for (int g = 0; g < p->n_segments; g++)
        for (int i = 0; i < p->segments[g].n; i++) {
            const sp_step *s = &p->segments[g].steps[i];
            char call[512];
            sp_call_describe(&s->call, call, sizeof call);
            json_array_append_new(steps,
                                  json_pack("{s:s, s:s, s:s, s:s?, s:s?, s:s, s:i}", "segment",
                                            p->segments[g].name, "step", s->label, "op", s->call.op->id,
                                            "variant", s->variant ? s->variant->id : NULL, "why",
                                            s->variant ? s->why : NULL, "shape", call, "runs",
                                            sp_plan_runs(p, g)));
        }
    return steps;
}

static sp_status print_json(const sp_session *s)
{
    const sp_plan *p = s->train;
    uint64_t binary, bytes = sp_plan_weight_bytes(p, &binary);
    return sp_cli_json_line(
        json_pack("{s:s?, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "device",
                  s->dev ? s->dev->info.name : NULL, "method", sp_method_name(p->o.method), "time_steps",
                  (json_int_t)p->o.time_steps, "batch", (json_int_t)p->o.batch, "parameters",
                  (json_int_t)s->graph->n_trainable, "binary_weights", (json_int_t)binary, "parameter_bytes",
                  (json_int_t)bytes, "model_bytes", (json_int_t)s->model->bytes, "arena_bytes",
                  (json_int_t)p->arena_bytes, "planned_bytes", (json_int_t)s->planned_bytes,
                  "allocated_bytes", s->dev ? (json_int_t)s->dev->peak_bytes : 0, "shards",
                  (json_int_t)sp_recipe_shards(&s->recipe), "shards_at_once",
                  (json_int_t)shards_at_once(&s->recipe), "steps", steps_json(p)));
}

typedef struct plan_options {
    sp_cli_session session;
    const char *as_type;
    bool json, brief, no_data, no_device, unlimited, hardware;
    sp_cli_hardware budget;
} plan_options;

static sp_status plan(const char *path, const plan_options *o, sp_error *err)
{
    sp_recipe r = {0};
    sp_session *s = NULL;
    sp_session_options so = sp_cli_session_options(&o->session);
    so.unlimited = o->unlimited;
    so.no_device = o->no_device || o->hardware;
    so.device_options.as_type = o->as_type;
    if (!o->hardware && (o->budget.rates || o->budget.elements > 1))
        return SP_FAIL(err, SP_E_USAGE, "--rates and --elements are about --hardware; give it too");
    if (so.no_device && (o->session.device || o->session.programs || o->as_type))
        return SP_FAIL(err, SP_E_USAGE,
                       "--no-device and --hardware plan without a device; leave --device, --as and "
                       "--programs out, or those");
    sp_status st = sp_recipe_load(path, o->session.sets.items, o->session.sets.n, &r, err);
    if (st == SP_OK)
        st = sp_cli_shape_open(&r, o->no_data, &so, &s, err);
    if (st == SP_OK) {
        if (s->dev)
            sp_cli_say_session(s);
        if (o->hardware)
            st = sp_cli_plan_hardware(s, &o->budget, err);
        else if (o->json)
            st = print_json(s);
        else
            print_text(s, o->brief);
    }
    sp_session_close(&s);
    return st;
}

int sp_cmd_plan(int argc, char **argv)
{
    plan_options o = {.budget.elements = 1};
    sp_arg_list rest = {.n = 0};
    const sp_arg args[] = {
        SP_CLI_SET_ARG(o.session),
        SP_CLI_DEVICE_ARGS(o.session),
        SP_CLI_AS_ARG(o.as_type),
        SP_FLAG("brief", 0, &o.brief, "totals only"),
        SP_FLAG("no-data", 0, &o.no_data, "do not look for the data set's files; known sets only"),
        SP_FLAG("no-device", 0, &o.no_device,
                "without any device: layers, steps and memory; no kernels are chosen"),
        SP_FLAG("unlimited", 0, &o.unlimited, "as if the device had any amount of memory"),
        SP_FLAG("hardware", 0, &o.hardware,
                "the network of integers instead: bits, memory blocks, accumulations, cycles, energy; needs "
                "precision.weights"),
        SP_TEXT("rates", 0, &o.budget.rates, "RUN", "with --hardware: firing rates of a run"),
        SP_INTEGER("elements", 0, &o.budget.elements, "N",
                   "with --hardware: multiply-accumulates at once in each layer (default 1)", 1, 1 << 20),
        SP_FLAG("json", 0, &o.json, "one JSON object on stdout"),
    };
    const sp_args a = {.command = "plan",
                       .synopsis = "RECIPE [options]",
                       .about = "Prints what training a recipe would do on a device: layers, steps, the "
                                "kernel of each step and why, and every byte of device memory. Refuses what "
                                "does not fit.",
                       SP_ARGS(args, 1, 1)};
    int code;
    sp_error err = {0};
    if (!sp_args_parse(&a, argc, argv, &rest, &code))
        return code;
    if (!sp_cli_is_type(o.as_type))
        return sp_args_wrong(&a, SP_CLI_NOT_A_TYPE, o.as_type);
    o.budget.json = o.json;
    return plan(rest.items[0], &o, &err) == SP_OK ? 0 : sp_cli_fail("plan", &err);
}
