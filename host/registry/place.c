/* Where something stands in the file of a variant, for messages: lines of metadata are known since the file
 * was read, those of a kernel and its arguments are looked for in its text when something is wrong with them.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/suggest.h"
#include "registry/launch_internal.h"

enum { MAX_FUNCTIONS = 64, MAX_NAME = 96 };

static bool is_name(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* The next place of a word in text, before `end` (NULL: its end). */
static const char *find_word(const char *text, const char *end, const char *word)
{
    const size_t n = strlen(word);
    for (const char *at = text; (at = strstr(at, word)) != NULL && (!end || at < end); at++)
        if ((at == text || !is_name(at[-1])) && !is_name(at[n]))
            return at;
    return NULL;
}

/* Behind the bracket that closes the one at `at`; the end of the text where none does. */
static const char *skip_brackets(const char *at)
{
    int depth = 0;
    for (; *at; at++) {
        depth += (*at == '(') - (*at == ')');
        if (depth == 0)
            return at + 1;
    }
    return at;
}

/* The name of a function at its next definition, "NAME(...) {"; metadata and calls are none. */
static const char *find_function(const char *text, const char *name)
{
    for (const char *at = text; (at = find_word(at, NULL, name)) != NULL; at += strlen(name)) {
        const char *open = at + strlen(name);
        open += strspn(open, " \t\r\n");
        if (*open != '(')
            continue;
        const char *body = skip_brackets(open);
        if (body[strspn(body, " \t\r\n")] == '{')
            return at;
    }
    return NULL;
}

/* The file's own text with blanks in place of comments and strings, in which names mean nothing. The caller
 * frees it; NULL: there is none. */
static char *code_of(const sp_variant *v)
{
    char *text = v->own || v->source ? sp_strdup(v->own ? v->own : v->source) : NULL;
    for (char *at = text; at && *at;) {
        const bool line = strncmp(at, "//", 2) == 0, block = strncmp(at, "/*", 2) == 0, quoted = *at == '"';
        if (!line && !block && !quoted) {
            at++;
            continue;
        }
        const char *end = line ? strchr(at, '\n') : block ? strstr(at + 2, "*/") : strpbrk(at + 1, "\"\n");
        end = end ? end + (block ? 2 : quoted && *end == '"') : at + strlen(at);
        for (; at < end; at++)
            if (*at != '\n')
                *at = ' ';
    }
    return text;
}

static int line_at(const char *text, const char *at)
{
    int line = 1;
    for (; text < at; text++)
        line += *text == '\n';
    return line;
}

int sp_variant_code_line(const sp_variant *v, const sp_pass *pass, const char *argument)
{
    char *text = code_of(v);
    const char *function = text ? find_function(text, pass->kernel) : NULL, *place = function;
    int line = pass->lines.kernel;
    for (bool found = !argument; function && !found;) { /* under #if there may be several */
        const char *open = strchr(function, '(');
        const char *at = find_word(open, skip_brackets(open), argument);
        found = at != NULL;
        place = found ? at : place;
        function = find_function(open, pass->kernel);
    }
    if (place)
        line = line_at(text, place);
    sp_free(text);
    return line;
}

/* Whether a function whose `void` stands at `at` is a kernel: what is in front of it says so. */
static bool says_kernel(const char *text, const char *at)
{
    const char *from = at;
    while (from > text && !strchr(";{}", from[-1]))
        from--;
    return find_word(from, at, "__kernel") || find_word(from, at, "kernel");
}

sp_kernel_hint sp_variant_near_kernel(const sp_variant *v, const char *name, char *out, size_t size)
{
    char names[MAX_FUNCTIONS][MAX_NAME];
    const char *all[MAX_FUNCTIONS], *near = NULL;
    char *text = code_of(v);
    sp_kernel_hint hint = SP_KERNEL_UNKNOWN;
    size_t n = 0;
    for (const char *at = text; at && n < MAX_FUNCTIONS && (at = find_word(at, NULL, "void")) != NULL;) {
        const bool kernel = says_kernel(text, at);
        at += 4;
        at += strspn(at, " \t\r\n");
        size_t length = 0;
        while (is_name(at[length]))
            length++;
        if (length == 0 || length >= MAX_NAME || at[length + strspn(at + length, " \t\r\n")] != '(')
            continue;
        snprintf(names[n], MAX_NAME, "%.*s", (int)length, at);
        if (strcmp(names[n], name) == 0)
            hint = kernel || hint == SP_KERNEL_HIDDEN ? SP_KERNEL_HIDDEN : SP_KERNEL_UNMARKED;
        else if (kernel) {
            all[n] = names[n];
            n++;
        }
    }
    sp_free(text);
    if (hint == SP_KERNEL_UNKNOWN && (near = sp_suggest(name, all, n)) != NULL)
        hint = SP_KERNEL_NEAR;
    snprintf(out, size, "%s", near ? near : "");
    return hint;
}

void sp_variant_place(const sp_variant *v, int line, char out[SP_PLACE_SIZE])
{
    if (line > 0)
        snprintf(out, SP_PLACE_SIZE, "%.*s:%d", SP_PLACE_SIZE - 12, v->path, line);
    else
        snprintf(out, SP_PLACE_SIZE, "%s", v->path);
}
