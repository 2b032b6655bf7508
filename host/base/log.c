/* One place through which the library speaks. The function is called outside the lock, so it may log itself.
 */
#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/scope.h"

static void to_stderr(void *ctx, sp_log_level level, const char *text)
{
    static const char *const head[] = {"error: ", "warning: ", "", "debug: "};
    (void)ctx;
    fprintf(stderr, "spikeport: %s%s\n", head[level], text);
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static sp_log_fn log_fn = to_stderr;
static void *log_ctx;
static sp_log_level log_level = SP_LOG_WARNING;

void sp_log_install(sp_log_fn fn, void *ctx)
{
    pthread_mutex_lock(&lock);
    log_fn = fn ? fn : to_stderr;
    log_ctx = fn ? ctx : NULL;
    pthread_mutex_unlock(&lock);
}

void sp_log_set_level(sp_log_level level)
{
    pthread_mutex_lock(&lock);
    log_level = level;
    pthread_mutex_unlock(&lock);
}

/* Who hears a message of this level; NULL: nobody. */
static sp_log_fn listener(sp_log_level level, void **ctx)
{
    const sp_scope *s = sp_scope_now();
    if (s && s->log) {
        *ctx = s->log_ctx;
        return level <= s->level ? s->log : NULL;
    }
    pthread_mutex_lock(&lock);
    sp_log_fn fn = level <= log_level ? log_fn : NULL;
    *ctx = log_ctx;
    pthread_mutex_unlock(&lock);
    return fn;
}

bool sp_log_wants(sp_log_level level)
{
    void *ctx;
    return listener(level, &ctx) != NULL;
}

void sp_log(sp_log_level level, const char *fmt, ...)
{
    void *ctx;
    sp_log_fn fn = listener(level, &ctx);
    if (!fn)
        return;
    char text[4096];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (n < 0)
        return;
    if ((size_t)n >= sizeof text)
        memcpy(text + sizeof text - 4, "...", 4);
    sp_text_make_printable(text, strlen(text), 0);
    fn(ctx, level, text);
}
