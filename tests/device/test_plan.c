/* Plans: memory in the number of time steps, planned against allocated, values that must not meet, limits of
 * a device, and what lies in which segment. */
#include "support.h"

TestSuite(plan, .init = setup, .fini = teardown);

static const int64_t chw[3] = {3, 8, 8};
enum { BATCH = 6 };

/* Bytes of a plan with its model; the most that was ever allocated while it lived must be the same number. */
static uint64_t bytes_of(sp_method method, int64_t time_steps, bool sequence, bool adamw)
{
    sp_plan_options o = options_of(method, BATCH, time_steps);
    o.sequence = sequence, o.optimizer = adamw ? SP_OPTIMIZER_ADAMW : SP_OPTIMIZER_SGD;
    cr_assert_eq(dev->live_bytes, 0u);
    dev->peak_bytes = 0; /* the device is kept for the kernels that it has built */
    rig r = rig_open(EVERY_LAYER, chw, &o);
    uint64_t planned = r.p->arena_bytes + r.m->bytes;
    if (method != SP_METHOD_EVAL)
        cr_assert(isfinite(rig_loss(&r)));
    cr_assert_eq(dev->peak_bytes, planned, "%s, T = %lld: %llu bytes planned, %llu at the peak",
                 sp_method_name(method), (long long)time_steps, (unsigned long long)planned,
                 (unsigned long long)dev->peak_bytes);
    rig_close(&r);
    return planned;
}

Test(plan, memory_does_not_grow_with_time_steps_but_for_bptt)
{
    static const sp_method methods[] = {SP_METHOD_SLTT, SP_METHOD_RATE, SP_METHOD_SLTT_K, SP_METHOD_OTTT,
                                        SP_METHOD_EVAL};
    for (int m = 0; m < 5; m++)
        for (int sequence = 0; sequence < (m > 1 ? 1 : 2); sequence++) {
            uint64_t at_5 = bytes_of(methods[m], 5, sequence, false);
            cr_assert_eq(bytes_of(methods[m], 20, sequence, false), at_5, "%s", sp_method_name(methods[m]));
            cr_assert_eq(bytes_of(methods[m], 50, sequence, false), at_5, "%s", sp_method_name(methods[m]));
        }
}

Test(plan, memory_of_bptt_grows_by_the_same_number_of_bytes_with_every_step)
{
    for (int sequence = 0; sequence < 2; sequence++) {
        uint64_t at[4];
        for (int i = 0; i < 4; i++)
            at[i] = bytes_of(SP_METHOD_BPTT, 5 + 15 * i, sequence, true);
        cr_assert_gt(at[1], at[0]);
        cr_assert_eq(at[2] - at[1], at[1] - at[0]);
        cr_assert_eq(at[3] - at[2], at[1] - at[0]);
        cr_assert_eq((at[1] - at[0]) % 15, 0u);
    }
}

Test(plan, memory_of_bptt_at_one_step_is_near_that_of_sltt)
{
    uint64_t bptt = bytes_of(SP_METHOD_BPTT, 1, false, false),
             sltt = bytes_of(SP_METHOD_SLTT, 1, false, false);
    cr_assert_lt(bptt, 2 * sltt, "%llu, %llu", (unsigned long long)bptt, (unsigned long long)sltt);
}

/* Where it is attached while kernels are built, workspaces included, it need not be attached again. */
Test(plan, early_memory_is_that_of_the_finished_plan)
{
    sp_plan_options o = options_of(SP_METHOD_SLTT, BATCH, 4);
    o.early = true;
    for (int i = 0; i < 2; i++) { /* the first time, kernels that are checked take memory too */
        const uint64_t before = dev->n_allocs;
        rig r = rig_open(EVERY_LAYER, chw, &o);
        cr_assert_eq(r.p->attached_bytes, r.p->arena_bytes);
        cr_assert_eq(dev->live_bytes, r.p->arena_bytes + r.m->bytes);
        cr_assert(isfinite(rig_loss(&r)));
        if (i == 1)
            cr_assert_eq(dev->n_allocs - before, 2u, "the model and the arena");
        rig_close(&r);
    }
}

/* ---- values that are alive together do not share memory; found from the steps alone ---- */

typedef struct life {
    int first, last, segments; /* of its use in one segment */
} life;

static void note(life *l, int value, int step)
{
    if (value < 0)
        return;
    l[value].first = l[value].segments ? l[value].first : step;
    l[value].last = step;
    l[value].segments = 1;
}

static void lives_in(const sp_plan *p, int segment, life *l)
{
    memset(l, 0, (size_t)p->n_tensors * sizeof *l);
    for (int i = 0; i < p->segments[segment].n; i++) {
        const sp_step *s = &p->segments[segment].steps[i];
        for (int k = 0; k < SP_OP_MAX_BUFFERS; k++)
            note(l, s->operands[k].tensor, i);
        note(l, s->work, i);
    }
}

static bool ranges_meet(const sp_plan_tensor *a, int ta, const sp_plan_tensor *b, int tb)
{
    return a->at[ta] < b->at[tb] + b->bytes && b->at[tb] < a->at[ta] + a->bytes;
}

/* The step that reads `from` for the last time writes `to` element for element over it. */
static bool in_place(const sp_step *s, int from, int to)
{
    for (int k = 0; k < SP_OP_MAX_BUFFERS && s->call.op->buffers[k].name; k++) {
        const char *alias = s->call.op->buffers[k].alias;
        if (s->operands[k].tensor == to && alias &&
            s->operands[sp_op_buffer_index(s->call.op, alias)].tensor == from)
            return true;
    }
    return false;
}

static bool may_share(const sp_plan *p, int segment, const life *l, int a, int b)
{
    if (l[a].last < l[b].first || l[b].last < l[a].first)
        return true;
    if (l[a].last == l[b].first)
        return in_place(&p->segments[segment].steps[l[a].last], a, b);
    if (l[b].last == l[a].first)
        return in_place(&p->segments[segment].steps[l[b].last], b, a);
    return false;
}

static int slots(const sp_plan *p, const sp_plan_tensor *v)
{
    return (int)sp_plan_slots(p, v);
}

static void expect_apart(const sp_plan *p, int a, int b)
{
    for (int i = 0; i < slots(p, &p->tensors[a]); i++)
        for (int k = 0; k < slots(p, &p->tensors[b]); k++)
            cr_assert(!ranges_meet(&p->tensors[a], i, &p->tensors[b], k), "\"%s\" and \"%s\" overlap",
                      p->tensors[a].name, p->tensors[b].name);
}

static bool has_place(const sp_plan_tensor *v)
{
    return v->lifetime != SP_LIFETIME_MODEL && v->used_in;
}

static void expect_no_overlap(const sp_plan *p)
{
    life *l = calloc((size_t)p->n_tensors, sizeof *l);
    int shared = 0;
    for (int a = 0; a < p->n_tensors; a++)
        for (int b = 0; b < a; b++)
            if (has_place(&p->tensors[a]) && has_place(&p->tensors[b]) &&
                (p->tensors[a].lifetime != SP_LIFETIME_SEGMENT ||
                 p->tensors[b].lifetime != SP_LIFETIME_SEGMENT))
                expect_apart(p, a, b);
    for (int s = 0; s < p->n_segments; s++) {
        lives_in(p, s, l);
        for (int a = 0; a < p->n_tensors; a++)
            for (int b = 0; b < a; b++) {
                const sp_plan_tensor *x = &p->tensors[a], *y = &p->tensors[b];
                if (!l[a].segments || !l[b].segments || x->lifetime != SP_LIFETIME_SEGMENT ||
                    y->lifetime != SP_LIFETIME_SEGMENT)
                    continue;
                if (may_share(p, s, l, a, b))
                    shared += ranges_meet(x, 0, y, 0);
                else
                    expect_apart(p, a, b);
            }
    }
    cr_assert(shared > 0, "no memory is used twice");
    free(l);
}

static void expect_inside(const sp_plan *p)
{
    for (int i = 0; i < p->n_tensors; i++) {
        const sp_plan_tensor *v = &p->tensors[i];
        for (int t = 0; has_place(v) && t < slots(p, v); t++) {
            cr_assert(v->at[t] + v->bytes <= p->arena_bytes && v->at[t] % 256 == 0, "\"%s\"", v->name);
            cr_assert_eq(v->at[t] / p->slab_bytes, (v->at[t] + v->bytes - 1) / p->slab_bytes,
                         "\"%s\" crosses a slab", v->name);
        }
    }
}

enum { DIRECT, LOWERED, HALF, WAYS };
static const sp_method all_methods[] = {SP_METHOD_SLTT, SP_METHOD_SLTT_K, SP_METHOD_BPTT, SP_METHOD_OTTT,
                                        SP_METHOD_EVAL};

Test(plan, values_that_are_alive_together_lie_apart)
{
    for (int m = 0; m < 5; m++)
        for (int way = 0; way < WAYS; way++) {
            sp_plan_options o = options_of(all_methods[m], BATCH, 4);
            o.half = way == HALF;
            if (way == LOWERED)
                force("conv=im2col_gemm");
            rig r = rig_open(EVERY_LAYER, chw, &o);
            expect_no_overlap(r.p);
            expect_inside(r.p);
            rig_close(&r);
            load_registry();
        }
}

static void fill_arena(const sp_plan *p, int byte)
{
    sp_error err = {0};
    for (int i = 0; i < p->n_slabs; i++) {
        uint64_t left = p->arena_bytes - (uint64_t)i * p->slab_bytes,
                 n = left < p->slab_bytes ? left : p->slab_bytes;
        void *x = malloc(n);
        memset(x, byte, n);
        cr_assert_eq(sp_device_write(dev, (sp_range){p->slabs[i], 0}, x, n, true, &err), SP_OK, "%s",
                     err.text);
        free(x);
    }
}

/* With zeros in the arena, and with bytes that are NaN as a float and as a half, and every spike as bits: the
 * same to the last bit. */
Test(plan, nothing_is_read_before_it_is_written)
{
    for (int m = 0; m < 5; m++)
        for (int way = 0; way < WAYS; way++) {
            static const uint8_t some[4] = {0, 1, 0, 1};
            sp_plan_options o = options_of(all_methods[m], BATCH, 4);
            float *g[2];
            double loss[2];
            o.half = way == HALF;
            if (way == LOWERED)
                force("conv=im2col_gemm");
            rig r = rig_open(EVERY_LAYER, chw, &o);
            r.backprop = all_methods[m] == SP_METHOD_SLTT_K ? some : NULL;
            for (int k = 0; k < 2; k++) {
                fill_arena(r.p, k ? 0xff : 0);
                loss[k] = rig_loss(&r);
                g[k] = rig_read(&r, o.method == SP_METHOD_EVAL ? SP_RANGE_WEIGHTS : SP_RANGE_GRADIENTS);
            }
            cr_assert(isfinite(loss[0]) && loss[0] == loss[1], "%s: %g, %g", sp_method_name(all_methods[m]),
                      loss[0], loss[1]);
            cr_assert_eq(memcmp(g[0], g[1], (size_t)r.g->n_trainable * sizeof(float)), 0, "%s",
                         sp_method_name(all_methods[m]));
            free(g[0]), free(g[1]);
            rig_close(&r);
            load_registry();
        }
}

/* Norms over all time steps: three of them, one read twice, one of the raw input. */
static const char stages[] = "  - {type: td_batch_norm}\n"
                             "  - {type: conv, out: 8, kernel: 3, padding: 1}\n"
                             "  - {type: td_batch_norm}\n"
                             "  - type: residual\n"
                             "    pre: [{type: lif}]\n"
                             "    branch: [{type: conv, out: 8, kernel: 3, padding: 1}, {type: "
                             "td_batch_norm}]\n"
                             "    identity_from: input\n"
                             "  - {type: lif}\n"
                             "  - {type: flatten}\n"
                             "  - {type: linear, out: 4}\n";

static uint64_t digest_of(const char *pool)
{
    char layers[256];
    snprintf(layers, sizeof layers,
             "  - {type: td_batch_norm}\n  - {type: lif}\n  - {type: %s, kernel: 2}\n  - {type: flatten}\n"
             "  - {type: linear, out: 4}\n",
             pool);
    sp_plan_options o = options_of(SP_METHOD_BPTT, BATCH, 4);
    rig r = rig_open(layers, chw, &o);
    uint64_t digest = sp_plan_digest(r.p);
    rig_close(&r);
    return digest;
}

/* Programs compiled ahead of time are told apart by the digest: it must see what comes after a norm over all
 * time steps. */
Test(plan, the_digest_sees_every_stage)
{
    cr_assert_eq(digest_of("avg_pool"), digest_of("avg_pool"));
    cr_assert_neq(digest_of("avg_pool"), digest_of("max_pool"));
}

Test(plan, stages_share_memory_and_keep_apart_what_lives_together)
{
    for (int sequence = 0; sequence < 2; sequence++) {
        sp_plan_options o = options_of(SP_METHOD_BPTT, BATCH, 4);
        o.sequence = sequence;
        rig r = rig_open(stages, chw, &o);
        int contiguous = 0;
        cr_assert_eq(r.p->n_stages, 4);
        expect_no_overlap(r.p);
        for (int i = 0; i < r.p->n_tensors; i++) {
            const sp_plan_tensor *v = &r.p->tensors[i];
            for (int t = 1; v->contiguous && t < 4; t++, contiguous++)
                cr_assert_eq(v->at[t] - v->at[t - 1], v->bytes, "\"%s\" has a gap", v->name);
            cr_assert(!v->contiguous ||
                          v->at[0] / r.p->slab_bytes == (v->at[3] + v->bytes - 1) / r.p->slab_bytes,
                      "%s", v->name);
        }
        cr_assert_eq(contiguous, 3 * 9, "%d joints",
                     contiguous); /* of each norm: its input, both gradients */
        float *g[2];
        for (int k = 0; k < 2; k++) { /* nothing is read before it is written */
            fill_arena(r.p, k ? 0xff : 0);
            cr_assert(isfinite(rig_loss(&r)));
            g[k] = rig_read(&r, SP_RANGE_GRADIENTS);
        }
        cr_assert_eq(memcmp(g[0], g[1], (size_t)r.g->n_trainable * sizeof(float)), 0);
        free(g[0]), free(g[1]);
        rig_close(&r);
    }
}

/* ---- limits of a device ---- */

Test(plan, small_allocations_of_a_device_change_nothing_but_the_number_of_buffers)
{
    float *grads[2];
    int64_t n = 0;
    force("*=reference"); // kernels for other devices want larger pieces; of these the sums of gradients want
                          // 64 KiB
    for (int small = 0; small < 2; small++) {
        sp_plan_options o = options_of(SP_METHOD_BPTT, BATCH, 4);
        if (small)
            dev->info.max_alloc_bytes = 64 * 1024;
        rig r = rig_open(EVERY_LAYER, chw, &o);
        cr_assert(small ? r.p->n_slabs > 3 : r.p->n_slabs == 1, "%d buffers", r.p->n_slabs);
        expect_no_overlap(r.p);
        expect_inside(r.p);
        grads[small] = rig_gradient(&r);
        n = r.g->n_trainable;
        rig_close(&r);
    }
    cr_assert_eq(memcmp(grads[0], grads[1], (size_t)n * sizeof(float)), 0);
    free(grads[0]), free(grads[1]);
}

static void expect_refused(sp_method method, uint64_t one_buffer, uint64_t whole, const char *a,
                           const char *b)
{
    sp_error err = {0};
    sp_model *m = NULL;
    sp_plan *p = NULL;
    sp_graph *g = graph_of(EVERY_LAYER, chw);
    sp_plan_options o = options_of(method, BATCH, 4);
    cr_assert_eq(sp_model_create(g, dev, &o, &m, &err), SP_OK, "%s", err.text);
    sp_device_info info = dev->info;
    dev->info.max_alloc_bytes = one_buffer;
    dev->info.global_bytes = whole;
    cr_assert_eq(sp_plan_create(g, m, reg, &o, &p, &err), SP_E_DEVICE, "accepted");
    dev->info = info;
    cr_assert(strstr(err.text, a) && strstr(err.text, b), "\"%s\" lacks \"%s\" or \"%s\"", err.text, a, b);
    cr_assert(strstr(err.text, dev->info.name), "%s", err.text);
    cr_assert_null(p);
    sp_model_destroy(&m);
    sp_graph_destroy(&g);
}

Test(plan, what_does_not_fit_is_refused_with_a_way_out)
{
    uint64_t most = dev->info.max_alloc_bytes;
    expect_refused(SP_METHOD_SLTT, 4096, dev->info.global_bytes, "in one piece", "smaller batch");
    expect_refused(SP_METHOD_SLTT, most, 100 * 1024, "the plan needs", "smaller batch");
    expect_refused(SP_METHOD_BPTT, most, 100 * 1024, "the plan needs", "sltt, whose memory does not grow");
    cr_assert_eq(dev->live_bytes, 0u);
}

Test(plan, unknown_fragments_are_refused_with_the_known_ones)
{
    static const struct {
        const char *layers, *message;
    } cases[] = {{"  - {type: flatten}\n  - {type: linear, out: 4}\n  - {type: lif, surrogate: triangel}\n  "
                  "- {type: linear, out: 4}\n",
                  "there is no surrogate \"triangel\""},
                 {"  - {type: flatten}\n  - {type: linear, out: 4}\n  - {type: lif, model: izhikevich}\n  - "
                  "{type: linear, out: 4}\n",
                  "there is no neuron model \"izhikevich\""}};
    for (int i = 0; i < 2; i++) {
        sp_error err = {0};
        sp_model *m = NULL;
        sp_plan *p = NULL;
        sp_graph *g = graph_of(cases[i].layers, chw);
        sp_plan_options o = options_of(SP_METHOD_SLTT, BATCH, 4);
        cr_assert_eq(sp_model_create(g, dev, &o, &m, &err), SP_OK);
        cr_assert_eq(sp_plan_create(g, m, reg, &o, &p, &err), SP_E_CONFIG);
        cr_assert(strstr(err.text, cases[i].message), "%s", err.text);
        cr_assert(strstr(err.text, i ? "lif" : "triangle"), "%s", err.text);
        sp_model_destroy(&m);
        sp_graph_destroy(&g);
    }
}

/* ---- segments and the timeline ---- */

static int count_ops(const sp_plan *p, int segment, const char *op)
{
    int n = 0;
    for (int i = 0; i < p->segments[segment].n; i++)
        n += strncmp(p->segments[segment].steps[i].call.op->id, op, strlen(op)) == 0;
    return n;
}

static int count_backward(const sp_plan *p, int segment)
{
    int n = 0;
    for (int i = 0; i < p->segments[segment].n; i++)
        n += strstr(p->segments[segment].steps[i].call.op->id, "backward") != NULL;
    return n;
}

static int count_moments(const sp_plan *p, int segment)
{
    int n = 0;
    for (int i = 0; i < p->n_timeline; i++)
        n += p->timeline[i].segment == segment;
    return n;
}

Test(plan, sltt_backpropagates_at_every_step_and_bptt_after_the_last)
{
    sp_plan_options o = options_of(SP_METHOD_SLTT, BATCH, 5);
    rig r = rig_open(EVERY_LAYER, chw, &o);
    cr_assert(count_moments(r.p, SP_SEGMENT_FULL) == 5 && count_moments(r.p, SP_SEGMENT_FORWARD) == 0);
    cr_assert_gt(count_backward(r.p, SP_SEGMENT_FULL), 8);
    cr_assert_eq(count_ops(r.p, SP_SEGMENT_FULL, "optimizer"), 0);
    cr_assert_eq(count_ops(r.p, SP_SEGMENT_UPDATE, "optimizer.sgd"), 1);
    rig_close(&r);

    o.method = SP_METHOD_BPTT;
    r = rig_open(EVERY_LAYER, chw, &o);
    cr_assert(count_moments(r.p, SP_SEGMENT_FORWARD) == 5 && count_moments(r.p, SP_SEGMENT_BACKWARD) == 5);
    cr_assert_eq(count_backward(r.p, SP_SEGMENT_FORWARD), 0);
    for (int i = 0; i < 5; i++) {
        cr_assert(r.p->timeline[1 + i].segment == SP_SEGMENT_FORWARD && r.p->timeline[1 + i].t == i);
        cr_assert(r.p->timeline[6 + i].segment == SP_SEGMENT_BACKWARD && r.p->timeline[6 + i].t == 4 - i);
    }
    rig_close(&r);
}

static uint64_t launches_with(rig *r, const uint8_t *mask)
{
    uint64_t before = dev->n_launches;
    r->backprop = mask;
    rig_run(r);
    return dev->n_launches - before;
}

Test(plan, sltt_k_leaves_out_the_backward_steps_of_what_was_not_drawn)
{
    static const uint8_t none[5] = {0}, one[5] = {0, 0, 1, 0, 0}, three[5] = {1, 0, 1, 0, 1},
                         every[5] = {1, 1, 1, 1, 1};
    sp_plan_options o = options_of(SP_METHOD_SLTT_K, BATCH, 5);
    rig r = rig_open(EVERY_LAYER, chw, &o);
    cr_assert_eq(count_backward(r.p, SP_SEGMENT_FORWARD), 0);
    cr_assert_eq(count_ops(r.p, SP_SEGMENT_FORWARD, "loss"), 0);
    /* training mode at every step; the norm behind the first layer of a still image is in front of all steps
     */
    cr_assert_eq(count_ops(r.p, SP_SEGMENT_FORWARD, "batch_norm.statistics"), 1);
    cr_assert_eq(count_ops(r.p, SP_SEGMENT_BEGIN, "batch_norm.statistics"), 1);
    uint64_t n0 = launches_with(&r, none), n1 = launches_with(&r, one), n3 = launches_with(&r, three);
    cr_assert(n1 > n0 && n3 - n0 == 3 * (n1 - n0), "%llu %llu %llu", (unsigned long long)n0,
              (unsigned long long)n1, (unsigned long long)n3);
    float *all = (launches_with(&r, every), rig_read(&r, SP_RANGE_GRADIENTS));
    rig_close(&r);
    o.method = SP_METHOD_SLTT;
    r = rig_open(EVERY_LAYER, chw, &o);
    float *sltt = rig_gradient(&r);
    expect_same_gradient(r.g, all, sltt, 1e-6, "sltt-k with K = T");
    free(all), free(sltt);
    rig_close(&r);
}

Test(plan, the_first_layer_runs_once_a_mini_batch_when_its_input_does_not_change)
{
    force("conv=reference"); // where convolutions are lowered there is no conv.forward to count
    for (int sequence = 0; sequence < 2; sequence++) {
        sp_plan_options o = options_of(SP_METHOD_SLTT, BATCH, 3);
        o.sequence = sequence;
        rig r = rig_open(EVERY_LAYER, chw, &o);
        cr_assert_eq(count_ops(r.p, SP_SEGMENT_BEGIN, "conv.forward"), sequence ? 0 : 1);
        cr_assert_eq(count_ops(r.p, SP_SEGMENT_FULL, "conv.forward"), sequence ? 3 : 2);
        rig_close(&r);
    }
}

/* The same input as a sequence gives the gradient of the still input. */
Test(plan, a_sequence_of_equal_frames_is_a_still_input)
{
    static const sp_method methods[] = {SP_METHOD_SLTT, SP_METHOD_BPTT, SP_METHOD_OTTT};
    for (int m = 0; m < 3; m++) {
        sp_plan_options o = options_of(methods[m], BATCH, 3);
        rig still = rig_open(EVERY_LAYER, chw, &o);
        o.sequence = true;
        rig moving = rig_open(EVERY_LAYER, chw, &o);
        size_t n = (size_t)BATCH * (size_t)sp_act_elems(&still.g->acts[0]);
        for (size_t t = 0; t < 3; t++)
            memcpy(moving.images + t * n, still.images, n * sizeof(float));
        float *a = rig_gradient(&still), *b = rig_gradient(&moving);
        expect_same_gradient(still.g, b, a, 1e-5, sp_method_name(methods[m]));
        free(a), free(b);
        rig_close(&still);
        rig_close(&moving);
    }
}
