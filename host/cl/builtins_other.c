/* Built-in functions of OpenCL C 1.2 that builtins.c does not declare. A source that calls one is given to
 * the driver with the driver's declarations at once: building it without them first would take time, and PoCL
 * writes the number of errors to stderr by itself. What is not listed here is still found by a failed build.
 */
#include "cl/internal.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char *const others[] = { // sorted
    "abs_diff",
    "acosh",
    "acospi",
    "add_sat",
    "all",
    "any",
    "asinh",
    "asinpi",
    "atan2",
    "atan2pi",
    "atanh",
    "atanpi",
    "bitselect",
    "cbrt",
    "clz",
    "cospi",
    "cross",
    "degrees",
    "distance",
    "dot",
    "erfc",
    "exp10",
    "fdim",
    "fract",
    "frexp",
    "hadd",
    "hypot",
    "isequal",
    "isgreater",
    "isgreaterequal",
    "isless",
    "islessequal",
    "islessgreater",
    "isnormal",
    "isnotequal",
    "isordered",
    "isunordered",
    "length",
    "lgamma",
    "lgamma_r",
    "log10",
    "logb",
    "mad24",
    "mad_hi",
    "mad_sat",
    "maxmag",
    "mem_fence",
    "minmag",
    "mix",
    "modf",
    "mul24",
    "nan",
    "nextafter",
    "normalize",
    "pown",
    "powr",
    "prefetch",
    "printf",
    "radians",
    "read_mem_fence",
    "remainder",
    "remquo",
    "rhadd",
    "rootn",
    "rotate",
    "shuffle",
    "shuffle2",
    "signbit",
    "sincos",
    "sinpi",
    "smoothstep",
    "step",
    "sub_sat",
    "tanpi",
    "tgamma",
    "upsample",
    "wait_group_events",
    "write_mem_fence"};
static const char *const families[] = { // how names begin
    "async_work_group_", "atom_",   "atomic_",    "convert_double", "convert_half", "fast_",
    "get_image_",        "native_", "read_image", "vloada_half",    "vstorea_half", "write_image"};

static int compare(const void *name, const void *other)
{
    return strcmp(name, *(const char *const *)other);
}

static bool is_other(const char *name)
{
    if (bsearch(name, others, sizeof others / sizeof *others, sizeof *others, compare))
        return true;
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        if (strncmp(name, families[i], strlen(families[i])) == 0)
            return true;
    return false;
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* Behind a type a name is declared: the source has a function of its own under it. */
static bool is_own(const char *code, const char *name)
{
    const size_t n = strlen(name);
    for (const char *at = code; (at = strstr(at, name)) != NULL; at++) {
        const char *end = at, *word;
        while (end > code && end[-1] == ' ')
            end--;
        for (word = end; word > code && is_word(word[-1]);)
            word--;
        if (end < at && word < end && at[n] == '(' && strncmp(word, "return ", 7) != 0 &&
            strncmp(word, "else ", 5) != 0)
            return true;
    }
    return false;
}

bool sp_builtins_are_others(const char *code)
{
    for (const char *at = code; *at;) {
        char name[64];
        size_t n = 0;
        while (is_word(at[n]))
            n++;
        if (n > 2 && n < sizeof name && at[n + strspn(at + n, " ")] == '(') {
            memcpy(name, at, n);
            name[n] = '\0';
            if (is_other(name) && !is_own(code, name))
                return true;
        }
        at += n ? n : 1;
    }
    return false;
}
