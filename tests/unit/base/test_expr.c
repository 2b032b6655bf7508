#include <criterion/criterion.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include "base/expr.h"
#include "base/mem.h"

static int lookup(void *ctx, const char *name, int64_t *value)
{
    static const struct {
        const char *name;
        int64_t value;
    } names[] = {{"N", 10},          {"C", 64},          {"K", 0},  {"X_BITS", 1},
                 {"BIG", INT64_MAX}, {"LOW", INT64_MIN}, {"min", 7}};
    (void)ctx;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i].name, name) == 0) {
            *value = names[i].value;
            return 0;
        }
    return 1;
}

Test(expr, values)
{
    static const struct {
        const char *text;
        int64_t value;
    } cases[] = {
        {"1", 1},
        {" 0x1F ", 31},
        {"1 + 2*3", 7},
        {"(1+2)*3", 9},
        {"10-4-3", 3},
        {"100/7/2", 7},
        {"-7/2", -3},
        {"-7%3", -1},
        {"7 % 4 * 2", 6},
        {"- -3", 3},
        {"!0", 1},
        {"!5", 0},
        {"!!5", 1},
        {"N*C", 640},
        {"C % 16 == 0 && !X_BITS", 0},
        {"C % 16 == 0 && X_BITS", 1},
        {"1 < 2", 1},
        {"2<=2", 1},
        {"3>4", 0},
        {"4>=5", 0},
        {"4!=5", 1},
        {"1 || 0 && 0", 1},
        {"(1 || 0) && 0", 0},
        {"min(3, 4)", 3},
        {"max(3,4)", 4},
        {"min + 1", 8},
        {"ceildiv(10, 4)", 3},
        {"ceildiv(12,4)", 3},
        {"ceildiv(-10, 4)", -2},
        {"ceildiv(0, 4)", 0},
        {"roundup(10, 16)", 16},
        {"roundup(32, 16)", 32},
        {"roundup(0,16)", 0},
        {"roundup(ceildiv(N, 3), 4) * min(C, 8)", 32},
        {"K != 0 && C % K == 0", 0},
        {"K == 0 || C / K > 3", 1},
        {"0 && BIG * BIG", 0},
        {"1 || roundup(1, 0)", 1},
        {"5 && 7", 1},
        {"LOW % -1", 0},
        {"9223372036854775807", INT64_MAX},
        {"BIG == 9223372036854775807", 1},
        {"(1<2) == (3<4)", 1},
        {"1+\t2\n", 3},
        {"ceildiv(BIG, 1)", INT64_MAX},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t value = -12345;
        sp_error err = {0};
        cr_assert_eq(sp_expr_eval(cases[i].text, lookup, NULL, &value, &err), SP_OK, "%s: %s", cases[i].text,
                     err.text);
        cr_assert_eq(value, cases[i].value, "%s gave %lld", cases[i].text, (long long)value);
    }
}

Test(expr, errors_name_the_column_and_the_reason)
{
    static const struct {
        const char *text;
        int column;
        const char *reason;
    } cases[] = {
        {"", 1, "ends here"},
        {"   ", 4, "ends here"},
        {"1 +", 4, "ends here"},
        {"(1", 3, "\")\""},
        {"1)", 2, "\")\" stands"},
        {"1 2", 3, "operator"},
        {"N * Q", 5, "unknown name \"Q\""},
        {"1.5", 1, "whole numbers"},
        {"16x", 1, "whole numbers"},
        {"0x", 1, "whole numbers"},
        {"9223372036854775808", 1, "64 bits"},
        {"1/0", 2, "division by zero"},
        {"N % K", 3, "division by zero"},
        {"BIG + 1", 5, "64 bits"},
        {"LOW - 1", 5, "64 bits"},
        {"BIG*2", 4, "64 bits"},
        {"-LOW", 1, "64 bits"},
        {"LOW/-1", 4, "64 bits"},
        {"min(1)", 6, "second argument"},
        {"min(1,2", 8, "\")\""},
        {"pow(1,2)", 1, "no function \"pow\""},
        {"ceildiv(1,0)", 1, "greater than 0"},
        {"roundup(1,-4)", 1, "greater than 0"},
        {"roundup(BIG, 2)", 1, "64 bits"},
        {"1 < 2 < 3", 7, "chained"},
        {"1 & 2", 3, "operator"},
        {"1 = 2", 3, "operator"},
        {"0 && Q", 6, "unknown name"},
        {"1 || (2", 8, "\")\""},
        {"N; C", 2, "operator"},
        {"\xc3\xa9", 1, "expected"},
        {"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggggggggg", 1, "longer than"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t value = 77;
        sp_error err = {0};
        char column[32];
        snprintf(column, sizeof column, "column %d of", cases[i].column);
        cr_assert_eq(sp_expr_eval(cases[i].text, lookup, NULL, &value, &err), SP_E_CONFIG, "\"%s\" passed",
                     cases[i].text);
        cr_assert(strstr(err.text, column), "\"%s\": %s", cases[i].text, err.text);
        cr_assert(strstr(err.text, cases[i].reason), "\"%s\": %s", cases[i].text, err.text);
        cr_assert_eq(value, 77, "value was touched");
    }
}

Test(expr, false_part)
{
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"N % 16 == 0", "N % 16 == 0"},
        {"N == 10 && C == 63 && K == 1", "C == 63"},
        {"  K && N", "K"},
        {"N > 4 && (K || C == 2 && N) && 0", "(K || C == 2 && N)"},
        {"(N == 10 && C == 63)", "(N == 10 && C == 63)"},
        {"N > 4 && min(K, 0 && 1) < 0 ", "min(K, 0 && 1) < 0"},
        {"N == 10 && !(N && C)", "!(N && C)"},
        {"K && N || K ", "K && N || K"},  /* not a chain */
        {"N == 10 && C", "N == 10 && C"}, /* holds */
        {"N == 10 && ", "N == 10 &&"},    /* in error */
        {"K && N / K", "K"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *start;
        const size_t n = sp_expr_false_part(cases[i].text, lookup, NULL, &start);
        cr_assert(n == strlen(cases[i].part) && strncmp(start, cases[i].part, n) == 0, "\"%s\": \"%.*s\"",
                  cases[i].text, (int)n, start);
    }
}

Test(expr, deep_nesting_is_an_error_not_a_crash)
{
    static const char openers[] = "(!-";
    for (const char *c = openers; *c; c++) {
        char text[100001];
        memset(text, *c, sizeof text - 1);
        text[sizeof text - 1] = '\0';
        int64_t value;
        sp_error err = {0};
        cr_assert_eq(sp_expr_eval(text, lookup, NULL, &value, &err), SP_E_CONFIG);
        cr_assert(strstr(err.text, "nested more than"), "%s", err.text);
    }
}

Test(expr, siblings_do_not_count_as_nesting)
{
    char text[2000] = "0";
    for (int i = 0; i < 200; i++)
        strcat(text, "+(-1)");
    int64_t value;
    cr_assert_eq(sp_expr_eval(text, lookup, NULL, &value, NULL), SP_OK);
    cr_assert_eq(value, -200);
}

Test(expr, allocates_nothing_and_needs_no_lookup)
{
    uint64_t before = sp_mem_count();
    int64_t value;
    cr_assert_eq(sp_expr_eval("max(1, 2) * 3", NULL, NULL, &value, NULL), SP_OK);
    cr_assert_eq(value, 6);
    cr_assert_eq(sp_expr_eval("A", NULL, NULL, &value, NULL), SP_E_CONFIG);
    cr_assert_eq(sp_mem_count(), before);
}

/* Whatever its column, what is wrong is among what is shown. */
Test(expr, errors_of_long_texts_show_the_place)
{
    for (int before = 0; before <= 40; before += 20) {
        char text[1024] = "1", wanted[32];
        int64_t value;
        sp_error err = {0};
        for (int i = 0; i < before; i++)
            strcat(text, " + 123456");
        snprintf(wanted, sizeof wanted, "column %zu of \"", strlen(text) + 4);
        strcat(text, " + nobody");
        for (int i = 0; i < 40 - before; i++)
            strcat(text, " + 123456");
        cr_assert_neq(sp_expr_eval(text, lookup, NULL, &value, &err), SP_OK);
        cr_expect(strstr(err.text, wanted), "%s", err.text);
        cr_expect(strstr(err.text, " + nobody"), "%s", err.text);
        cr_expect(strstr(err.text, "...\": unknown name") || strstr(err.text, "nobody\": unknown name"), "%s",
                  err.text);
        cr_expect_eq(strstr(err.text, "\"...") != NULL, before > 0, "%s", err.text);
    }
}
