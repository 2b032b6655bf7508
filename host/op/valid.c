/* Which calls there are: sizes and settings that a person writes, before a kernel or a reference meets them.
 * Plans make no others. */
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "op/op.h"

/* What is no size. All other integers count something, from 1 on. */
static const struct {
    const char *name;
    int64_t least, most;
} settings[] = {{"PH", 0, INT32_MAX},   {"PW", 0, INT32_MAX},     {"first", 0, 1},
                {"last", 0, 1},         {"block_start", 0, 1},    {"iteration", 0, INT32_MAX},
                {"seed", 0, INT32_MAX}, {"stream", 0, INT32_MAX}, {"permille", 0, 1000},
                {"bits", 2, 16},        {"width", 2, 31},         {"shift", 0, 30},
                {"fraction", 0, 30},    {NULL, 1, INT32_MAX}};

void sp_op_int_range(const char *name, int64_t *least, int64_t *most)
{
    size_t i = 0;
    while (settings[i].name && strcmp(settings[i].name, name) != 0)
        i++;
    *least = settings[i].least;
    *most = settings[i].most;
}

static int64_t value_or(const sp_op_call *c, const char *name, int64_t otherwise)
{
    for (int i = 0; i < SP_OP_MAX_INTS && c->op->ints[i]; i++)
        if (strcmp(c->op->ints[i], name) == 0)
            return c->ints[i];
    return otherwise;
}

int64_t sp_call_window_outputs(const sp_op_call *c, char axis)
{
    const char k[] = {'K', axis, 0}, s[] = {'S', axis, 0}, p[] = {'P', axis, 0}, d[] = {'D', axis, 0},
               in[] = {axis, 0};
    const int64_t room = value_or(c, in, 0) + 2 * value_or(c, p, 0),
                  window = value_or(c, d, 1) * (value_or(c, k, 1) - 1) + 1;
    return room < window ? 0 : (room - window) / value_or(c, s, 1) + 1;
}

/* HO and WO of windows follow from the others, which come first. */
static bool follows(const sp_op_call *c, const char *name)
{
    return (strcmp(name, "HO") == 0 || strcmp(name, "WO") == 0) && value_or(c, "KH", 0);
}

static sp_status check_ranges(const sp_op_call *c, sp_error *err)
{
    for (int i = 0; i < SP_OP_MAX_INTS && c->op->ints[i]; i++) {
        int64_t least, most;
        sp_op_int_range(c->op->ints[i], &least, &most);
        if ((c->ints[i] < least || c->ints[i] > most) && !follows(c, c->op->ints[i]))
            return SP_FAIL(err, SP_E_USAGE,
                           "%s must be a whole number from %" PRId64 " to %" PRId64 ", not %" PRId64,
                           c->op->ints[i], least, most, c->ints[i]);
    }
    return SP_OK;
}

/* Along one axis: the window fits, and the output has the size that follows. */
static sp_status check_window(const sp_op_call *c, char axis, sp_error *err)
{
    const char in[] = {axis, 0}, k[] = {'K', axis, 0}, p[] = {'P', axis, 0}, d[] = {'D', axis, 0},
               out[] = {axis, 'O', 0};
    const int64_t fits = sp_call_window_outputs(c, axis), given = value_or(c, out, 0);
    if (fits == 0)
        return SP_FAIL(err, SP_E_USAGE,
                       "the window does not fit into %s=%" PRId64 " with its padding (%s=%" PRId64
                       ", %s=%" PRId64 ", %s=%" PRId64 ")",
                       in, value_or(c, in, 0), k, value_or(c, k, 1), p, value_or(c, p, 0), d,
                       value_or(c, d, 1));
    if (given != fits)
        return SP_FAIL(err, SP_E_USAGE,
                       "%s is %" PRId64 " for these sizes, not %" PRId64 "; it may be left out", out, fits,
                       given);
    return SP_OK;
}

/* Every buffer has an element, and no more bytes than 64 bits can count. */
static sp_status check_buffers(const sp_op_call *c, sp_error *err)
{
    for (int i = 0; i < SP_OP_MAX_BUFFERS && c->op->buffers[i].name; i++) {
        const int64_t rows = sp_call_buffer_rows(c, i), cols = sp_call_buffer_cols(c, i);
        if (!sp_call_has_buffer(c, i))
            continue;
        if (rows < 1 || cols < 1)
            return SP_FAIL(err, SP_E_USAGE, "\"%s\" would have %" PRId64 " x %" PRId64 " elements",
                           c->op->buffers[i].name, rows, cols);
        if (rows > INT64_MAX / 8 / cols)
            return SP_FAIL(err, SP_E_USAGE, "\"%s\" (%s x %s) would have more bytes than 64 bits can count",
                           c->op->buffers[i].name, c->op->buffers[i].rows, c->op->buffers[i].cols);
    }
    return SP_OK;
}

sp_status sp_call_check(const sp_op_call *c, sp_error *err)
{
    SP_TRY(check_ranges(c, err));
    const int64_t groups = value_or(c, "G", 1), in = value_or(c, "C", 1), out = value_or(c, "O", 1);
    if (in % groups != 0 || out % groups != 0)
        return SP_FAIL(err, SP_E_USAGE, "C=%" PRId64 " and O=%" PRId64 " must be multiples of G=%" PRId64, in,
                       out, groups);
    if (value_or(c, "KH", 0)) {
        SP_TRY(check_window(c, 'H', err));
        SP_TRY(check_window(c, 'W', err));
    }
    return check_buffers(c, err);
}
