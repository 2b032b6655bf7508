/* sp_text: text that grows as reports are written. Failure is remembered in the text, so that a report is
 * written in one go and looked at once. */
#include "base/mem.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

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

void sp_text_append(sp_text *t, const void *bytes, size_t n)
{
    if (t->failed || !reserve(t, n)) {
        t->failed = 1;
        return;
    }
    memcpy(t->s + t->n, bytes, n);
    t->s[t->n += n] = '\0';
}

/* Bytes of the character at s; 0: not UTF-8. */
static size_t utf8_length(const unsigned char *s)
{
    size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : s[0] >= 0xe0 && s[0] < 0xf0 ? 3 : 4;
    if (n == 4 && (s[0] < 0xf0 || s[0] > 0xf4))
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
    bool none = (s[0] == 0xed && s[1] >= 0xa0) || (s[0] == 0xf4 && s[1] >= 0x90);
    return overlong || none ? 0 : n;
}

/* U+202A to U+202E and U+2066 to U+2069 show text in another order than it has. */
static bool is_turn(const unsigned char *s)
{
    return s[0] == 0xe2 &&
           ((s[1] == 0x80 && s[2] >= 0xaa && s[2] <= 0xae) || (s[1] == 0x81 && s[2] >= 0xa6 && s[2] <= 0xa9));
}

/* Bytes at s that have to be escaped. */
static size_t unsafe(const unsigned char *s, size_t n, bool json)
{
    bool control = (s[0] < 0x20 && !json) || s[0] == 0x7f || (n == 2 && s[0] == 0xc2 && s[1] < 0xa0);
    return n == 0 ? 1 : control || (n == 3 && is_turn(s)) ? n : 0;
}

void sp_text_escape(sp_text *t, const char *name, bool json)
{
    const unsigned char *s = (const unsigned char *)name;
    bool any = strstr(name, "\\x") != NULL;
    for (size_t i = 0, n; s[i] && !any; i += n ? n : 1) {
        n = utf8_length(s + i);
        any = unsafe(s + i, n, json) > 0;
    }
    sp_text_add(t, "%s", any ? "" : name);
    for (size_t i = 0, n; any && s[i]; i += n ? n : 1) {
        n = utf8_length(s + i);
        size_t bad = s[i] == '\\' ? 1 : unsafe(s + i, n, json);
        for (size_t k = 0; k < bad; k++)
            sp_text_add(t, "\\x%02x", s[i + k]);
        if (!bad)
            sp_text_add(t, "%.*s", (int)n, name + i);
    }
}

void sp_text_make_printable(char *s, size_t n, char before)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i], last = (unsigned char)(i ? s[i - 1] : before);
        bool control = (c < 0x20 && c != '\n' && c != '\t') || c == 0x7f;
        if (control || (last == 0xc2 && c >= 0x80 && c < 0xa0)) // the second range: U+0080 to U+009F in UTF-8
            s[i] = '?';
        if (i + 2 < n && is_turn((const unsigned char *)s + i))
            memset(s + i, '?', 3);
    }
}

void sp_text_free(sp_text *t)
{
    sp_free(t->s);
    *t = (sp_text){0};
}
