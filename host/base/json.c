/* JSON as text. Jansson writes every real number with 17 digits, or rounds all of them. */
#include "base/json.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"

/* Real numbers keep a point or an exponent: a reader takes a number without either for a whole one. */
static void add_number(sp_text *out, const char *from, size_t n)
{
    sp_text number = {0};
    if (strcspn(from, ".eE") >= n) {
        sp_text_add(out, "%.*s", (int)n, from);
        return;
    }
    sp_text_number(&number, strtod(from, NULL));
    sp_text_add(out, "%s%s", number.s ? number.s : "", number.s && strpbrk(number.s, ".e") ? "" : ".0");
    out->failed |= number.failed;
    sp_text_free(&number);
}

static size_t string_length(const char *s)
{
    size_t n = 1;
    while (s[n] != '"')
        n += s[n] == '\\' ? 2 : 1;
    return n + 1;
}

char *sp_json_text(const json_t *value, size_t flags)
{
    char *all = value ? json_dumps(value, flags) : NULL;
    sp_text out = {.failed = !all};
    for (const char *at = all, *end; at && *at; at = end) {
        bool number = *at == '-' || (*at >= '0' && *at <= '9');
        size_t n = *at == '"' ? string_length(at)
                   : number   ? strspn(at, "+-.eE0123456789")
                              : strcspn(at, "\"-0123456789");
        end = at + n;
        if (number)
            add_number(&out, at, n);
        else
            sp_text_add(&out, "%.*s", (int)n, at);
    }
    free(all); /* Jansson's own malloc */
    if (out.failed)
        sp_text_free(&out);
    return out.s;
}
