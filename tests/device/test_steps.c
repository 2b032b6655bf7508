/* Training steps through the library: no allocations once planned, and where the first number that is not
 * finite is. */
#include "data/loader.h"
#include "support.h"
#include "train/train.h"

TestSuite(steps, .init = setup, .fini = teardown);

static const int64_t chw[3] = {3, 8, 8};
enum { BATCH = 6, STEPS = 50 };

static sp_dataset *open_data(int frames)
{
    sp_error err = {0};
    sp_dataset *ds = NULL;
    sp_dataset_options o = {.name = "synthetic",
                            .train = 1,
                            .classes = 4,
                            .channels = 3,
                            .height = 8,
                            .width = 8,
                            .frames = frames,
                            .count = 60,
                            .seed = 3,
                            .std = 1};
    cr_assert_eq(sp_dataset_open(&o, &ds, &err), SP_OK, "%s", err.text);
    return ds;
}

static sp_recipe draw_recipe(sp_method method, int64_t time_steps)
{
    return (sp_recipe){.method = method, .time_steps = time_steps, .backprop_steps = 2, .seed = 4};
}

/* Steps 2 to 50, over borders of epochs, as the training loop does them. */
static void expect_no_allocations(sp_method method, bool sequence, bool adamw)
{
    sp_error err = {0};
    sp_plan_options o = options_of(method, BATCH, 4);
    o.optimizer = adamw ? SP_OPTIMIZER_ADAMW : SP_OPTIMIZER_SGD, o.sequence = sequence;
    rig r = rig_open(EVERY_LAYER, chw, &o);
    sp_dataset *ds = open_data(sequence ? 4 : 0);
    sp_loader *l = NULL;
    sp_loader_options lo = {.batch = BATCH, .shuffle = true, .drop_last = true, .seed = 1, .depth = 3};
    sp_recipe recipe = draw_recipe(method, 4);
    uint8_t mask[4];
    float loss[BATCH], first = 0;
    uint32_t correct[BATCH];
    uint64_t host = 0, device = 0, builds = 0, spikes[64];
    cr_assert_lt(r.g->n_nodes, 64);
    cr_assert_eq(sp_loader_create(ds, &lo, &l, &err), SP_OK, "%s", err.text);
    const int epoch_batches = (int)sp_loader_batches(l);
    for (int i = 0; i < STEPS; i++) {
        const sp_batch *b = NULL;
        if (i % epoch_batches == 0)
            cr_assert_eq(sp_loader_start(l, (uint64_t)(i / epoch_batches), 0, &err), SP_OK, "%s", err.text);
        cr_assert_eq(sp_loader_next(l, &b, &err), SP_OK, "%s", err.text);
        cr_assert_not_null(b);
        sp_session_draw(&recipe, i, mask);
        sp_exec_batch e = {.images = b->images, .labels = b->labels, .backprop = mask, .iteration = i};
        cr_assert_eq(sp_exec_run(r.p, &e, &err), SP_OK, "%s", err.text);
        cr_assert_eq(sp_exec_results(r.p, loss, correct, &err), SP_OK, "%s", err.text);
        cr_assert_eq(sp_exec_update(r.p, 0.01, i + 1, &err), SP_OK, "%s", err.text);
        sp_loader_release(l, b);
        cr_assert_eq(sp_exec_spikes(r.p, spikes, &err), SP_OK, "%s", err.text);
        cr_assert(isfinite(loss[0]));
        if (i == 0) {
            host = sp_mem_count();
            device = dev->n_allocs;
            builds = dev->n_builds;
            first = loss[0];
        }
    }
    cr_assert_eq(sp_mem_count(), host, "%s: %llu host allocations in steps 2 to %d", sp_method_name(method),
                 (unsigned long long)(sp_mem_count() - host), STEPS);
    cr_assert_eq(dev->n_allocs, device, "%s: device allocations", sp_method_name(method));
    cr_assert_eq(dev->n_builds, builds, "%s: programs built", sp_method_name(method));
    cr_assert(host > 0 && device > 0 && loss[0] != first);
    sp_loader_destroy(&l);
    sp_dataset_close(&ds);
    rig_close(&r);
}

Test(steps, allocate_nothing_on_host_or_device)
{
    expect_no_allocations(SP_METHOD_SLTT, false, false);
    expect_no_allocations(SP_METHOD_SLTT_K, false, true);
    expect_no_allocations(SP_METHOD_BPTT, false, false);
    expect_no_allocations(SP_METHOD_OTTT, false, false);
    expect_no_allocations(SP_METHOD_SLTT, true, false);
    expect_no_allocations(SP_METHOD_BPTT, true, true);
}

/* ---- sp_exec_find_nonfinite ---- */

static void expect_where(rig *r, const char *part)
{
    sp_error err = {0};
    char where[256] = "";
    sp_exec_batch b = {.images = r->images, .labels = r->labels, .iteration = 3};
    cr_assert_eq(sp_exec_find_nonfinite(r->p, &b, where, sizeof where, &err), SP_OK, "%s", err.text);
    cr_assert(strstr(where, part), "\"%s\" is not in: %s", part, where);
}

static void set_parameter(rig *r, const char *name, float value)
{
    sp_error err = {0};
    const sp_param *p = sp_graph_param(r->g, name);
    float *x = malloc((size_t)p->elems * sizeof *x);
    for (int64_t i = 0; i < p->elems; i++)
        x[i] = value;
    cr_assert_eq(sp_model_write(r->m, p, SP_RANGE_WEIGHTS, x, &err), SP_OK, "%s", err.text);
    free(x);
}

Test(steps, the_first_number_that_is_not_finite_is_found_by_layer_and_time_step)
{
    static const sp_method methods[] = {SP_METHOD_SLTT, SP_METHOD_BPTT};
    for (int m = 0; m < 2; m++) {
        sp_plan_options o = options_of(methods[m], BATCH, 4);
        o.sequence = true;
        rig r = rig_open(EVERY_LAYER, chw, &o);
        size_t frame = (size_t)BATCH * 3 * 8 * 8;
        cr_assert(isfinite(rig_loss(&r)));
        expect_where(&r, "not found again");

        set_parameter(&r, "0.weight", 1.0f); /* 27 inputs of 3e38: the sum is infinite */
        for (size_t i = 0; i < frame; i++)
            r.images[2 * frame + i] = 3e38f;
        expect_where(&r, "layer 0 conv.forward, time step 3: \"y\" is infinite");

        r.images[frame + 77] = (float)NAN;
        char input[64];
        snprintf(input, sizeof input, "the input data: value %zu of the mini-batch", frame + 77);
        expect_where(&r, input);
        random_data(&r, 21, 0);

        set_parameter(&r, "14.bias", (float)NAN);
        expect_where(&r, "a parameter, before the forward pass: \"14.bias\" is NaN (element 0)");
        rig_close(&r);
    }
}

/* ---- a data set with a bad sample stops training and leaves the checkpoint from before ---- */

static sp_dataset *inner;

static sp_status get_with_nan(const sp_dataset *ds, sp_sample_request want, float *image, int32_t *label,
                              sp_error *err)
{
    sp_status st = inner->get(inner, want, image, label, err);
    if (*(const int *)ds->state && want.index == 40)
        image[5] = (float)NAN;
    return st;
}

static sp_session *open_session(const char *layers)
{
    sp_error err = {0};
    sp_recipe r;
    sp_session *s = NULL;
    char *text =
        sp_format("data: {name: synthetic, classes: 4, channels: 3, height: 8, width: 8, count: 60}\n"
                  "schedule: {time_steps: 4}\nbatch: 6\nepochs: 2\ncheckpoint_every: 1\nnetwork:\n%s",
                  layers);
    sp_session_options o = {.force = (const char *const[]){"*=reference"}, .n_force = 1};
    cr_assert_eq(sp_recipe_parse("test", text, strlen(text), NULL, 0, &r, &err), SP_OK, "%s", err.text);
    cr_assert_eq(sp_session_open(&r, &inner->info, &o, &s, &err), SP_OK, "%s", err.text);
    sp_free(text);
    return s;
}

static void expect_stop_and_recovery(const char *layers, const char *said)
{
    sp_error err = {0};
    char folder[] = "/tmp/spikeport-XXXXXX", line[64];
    int bad = 1;
    inner = open_data(0);
    sp_dataset ds = {.info = inner->info, .get = get_with_nan, .state = &bad};
    cr_assert_not_null(mkdtemp(folder));
    sp_session *s = open_session(layers);
    sp_train_options o = {.out = folder};
    cr_assert_eq(sp_train(s, &ds, inner, &o, &err), SP_E_NUMERIC, "%s", err.text);
    cr_assert(strstr(err.text, said), "\"%s\" is not in: %s", said, err.text);
    sp_session_close(&s);

    sp_checkpoint c;
    cr_assert_eq(sp_checkpoint_open(folder, &c, &err), SP_OK, "%s", err.text);
    cr_assert(c.progress.iteration > 0 && c.progress.iteration < 10, "%lld", (long long)c.progress.iteration);
    bad = 0; /* the data are mended */
    s = open_session(layers);
    o.resume = &c;
    cr_assert_eq(sp_train(s, &ds, inner, &o, &err), SP_OK, "%s", err.text);
    sp_session_close(&s);
    sp_checkpoint_close(&c);
    sp_dataset_close(&inner);
    snprintf(line, sizeof line, "rm -rf %s", folder);
    cr_assert_eq(system(line), 0);
}

Test(steps, a_bad_sample_that_reaches_the_loss_stops_training)
{
    expect_stop_and_recovery("  - {type: flatten}\n  - {type: linear, out: 4}\n", "First seen: the input "
                                                                                  "data: value ");
}

/* A neuron with a potential that is not a number does not fire, so that the loss stays finite: the gradients
 * tell. */
Test(steps, a_bad_sample_that_a_neuron_hides_from_the_loss_stops_training)
{
    expect_stop_and_recovery(EVERY_LAYER, "First seen: the input data: value ");
}
