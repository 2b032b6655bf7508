/* Filling in sp_error. Texts are formatted aside first, because a caller may pass err->text itself as an
 * argument. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

/* A cut text ends in "...", so that nobody takes half a sentence for the whole. */
__attribute__((format(printf, 3, 0))) static void format_text(char *out, size_t out_bytes, const char *fmt,
                                                              va_list args)
{
    int n = vsnprintf(out, out_bytes, fmt, args);
    if (n < 0)
        out[0] = '\0';
    else if ((size_t)n >= out_bytes)
        memcpy(out + out_bytes - 4, "...", 4);
    sp_text_make_printable(out, strlen(out), 0);
}

sp_status sp_error_set(sp_error *err, sp_status status, int cl_code, const char *file, int line,
                       const char *fmt, ...)
{
    if (!err)
        return status;
    char text[sizeof err->text];
    va_list args;
    va_start(args, fmt);
    format_text(text, sizeof text, fmt, args);
    va_end(args);
    err->status = status;
    err->cl_code = cl_code;
    err->file = file;
    err->line = line;
    memcpy(err->text, text, sizeof text);
    return status;
}

sp_status sp_error_prefix(sp_error *err, sp_status status, const char *fmt, ...)
{
    if (!err)
        return status;
    char head[sizeof err->text];
    va_list args;
    va_start(args, fmt);
    format_text(head, sizeof head, fmt, args);
    va_end(args);
    if (err->status == 0) {
        err->status = status;
        err->text[0] = '\0';
    }
    size_t have = strlen(head), old = strlen(err->text);
    if (have + old >= sizeof err->text) {
        old = sizeof err->text - 1 - have;
        memmove(err->text + have, err->text, old);
        err->text[have + old] = '\0';
        if (old >= 3)
            memcpy(err->text + have + old - 3, "...", 3);
    } else {
        memmove(err->text + have, err->text, old + 1);
    }
    memcpy(err->text, head, have);
    return err->status;
}

sp_status sp_error_as(sp_error *err, sp_status status)
{
    if (err)
        err->status = status;
    return status;
}
