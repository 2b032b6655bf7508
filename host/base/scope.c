/* The scope of a thread. */
#include "base/scope.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"

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

/* Whether every folder of a list with colons is there; else *missing is where its name begins. */
static bool folders_exist(const char *list, const char **missing)
{
    for (const char *at = list; *at; at += *at == ':') {
        char path[4096];
        size_t n = strcspn(at, ":");
        *missing = at;
        if (n >= sizeof path)
            return false;
        memcpy(path, at, n);
        path[n] = '\0';
        if (n && !sp_path_is_folder(path))
            return false;
        at += n;
    }
    return true;
}

static bool is_seconds(const char *text)
{
    return strspn(text, "0123456789") == strlen(text) && strlen(text) <= 9;
}

sp_status sp_settings_check(sp_error *err)
{
    enum { SWITCH, ON_OFF, SECONDS, FOLDERS };
    static const struct {
        const char *name;
        int kind;
    } known[] = {{"SPIKEPORT_SYNC_DEBUG", SWITCH},     {"SPIKEPORT_REFUSE_SOURCES", SWITCH},
                 {"SPIKEPORT_NO_LIBRARIES", SWITCH},   {"SPIKEPORT_PROGRAM_CACHE", ON_OFF},
                 {"SPIKEPORT_COMPILE_HELPER", ON_OFF}, {"SPIKEPORT_BUILD_TIMEOUT", SECONDS},
                 {"SPIKEPORT_PREFIX", FOLDERS},        {"SPIKEPORT_WISDOM_PATH", FOLDERS}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const char *name = known[i].name, *value = sp_setting(name), *missing;
        if (!value || !*value)
            continue;
        if (known[i].kind == SWITCH && strcmp(value, "0") != 0 && strcmp(value, "1") != 0)
            return SP_FAIL(err, SP_E_USAGE, "%s is \"%.100s\", but it is 1 or 0", name, value);
        if (known[i].kind == ON_OFF && strcmp(value, "on") != 0 && strcmp(value, "off") != 0)
            return SP_FAIL(err, SP_E_USAGE, "%s is \"%.100s\", but it is on or off", name, value);
        if (known[i].kind == SECONDS && !is_seconds(value))
            return SP_FAIL(err, SP_E_USAGE, "%s is \"%.100s\", but it is a number of seconds, 0 to 999999999",
                           name, value);
        if (known[i].kind == FOLDERS && !folders_exist(value, &missing))
            return SP_FAIL(err, SP_E_USAGE, "%s names \"%.*s\", which is no folder", name,
                           (int)strcspn(missing, ":"), missing);
    }
    return SP_OK;
}
