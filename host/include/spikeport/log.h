/* The library's log: what it tells a person beside the sp_error of a call. Every function may be called from
 * any thread at any time. */
#ifndef SPIKEPORT_LOG_H
#define SPIKEPORT_LOG_H

#if defined(__GNUC__)
#define SP_LOG_API __attribute__((visibility("default")))
#else
#define SP_LOG_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum { SP_LOG_ERROR, SP_LOG_WARNING, SP_LOG_INFO, SP_LOG_DEBUG } sp_log_level;

/* Takes a message without a line feed at its end; it may be called from several threads at once. */
typedef void (*sp_log_fn)(void *ctx, sp_log_level level, const char *text);

/* Replaces the log, which writes to stderr; NULL restores that. A function that does nothing silences it. */
SP_LOG_API void sp_log_install(sp_log_fn fn, void *ctx);

/* Messages above this level are dropped; SP_LOG_WARNING at the start. */
SP_LOG_API void sp_log_set_level(sp_log_level level);

#ifdef __cplusplus
}
#endif
#endif
