/* The scope of a thread. */
#include "base/scope.h"

#include <stdlib.h>
#include <string.h>

static _Thread_local const sp_scope *now;

const sp_scope *sp_scope_enter(const sp_scope *s)
{
    const sp_scope *before = now;
    now = s;
    return before;
}

const sp_scope *sp_scope_now(void)
{
    return now;
}

const char *sp_setting(const char *name)
{
    for (int i = 0; now && i < SP_SCOPE_SETTINGS; i++)
        if (now->settings[i].value && strcmp(now->settings[i].name, name) == 0)
            return now->settings[i].value;
    return getenv(name);
}
