/* Messages for the person at the keyboard. The library only logs through the installed function (default:
 * stderr). */
#ifndef SP_BASE_LOG_H
#define SP_BASE_LOG_H

typedef enum { SP_LOG_ERROR, SP_LOG_WARNING, SP_LOG_INFO, SP_LOG_DEBUG } sp_log_level;
typedef void (*sp_log_fn)(void *ctx, sp_log_level level, const char *text);

void sp_log_install(sp_log_fn fn, void *ctx); /* NULL: back to stderr */
void sp_log_set_level(sp_log_level level);    /* messages above it are dropped; default SP_LOG_INFO */
void sp_log(sp_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
