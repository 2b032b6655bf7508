/* Scope: the log and the settings of the caller of the library, on its thread and on those that work for it.
 * It is how two contexts of one process have a log, folders and a device selection of their own. Outside of
 * any scope the process's log and its environment hold. */
#ifndef SP_BASE_SCOPE_H
#define SP_BASE_SCOPE_H

#include "spikeport/log.h"
#include "spikeport/status.h"

enum { SP_SCOPE_SETTINGS = 8 };

/* Must outlive every thread that has entered it. */
typedef struct sp_scope {
    sp_log_fn log; /* NULL: the process's log */
    void *log_ctx;
    sp_log_level level;
    struct {
        const char *name, *value; /* "SPIKEPORT_CACHE_DIR"; value NULL: as the environment has it */
    } settings[SP_SCOPE_SETTINGS];
} sp_scope;

/* The scope of this thread from here on, NULL for none; returns the one before. [any-thread] */
const sp_scope *sp_scope_enter(const sp_scope *s);
const sp_scope *sp_scope_now(void);

/* What the scope says about a variable, else the environment; NULL: nothing. [any-thread] */
const char *sp_setting(const char *name);
/* Refuses values that no setting has, so that a typing error is not taken for the default: SP_E_USAGE. */
sp_status sp_settings_check(sp_error *err);

#endif
