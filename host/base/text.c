/* sp_text: text that grows as reports are written. Failure is remembered in the text, so that a report is
 * written in one go and looked at once. */
#include "base/mem.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

static int reserve(sp_text *t, size_t more)
{
    if (t->n + more + 1 <= t->cap)
        return 1;
    size_t cap = t->cap ? t->cap : 256;
    while (cap < t->n + more + 1)
        cap *= 2;
    char *s = sp_realloc(t->s, cap);
    if (!s)
        return 0;
    t->s = s;
    t->cap = cap;
    return 1;
}

void sp_text_add(sp_text *t, const char *fmt, ...)
{
    if (t->failed)
        return;
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0 || !reserve(t, (size_t)n)) {
        t->failed = 1;
        return;
    }
    va_start(args, fmt);
    vsnprintf(t->s + t->n, (size_t)n + 1, fmt, args);
    va_end(args);
    t->n += (size_t)n;
}

void sp_text_make_printable(char *s, size_t n, char before)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i], last = (unsigned char)(i ? s[i - 1] : before);
        bool control = (c < 0x20 && c != '\n' && c != '\t') || c == 0x7f;
        if (control || (last == 0xc2 && c >= 0x80 && c < 0xa0)) // the second range: U+0080 to U+009F in UTF-8
            s[i] = '?';
    }
}

void sp_text_free(sp_text *t)
{
    sp_free(t->s);
    *t = (sp_text){0};
}
