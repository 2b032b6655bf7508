/* Inputs of a case, and what the reference makes of them. Random numbers are a function of (seed, call,
 * buffer), so that a failing call draws the same inputs when it is repeated alone. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/rng.h"
#include "check/case.h"
#include "op/half.h"

typedef enum {
    UNIFORM,     /* -1..1, one element in ten zero */
    POSITIVE,    /* 0.05..2 */
    SMALL,       /* 0..0.01, some exactly 0 */
    AROUND_ONE,  /* 0.5..1.5 */
    ONE_OR_ZERO, /* the same, or exactly 0, which a kernel must not divide by */
    OFFSET,      /* uniform plus 2 in every third column: a mean that is not 0 */
    STEPS,       /* multiples of 1/4, so that a maximum has ties */
    LOGITS,      /* rows of size 1, 5 and 60 */
    MEMBRANE,    /* around the threshold and the kinks of a surrogate, ties included */
    CURRENT,     /* makes potentials that tie where nothing was rounded */
    LABELS,      /* 0..K-1, some -1 */
    COUNTS,      /* 0..999 */
    BELOW_200,   /* 1..200 */
    SIGNED,      /* -200..200 */
    WORDS        /* bits at random */
} kind;

static const struct {
    const char *op, *buffer; /* start of the op's id, NULL any */
    kind kind;
} kinds[] = {
    {NULL, "gamma", AROUND_ONE},
    {NULL, "gain", AROUND_ONE},
    {NULL, "scale", AROUND_ONE},
    {NULL, "running_var", POSITIVE},
    {NULL, "rstd", POSITIVE},
    {NULL, "step_rstd", POSITIVE},
    {"optimizer.adamw", "v", SMALL},
    {"optimizer.flip", "v", SMALL},
    {"optimizer.flip", "w", WORDS},
    {"binary", "w", WORDS},
    {"gradient.clip", "norm", POSITIVE},
    {"quantise.apply", "largest", POSITIVE},
    {NULL, "labels", LABELS},
    {"loss", "class_weights", POSITIVE},
    {NULL, "count", COUNTS},
    {"integer.", "threshold", BELOW_200},
    {"integer.", "x", SIGNED},
    {"integer.", "w", SIGNED},
    {"integer.", "bias", SIGNED},
    {"integer.", "reset", SIGNED},
    {"integer.", "u_prev", SIGNED},
    {"neuron.", "u", MEMBRANE},
    {"neuron.", "u_prev", MEMBRANE},
    {"neuron.", "th", AROUND_ONE},
    {"neuron.forward", "x", CURRENT},
    {"activation.", "threshold", AROUND_ONE},
    {"activation.", "x", CURRENT},
    {"pool.max", "x", STEPS},
    {"metrics.correct", "sum", STEPS},
    {"loss", "logits", LOGITS},
    {"loss.local", "norm", ONE_OR_ZERO},
    {"batch_norm.statistics", "x", OFFSET},
    {"layer_norm.forward", "x", OFFSET},
};

/* Contents that the contract says are not read when the scalar is set: they are NaN then. */
static const struct {
    const char *op, *buffer, *scalar;
} unread[] = {
    {"neuron.forward", "u_prev", "first"},
    {"neuron.forward_ext", "aux_prev", "first"},
    {"neuron.backward", "carry", "last"}, /* and of those that begin alike */
    {"neuron.backward_ext", "carry_aux", "last"},
    {"neuron.backward_ext", "u_prev", "first"},
    {"neuron.backward_ext", "aux_prev", "first"},
    {"trace.update", "trace", "first"},
    {"neuron.trace", "trace", "first"},
    {"neuron.trace", "u_prev", "first"},
    {"neuron.stabilise", "ratio", "first"},
    {"neuron.forward_rate", "f", "block_start"},
    {"neuron.forward_rate", "e", "block_start"},
    {"neuron.forward_rate", "count", "block_start"},
    {"neuron.forward_rate", "x_mean", "block_start"},
    {"neuron.fire_rate", "f", "block_start"},
    {"neuron.fire_rate", "e", "block_start"},
    {"neuron.fire_rate", "count", "block_start"},
    {"mean.accumulate", "mean", "block_start"},
    {"batch_norm.online_add", "mean", "first"},
    {"batch_norm.online_add", "m2", "first"},
    {"batch_norm.rate", "mean", "block_start"},
    {"batch_norm.rate", "rstd", "block_start"},
    {"logits.accumulate", "sum", "first"},
    {"synapse.forward", "y_prev", "first"},
    {"synapse.backward", "y_prev", "first"},
    {"synapse.backward", "carry", "last"},
    {"integer.neuron", "u_prev", "first"},
};

void sp_check_describe(const sp_op_call *call, char *out, size_t size)
{
    sp_call_describe(call, out, size);
    for (int i = 0; i < SP_OP_MAX_INTS && call->op->ints[i]; i++) {
        size_t used = strlen(out);
        if (sp_op_scalar_is_dynamic(call->op->ints[i]) && call->ints[i] && used + 1 < size)
            snprintf(out + used, size - used, " %s=%lld", call->op->ints[i], (long long)call->ints[i]);
    }
}

static bool starts(const char *text, const char *start)
{
    return !start || strncmp(text, start, strlen(start)) == 0;
}

static kind kind_of(const sp_op *op, const char *buffer)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (starts(op->id, kinds[i].op) && strcmp(buffer, kinds[i].buffer) == 0)
            return kinds[i].kind;
    return UNIFORM;
}

static bool is_unread(const sp_op_call *call, const char *buffer)
{
    for (size_t i = 0; i < sizeof unread / sizeof *unread; i++)
        if (starts(call->op->id, unread[i].op) && strcmp(buffer, unread[i].buffer) == 0)
            return sp_call_int(call, unread[i].scalar) != 0;
    return false;
}

static float number_of(const sp_op_call *call, const char *name, float otherwise)
{
    for (int i = 0; i < SP_OP_MAX_FLOATS && call->op->floats[i]; i++)
        if (strcmp(call->op->floats[i], name) == 0)
            return (float)call->floats[i];
    return otherwise;
}

static float one_up_or_down(float x, sp_rng *r)
{
    return nextafterf(x, sp_rng_below(r, 2) ? INFINITY : -INFINITY);
}

static float draw_membrane(const sp_op_call *call, sp_rng *r)
{
    float v_th = number_of(call, "v_th", 1), width = number_of(call, "width", 1);
    switch (sp_rng_below(r, 20)) {
    case 0: return v_th;
    case 1: return one_up_or_down(v_th, r);
    case 2: return v_th + (sp_rng_below(r, 2) ? width : -width) * 0.5f;
    case 3: return v_th + (sp_rng_below(r, 2) ? width : -width);
    case 4: return 20 * v_th * (2 * sp_rng_uniform(r) - 1);
    default: return v_th * (3 * sp_rng_uniform(r) - 1);
    }
}

static float draw_current(const sp_op_call *call, sp_rng *r)
{
    float tie = number_of(call, "v_th", 1) / number_of(call, "x_gain", 1);
    switch (sp_rng_below(r, 20)) {
    case 0: return tie;
    case 1: return one_up_or_down(tie, r);
    case 2: return 0;
    default: return tie * (4 * sp_rng_uniform(r) - 2);
    }
}

static float draw(const sp_op_call *call, kind k, int64_t row, int64_t col, sp_rng *r)
{
    static const float logit_range[3] = {1, 5, 60};
    switch (k) {
    case POSITIVE: return 0.05f + 1.95f * sp_rng_uniform(r);
    case SMALL: return sp_rng_below(r, 8) ? 0.01f * sp_rng_uniform(r) : 0;
    case AROUND_ONE: return 0.5f + sp_rng_uniform(r);
    case ONE_OR_ZERO: return sp_rng_below(r, 2) ? 0.5f + sp_rng_uniform(r) : 0;
    case OFFSET: return 2 * sp_rng_uniform(r) - (col % 3 == 1 ? -1.0f : 1.0f);
    case STEPS: return 0.25f * (float)sp_rng_below(r, 9) - 1;
    case LOGITS: return logit_range[row % 3] * (2 * sp_rng_uniform(r) - 1);
    case MEMBRANE: return draw_membrane(call, r);
    case CURRENT: return draw_current(call, r);
    default: return sp_rng_below(r, 10) ? 2 * sp_rng_uniform(r) - 1 : 0;
    }
}

/* Spikes: every other buffer has rows of no, few, some and all spikes; else few or most neurons fire
 * everywhere, or some channels fire and others do not, because kernels choose their way by such rates. Bits
 * past the last column stay zero. */
static void fill_spikes(sp_check_buffer *b, sp_rng *r)
{
    static const uint32_t mixed[8] = {30, 5, 100, 30, 0, 5, 30, 50}, few[8] = {5, 0, 8, 5, 5, 3, 0, 5},
                          most[8] = {90, 100, 80, 95, 90, 60, 90, 100};
    static const uint32_t *const by_row[6] = {mixed, mixed, mixed, few, most, NULL};
    const uint32_t *percent = by_row[sp_rng_below(r, 6)];
    int64_t row_words = b->words / b->rows;
    for (int64_t m = 0; m < b->rows; m++) {
        uint32_t p = percent ? percent[sp_rng_below(r, 8)] : 0;
        for (int64_t c = 0; c < b->cols; c++)
            if (sp_rng_below(r, 100) < (percent ? p : mixed[c % 8]))
                b->initial[m * row_words + c / 32] |= UINT32_C(1) << (c % 32);
    }
}

static void fill_integers(const sp_op_call *call, sp_check_buffer *b, kind k, sp_rng *r)
{
    uint32_t below = k == LABELS      ? (uint32_t)sp_call_int(call, "K")
                     : k == BELOW_200 ? 200
                     : k == SIGNED    ? 401
                                      : 1000;
    uint32_t from = k == BELOW_200 ? 1 : k == SIGNED ? 0u - 200u : 0;
    for (int64_t i = 0; i < b->words; i++)
        b->initial[i] = k == WORDS                               ? sp_rng_u32(r)
                        : k == LABELS && sp_rng_below(r, 7) == 0 ? UINT32_MAX
                                                                 : from + sp_rng_below(r, below);
}

static void fill(const sp_op_call *call, sp_check_buffer *b, uint64_t seed, uint64_t stream)
{
    sp_rng r = sp_rng_make(seed, sp_hash(stream, b->name, strlen(b->name)));
    kind k = kind_of(call->op, b->name);
    if (b->access == SP_OUT || is_unread(call, b->name)) {
        for (int64_t i = 0; i < b->words; i++)
            b->initial[i] = b->half ? SP_CHECK_POISON_HALF : SP_CHECK_POISON;
    } else if (b->bits) {
        fill_spikes(b, &r);
    } else if (b->type != SP_F32) {
        fill_integers(call, b, k, &r);
    } else {
        for (int64_t i = 0; i < b->rows * b->cols; i++) {
            float v = draw(call, k, i / b->cols, i % b->cols, &r);
            if (b->half)
                ((uint16_t *)b->initial)[i] = sp_half_from_float(v);
            else
                memcpy(&b->initial[i], &v, sizeof v);
        }
    }
    memcpy(b->expected, b->initial, (size_t)b->words * sizeof *b->expected);
}

static sp_status buffer_init(sp_check_case *c, int i, uint64_t stream, sp_error *err)
{
    const sp_op_call *call = &c->call;
    sp_check_buffer *b = &c->buffers[i];
    *b = (sp_check_buffer){.name = call->op->buffers[i].name, .present = sp_call_has_buffer(call, i)};
    if (!b->present)
        return SP_OK;
    b->bits = sp_call_buffer_is_bits(call, i);
    b->half = sp_call_buffer_is_half(call, i);
    b->access = sp_call_buffer_access(call, i);
    b->type = b->bits ? SP_U32 : call->op->buffers[i].type;
    b->rows = sp_call_buffer_rows(call, i);
    b->cols = sp_call_buffer_cols(call, i);
    b->words = sp_call_buffer_elems(call, i);
    if (b->rows < 1 || b->cols < 1)
        return SP_FAIL(err, SP_E_USAGE, "op %s: buffer %s is empty (%lld x %lld)", call->op->id, b->name,
                       (long long)b->rows, (long long)b->cols);
    b->initial = sp_alloc_array((size_t)b->words, 4);
    b->expected = sp_alloc_array((size_t)b->words, 4);
    b->got = sp_alloc_array((size_t)b->words, 4);
    if (!b->initial || !b->expected || !b->got)
        return SP_FAIL(err, SP_E_MEMORY, "no memory for buffer %s of op %s (%lld elements)", b->name,
                       call->op->id, (long long)b->words);
    fill(call, b, c->seed, stream);
    return SP_OK;
}

sp_status sp_check_case_draw(sp_check_case *c, const sp_op_call *call, uint64_t seed, sp_error *err)
{
    *c = (sp_check_case){.call = *call, .seed = seed};
    char text[512];
    sp_check_describe(call, text, sizeof text);
    uint64_t stream = sp_hash(sp_hash(SP_HASH_START, call->op->id, strlen(call->op->id)), text, strlen(text));
    for (int i = 0; i < SP_OP_MAX_BUFFERS && call->op->buffers[i].name; i++) {
        c->n_buffers = i + 1;
        sp_status st = buffer_init(c, i, stream, err);
        if (st != SP_OK) {
            sp_check_case_fini(c);
            return st;
        }
    }
    return SP_OK;
}

void sp_check_case_expect(sp_check_case *c)
{
    void *pointers[SP_OP_MAX_BUFFERS] = {0};
    for (int i = 0; i < c->n_buffers; i++)
        pointers[i] = c->buffers[i].expected;
    if (c->call.op->reference)
        c->call.op->reference(&c->call, pointers);
}

sp_status sp_check_case_init(sp_check_case *c, const sp_op_call *call, uint64_t seed, sp_error *err)
{
    SP_TRY(sp_check_case_draw(c, call, seed, err));
    sp_check_case_expect(c);
    return SP_OK;
}

void sp_check_case_fini(sp_check_case *c)
{
    for (int i = 0; i < c->n_buffers; i++) {
        sp_free(c->buffers[i].initial);
        sp_free(c->buffers[i].expected);
        sp_free(c->buffers[i].got);
    }
    c->n_buffers = 0;
}

int sp_check_alias_of(const sp_check_case *c, int i)
{
    const char *alias = c->call.op->buffers[i].alias;
    int in = alias ? sp_op_buffer_index(c->call.op, alias) : -1;
    if (in < 0 || !c->buffers[i].present || !c->buffers[in].present)
        return -1;
    return c->buffers[in].words == c->buffers[i].words && c->buffers[in].bits == c->buffers[i].bits &&
                   c->buffers[in].half == c->buffers[i].half
               ? in
               : -1;
}
