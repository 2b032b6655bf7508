/* Integer expressions: one recursive descent that evaluates as it reads. Nothing is kept, so nothing is
 * allocated.
 *
 *   or      = and { "||" and }                 unary   = ("!" | "-" | "+") unary | primary
 *   and     = compare { "&&" compare }         primary = integer | name | "(" or ")"
 *   compare = sum [ cmp sum ]                          | ("min"|"max"|"ceildiv"|"roundup") "(" or "," or ")"
 *   sum     = product { ("+"|"-") product }
 *   product = unary { ("*"|"/"|"%") unary }
 *
 * The right side of && and || that does not count is still read and its names looked up (a typing error there
 * is an error), but its arithmetic cannot fail: `K != 0 && C % K == 0` is fine for K = 0. */
#include "base/expr.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include "base/error.h"

enum { MAX_DEPTH = 64, MAX_NAME = 63 };

typedef struct reader {
    const char *text, *at;
    sp_expr_lookup lookup;
    void *ctx;
    sp_error *err;
    int depth;                           // nesting, bounded so that hostile text cannot exhaust the stack
    int skipped;                         // > 0: inside a side that does not count
    const char *false_start, *false_end; // first side of an outermost && that is 0; NULL: none yet
    bool has_or;                         // outside all parentheses
} reader;

static sp_status read_or(reader *r, int64_t *value);

/* Of a long text, what is shown begins this far in front of the place of an error. */
enum { SHOWN = 160, IN_FRONT = 80 };

static size_t shown_from(const reader *r, const char *where)
{
    const size_t n = strlen(r->text), at = (size_t)(where - r->text), last = n > SHOWN ? n - SHOWN : 0;
    const size_t from = at > IN_FRONT ? at - IN_FRONT : 0;
    return from < last ? from : last;
}

#define FAIL_AT(r, where, fmt, ...)                                                                          \
    SP_FAIL((r)->err, SP_E_CONFIG, "column %zu of \"%s%.*s%s\": " fmt, (size_t)((where) - (r)->text) + 1,    \
            shown_from(r, where) ? "..." : "", SHOWN, (r)->text + shown_from(r, where),                      \
            strlen((r)->text) > shown_from(r, where) + SHOWN ? "..." : "", __VA_ARGS__)

static void skip_space(reader *r)
{
    while (isspace((unsigned char)*r->at))
        r->at++;
}

static bool accept(reader *r, const char *token)
{
    skip_space(r);
    size_t n = strlen(token);
    if (strncmp(r->at, token, n) != 0)
        return false;
    r->at += n;
    return true;
}

static sp_status unexpected(reader *r, const char *wanted)
{
    skip_space(r);
    if (*r->at == '\0')
        return FAIL_AT(r, r->at, "the text ends here, but %s is expected", wanted);
    return FAIL_AT(r, r->at, "\"%c\" stands where %s is expected", *r->at, wanted);
}

static bool name_char(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

static sp_status read_integer(reader *r, int64_t *value)
{
    const char *start = r->at;
    bool hex = r->at[0] == '0' && (r->at[1] == 'x' || r->at[1] == 'X');
    int64_t v = 0, base = hex ? 16 : 10;
    if (hex)
        r->at += 2;
    const char *digits = r->at;
    for (; hex ? isxdigit((unsigned char)*r->at) : isdigit((unsigned char)*r->at); r->at++) {
        int c = tolower((unsigned char)*r->at);
        int digit = c <= '9' ? c - '0' : c - 'a' + 10;
        if (__builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, digit, &v))
            return FAIL_AT(r, start, "%s", "this integer does not fit in 64 bits");
    }
    if (r->at == digits || name_char(*r->at) || *r->at == '.')
        return FAIL_AT(r, start, "%s", "not an integer; only whole numbers such as 16 or 0x10 are allowed");
    *value = v;
    return SP_OK;
}

/* Quotient of a by b > 0, rounded up; never overflows. */
static int64_t ceil_div(int64_t a, int64_t b)
{
    return a / b + (a % b > 0 ? 1 : 0);
}

static sp_status call(reader *r, const char *where, const char *name, int64_t a, int64_t b, int64_t *value)
{
    if (strcmp(name, "min") == 0) {
        *value = a < b ? a : b;
    } else if (strcmp(name, "max") == 0) {
        *value = a > b ? a : b;
    } else if (r->skipped) {
        *value = 0;
    } else if (b <= 0) {
        return FAIL_AT(r, where, "%s(%lld, %lld): the second argument must be greater than 0", name,
                       (long long)a, (long long)b);
    } else if (strcmp(name, "ceildiv") == 0) {
        *value = ceil_div(a, b);
    } else if (__builtin_mul_overflow(ceil_div(a, b), b, value)) {
        return FAIL_AT(r, where, "%s(%lld, %lld) does not fit in 64 bits", name, (long long)a, (long long)b);
    }
    return SP_OK;
}

static sp_status read_call(reader *r, const char *where, const char *name, int64_t *value)
{
    static const char *const functions[] = {"min", "max", "ceildiv", "roundup"};
    bool known = false;
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        known = known || strcmp(name, functions[i]) == 0;
    if (!known)
        return FAIL_AT(r, where, "there is no function \"%s\"; there are min, max, ceildiv and roundup",
                       name);
    int64_t a, b;
    SP_TRY(read_or(r, &a));
    if (!accept(r, ","))
        return unexpected(r, "\",\" and a second argument");
    SP_TRY(read_or(r, &b));
    if (!accept(r, ")"))
        return unexpected(r, "\")\"");
    return call(r, where, name, a, b, value);
}

static sp_status read_name(reader *r, int64_t *value)
{
    const char *start = r->at;
    char name[MAX_NAME + 1];
    size_t n = 0;
    for (; name_char(*r->at); r->at++) {
        if (n == MAX_NAME)
            return FAIL_AT(r, start, "this name is longer than %d characters", MAX_NAME);
        name[n++] = *r->at;
    }
    name[n] = '\0';
    if (accept(r, "("))
        return read_call(r, start, name, value);
    if (!r->lookup || r->lookup(r->ctx, name, value) != 0)
        return FAIL_AT(r, start, "unknown name \"%s\"", name);
    return SP_OK;
}

static sp_status read_primary(reader *r, int64_t *value)
{
    skip_space(r);
    if (isdigit((unsigned char)*r->at))
        return read_integer(r, value);
    if (name_char(*r->at))
        return read_name(r, value);
    if (!accept(r, "("))
        return unexpected(r, "a number, a name or \"(\"");
    SP_TRY(read_or(r, value));
    if (!accept(r, ")"))
        return unexpected(r, "\")\"");
    return SP_OK;
}

static sp_status read_unary(reader *r, int64_t *value)
{
    skip_space(r);
    const char *where = r->at;
    char sign = *r->at;
    if (sign != '!' && sign != '-' && sign != '+')
        return read_primary(r, value);
    r->at++;
    if (++r->depth > MAX_DEPTH)
        return FAIL_AT(r, where, "nested more than %d deep", MAX_DEPTH);
    SP_TRY(read_unary(r, value));
    r->depth--;
    if (sign == '!')
        *value = !*value;
    else if (sign == '-' && __builtin_sub_overflow((int64_t)0, *value, value) && !r->skipped)
        return FAIL_AT(r, where, "%s", "the negative does not fit in 64 bits");
    return SP_OK;
}

static sp_status read_product(reader *r, int64_t *value)
{
    SP_TRY(read_unary(r, value));
    for (;;) {
        skip_space(r);
        const char *where = r->at;
        char op = *r->at;
        if (op != '*' && op != '/' && op != '%')
            return SP_OK;
        r->at++;
        int64_t a = *value, b;
        SP_TRY(read_unary(r, &b));
        bool divides = op != '*';
        if (divides && b == 0) {
            if (!r->skipped)
                return FAIL_AT(r, where, "division by zero (%lld %c 0)", (long long)a, op);
            *value = 0;
        } else if (divides && b == -1) { // INT64_MIN / -1 traps on some machines
            if (op == '%')
                *value = 0;
            else if (__builtin_sub_overflow((int64_t)0, a, value) && !r->skipped)
                return FAIL_AT(r, where, "%s", "the quotient does not fit in 64 bits");
        } else if (divides) {
            *value = op == '/' ? a / b : a % b;
        } else if (__builtin_mul_overflow(a, b, value) && !r->skipped) {
            return FAIL_AT(r, where, "%lld * %lld does not fit in 64 bits", (long long)a, (long long)b);
        }
    }
}

static sp_status read_sum(reader *r, int64_t *value)
{
    SP_TRY(read_product(r, value));
    for (;;) {
        skip_space(r);
        const char *where = r->at;
        char op = *r->at;
        if (op != '+' && op != '-')
            return SP_OK;
        r->at++;
        int64_t a = *value, b;
        SP_TRY(read_product(r, &b));
        bool over = op == '+' ? __builtin_add_overflow(a, b, value) : __builtin_sub_overflow(a, b, value);
        if (over && !r->skipped)
            return FAIL_AT(r, where, "%lld %c %lld does not fit in 64 bits", (long long)a, op, (long long)b);
    }
}

/* Index of the comparison that stands here, or -1. Two characters first, so that "<=" is not read as "<". */
static int accept_comparison(reader *r)
{
    static const char *const comparisons[] = {"==", "!=", "<=", ">=", "<", ">"};
    for (int i = 0; i < 6; i++)
        if (accept(r, comparisons[i]))
            return i;
    return -1;
}

static sp_status read_compare(reader *r, int64_t *value)
{
    SP_TRY(read_sum(r, value));
    int op = accept_comparison(r);
    if (op < 0)
        return SP_OK;
    int64_t a = *value, b;
    SP_TRY(read_sum(r, &b));
    const bool result[] = {a == b, a != b, a <= b, a >= b, a<b, a> b};
    *value = result[op];
    skip_space(r);
    const char *where = r->at;
    if (accept_comparison(r) >= 0)
        return FAIL_AT(r, where, "%s", "comparisons cannot be chained; write a < b && b < c");
    return SP_OK;
}

/* One side of &&. */
static sp_status read_side(reader *r, int64_t *value)
{
    skip_space(r);
    const char *start = r->at;
    SP_TRY(read_compare(r, value));
    if (r->depth == 1 && !r->skipped && *value == 0 && !r->false_start) {
        r->false_start = start;
        r->false_end = r->at;
    }
    return SP_OK;
}

static sp_status read_and(reader *r, int64_t *value)
{
    SP_TRY(read_side(r, value));
    while (accept(r, "&&")) {
        bool counts = *value != 0;
        int64_t b;
        r->skipped += !counts;
        SP_TRY(read_side(r, &b));
        r->skipped -= !counts;
        *value = counts && b != 0;
    }
    return SP_OK;
}

static sp_status read_or(reader *r, int64_t *value)
{
    if (++r->depth > MAX_DEPTH)
        return FAIL_AT(r, r->at, "nested more than %d deep", MAX_DEPTH);
    SP_TRY(read_and(r, value));
    while (accept(r, "||")) {
        r->has_or |= r->depth == 1;
        bool counts = *value == 0;
        int64_t b;
        r->skipped += !counts;
        SP_TRY(read_and(r, &b));
        r->skipped -= !counts;
        *value = !counts || b != 0;
    }
    r->depth--;
    return SP_OK;
}

sp_status sp_expr_eval(const char *text, sp_expr_lookup lookup, void *ctx, int64_t *value, sp_error *err)
{
    reader r = {.text = text, .at = text, .lookup = lookup, .ctx = ctx, .err = err};
    int64_t v = 0;
    SP_TRY(read_or(&r, &v));
    skip_space(&r);
    if (*r.at != '\0')
        return unexpected(&r, "an operator or the end");
    *value = v;
    return SP_OK;
}

size_t sp_expr_false_part(const char *text, sp_expr_lookup lookup, void *ctx, const char **start)
{
    reader r = {.text = text, .at = text, .lookup = lookup, .ctx = ctx};
    int64_t value;
    const bool chain = read_or(&r, &value) == SP_OK && !value && r.false_start && !r.has_or;
    *start = chain ? r.false_start : text;
    const char *end = chain ? r.false_end : text + strlen(text);
    while (end > *start && isspace((unsigned char)end[-1]))
        end--;
    return (size_t)(end - *start);
}
