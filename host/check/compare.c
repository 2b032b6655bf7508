/* Comparators: floats against the largest value of the buffer, integers and bits exactly, spikes of a neuron
 * with room for a last-bit difference at the threshold, and consistency of the spikes with the potentials
 * beside them. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "check/case.h"
#include "op/fragments_ref.h"
#include "op/half.h"

static float as_float(uint32_t word)
{
    float f;
    memcpy(&f, &word, sizeof f);
    return f;
}

/* Element i of a float buffer; `words` is its initial, expected or got. */
static float value_at(const sp_check_buffer *b, const uint32_t *words, int64_t i)
{
    return b->half ? sp_half_to_float(((const uint16_t *)words)[i]) : as_float(words[i]);
}

static int64_t n_values(const sp_check_buffer *b)
{
    return b->half ? b->rows * b->cols : b->words;
}

static const sp_check_buffer *buffer_named(const sp_check_case *c, const char *name)
{
    int i = sp_op_buffer_index(c->call.op, name);
    return i < 0 ? NULL : &c->buffers[i];
}

static bool op_is(const sp_check_case *c, const char *family)
{
    size_t n = strlen(family);
    return strncmp(c->call.op->id, family, n) == 0 && c->call.op->id[n] == '/';
}

typedef enum { INITIAL, EXPECTED, GOT } content;

static float element(const sp_check_case *c, const char *buffer, content which, int64_t i)
{
    const sp_check_buffer *b = buffer_named(c, buffer);
    return value_at(b, which == INITIAL ? b->initial : which == EXPECTED ? b->expected : b->got, i);
}

static bool is_neuron_op(const sp_check_case *c, const char *pass)
{
    static const char *const kinds[] = {"", "_ext", "_norm", "_pool", "_rate", "_sum"};
    char op[64];
    bool is = false;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        snprintf(op, sizeof op, "%s%s", pass, kinds[i]);
        is |= op_is(c, op);
    }
    return is;
}

/* v_th, or what is learnt of the layer or the channel; where the threshold follows a second state, what it
 * makes of that. */
static float threshold_of(const sp_check_case *c, content which, int64_t i)
{
    sp_neuron_args p = {.v_th = (float)sp_call_float(&c->call, "v_th")};
    const sp_check_buffer *learnt = buffer_named(c, "th");
    if (learnt && learnt->present)
        p.v_th =
            element(c, "th", INITIAL, sp_call_flag(&c->call, "EACH") ? i % sp_call_int(&c->call, "C") : 0);
    const sp_check_buffer *aux = buffer_named(c, "aux");
    if (!aux || !aux->present || !sp_call_flag(&c->call, "ADAPT"))
        return p.v_th;
    sp_aux_args q = {(float)sp_call_float(&c->call, "aux_decay"), (float)sp_call_float(&c->call, "aux_gain")};
    return sp_neuron_ref_threshold(sp_neuron_ref_find(c->call.neuron), element(c, "aux", which, i), &p, &q);
}

static const double FLIPS_WITHIN = 4e-6; /* of the threshold, by rounding */

/* A spike may differ from the reference only where the reference's potential is near the threshold: rounding,
 * or the error an approximate variant states. */
static bool may_flip(const sp_check_case *c, double near, int64_t i)
{
    double u = (double)element(c, "u", EXPECTED, i);
    return fabs(u - (double)threshold_of(c, EXPECTED, i)) <=
           fmax(near, buffer_named(c, "u")->half ? 1e-3 : 0) * fmax(1.0, fabs(u));
}

/* A surrogate that jumps may be evaluated on either side of the jump where the distance to it was rounded.
 * Exact distances (powers of two) are not excused. What follows from a spike is judged with it. */
static bool near_kink(const sp_check_case *c, const sp_check_buffer *b, int64_t i)
{
    const bool forward = op_is(c, "neuron.forward_rate");
    const sp_check_buffer *u = buffer_named(c, "u");
    const bool known = is_neuron_op(c, "neuron.backward") || op_is(c, "neuron.fire_rate");
    if ((!forward && !known) || b == u || n_values(b) != n_values(u))
        return false;
    if (forward && may_flip(c, FLIPS_WITHIN, i))
        return true;
    const content which = forward ? EXPECTED : INITIAL;
    double d = fabs((double)element(c, "u", which, i) - (double)threshold_of(c, which, i));
    double width = sp_call_float(&c->call, "width");
    double to_half = fabs(d - width / 2), to_whole = fabs(d - width);
    int exponent;
    bool exact = frexp(width, &exponent) == 0.5 && (to_half == 0 || to_whole == 0);
    return !exact && (to_half < 1e-6 || to_whole < 1e-6);
}

static void say_first(const sp_check_buffer *b, int64_t i, const char *got, const char *want,
                      sp_check_verdict *out)
{
    snprintf(out->text, sizeof out->text,
             "%s[%" PRId64 "][%" PRId64 "] (of %" PRId64 " x %" PRId64 ") is %s, should be %s", b->name,
             i / b->cols, i % b->cols, b->rows, b->cols, got, want);
}

static void append(sp_check_verdict *out, const char *text)
{
    size_t used = strlen(out->text);
    snprintf(out->text + used, sizeof out->text - used, "%s", text);
}

/* got as text, in words where it is no number. */
static void float_text(const sp_check_buffer *b, int64_t i, char *out, size_t size)
{
    float f = value_at(b, b->got, i);
    if (b->half ? ((const uint16_t *)b->got)[i] == (SP_CHECK_POISON_HALF & 0xffff)
                : b->got[i] == SP_CHECK_POISON)
        snprintf(out, size, "not written");
    else if (!isfinite(f))
        snprintf(out, size, "not finite (%g)", (double)f);
    else
        snprintf(out, size, "%.9g", (double)f);
}

static bool float_is_bad(float got, float want, double allowed)
{
    if (!isfinite(want))
        return !(isnan(want) ? isnan(got) : got == want);
    return !isfinite(got) || fabs((double)got - (double)want) > allowed;
}

static void compare_floats(const sp_check_case *c, const sp_check_buffer *b, double tolerance,
                           sp_check_verdict *out)
{
    double largest = 0;
    for (int64_t i = 0; i < n_values(b); i++)
        if (isfinite(value_at(b, b->expected, i)))
            largest = fmax(largest, fabs((double)value_at(b, b->expected, i)));
    double allowed = tolerance > 0 ? tolerance * largest + 1e-30 : 0, worst = 0;
    for (int64_t i = 0; i < n_values(b); i++) {
        float want = value_at(b, b->expected, i), got = value_at(b, b->got, i);
        /* a last bit of the float may decide which way its half is rounded */
        double unit = b->half && tolerance > 0 ? fmax(fabs((double)want) / 1024, 5.9604644775390625e-8) : 0;
        bool bad = float_is_bad(got, want, allowed + unit);
        if (bad && isfinite(got) && near_kink(c, b, i))
            continue;
        if (isfinite(want) && isfinite(got))
            worst = fmax(worst, fabs((double)got - (double)want));
        if (bad && out->n_bad++ == 0) {
            char text[48], right[48];
            float_text(b, i, text, sizeof text);
            snprintf(right, sizeof right, "%.9g", (double)want);
            say_first(b, i, text, right, out);
        }
    }
    out->error = largest > 0 ? worst / largest : worst;
    if (out->n_bad) {
        char text[160];
        snprintf(text, sizeof text,
                 "; %" PRId64 " of %" PRId64 " differ, worst %.3g of the largest value (%.4g), allowed %.3g",
                 out->n_bad, n_values(b), out->error, largest, tolerance);
        append(out, text);
    }
}

static void compare_integers(const sp_check_buffer *b, sp_check_verdict *out)
{
    for (int64_t i = 0; i < b->words; i++)
        if (b->got[i] != b->expected[i] && out->n_bad++ == 0) {
            char got[24], want[24];
            snprintf(got, sizeof got, b->got[i] == SP_CHECK_POISON ? "not written" : "%" PRId32,
                     (int32_t)b->got[i]);
            snprintf(want, sizeof want, "%" PRId32, (int32_t)b->expected[i]);
            say_first(b, i, got, want, out);
        }
    out->error = out->n_bad ? 1 : 0;
}

/* The potential that is stored decides: the backward pass takes the spike from it. */
static bool follows_from_u(const sp_check_case *c, int64_t i, unsigned spike)
{
    return spike == (element(c, "u", GOT, i) >= threshold_of(c, GOT, i) ? 1u : 0u);
}

static void compare_bits(const sp_check_case *c, const sp_check_buffer *b, double tolerance,
                         sp_check_verdict *out)
{
    const bool approximate = tolerance > c->call.op->tolerance;
    const double near = approximate ? tolerance : FLIPS_WITHIN;
    const bool neuron = is_neuron_op(c, "neuron.forward"), spikes = neuron && strcmp(b->name, "s") == 0;
    const int64_t neurons =
        neuron ? buffer_named(c, "u")->rows : b->rows; /* the digits of a count share them */
    int64_t row_words = b->words / b->rows, flips = 0;
    for (int64_t m = 0; m < b->rows; m++)
        for (int64_t bit = 0; bit < row_words * 32; bit++) {
            int64_t word = m * row_words + bit / 32, at = m * b->cols + bit, i = at % (neurons * b->cols);
            unsigned got = b->got[word] >> (bit % 32) & 1, want = b->expected[word] >> (bit % 32) & 1;
            if (bit >= b->cols) {
                if (got && out->n_bad++ == 0)
                    snprintf(out->text, sizeof out->text,
                             "%s: row %" PRId64 " has a bit set past its last column", b->name, m);
                continue;
            }
            bool flip = got != want, allowed = neuron && flip && may_flip(c, near, i);
            flips += allowed;
            if (flip && !allowed && out->n_bad++ == 0)
                say_first(b, at,
                          b->got[word] == SP_CHECK_POISON ? "not written"
                          : got                           ? "1"
                                                          : "0",
                          want ? "1" : "0", out);
            else if (spikes && !follows_from_u(c, i, got) && out->n_bad++ == 0)
                say_first(b, at, got ? "1" : "0", "what u >= v_th says of the u beside it", out);
        }
    if (!approximate && flips > 2 + b->rows * b->cols / 50 && out->n_bad++ == 0)
        snprintf(out->text, sizeof out->text,
                 "%s: %" PRId64 " of %" PRId64 " spikes flipped at the threshold; rounding cannot do that",
                 b->name, flips, b->rows * b->cols);
    out->error = out->n_bad ? 1 : 0;
}

void sp_check_compare(const sp_check_case *c, int i, double tolerance, sp_check_verdict *out)
{
    const sp_check_buffer *b = &c->buffers[i];
    *out = (sp_check_verdict){.ok = true};
    if (b->bits)
        compare_bits(c, b, tolerance, out);
    else if (b->type != SP_F32)
        compare_integers(b, out);
    else
        compare_floats(c, b, tolerance, out);
    out->ok = out->n_bad == 0;
}
