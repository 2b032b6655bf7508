/* The user's cache folder: where it is, and making it. */
#include "base/folder.h"

#include <stdlib.h>
#include <sys/stat.h>
#include "base/mem.h"

char *sp_cache_folder(const char *name)
{
    const char *own = getenv("SPIKEPORT_CACHE_DIR"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    const char *slash = name ? "/" : "", *end = name ? name : "";
    if (own && *own)
        return sp_format("%s%s%s", own, slash, end);
    if (xdg && *xdg)
        return sp_format("%s/spikeport%s%s", xdg, slash, end);
    return home && *home ? sp_format("%s/.cache/spikeport%s%s", home, slash, end) : NULL;
}

void sp_make_folder(char *path)
{
    for (char *at = path + 1; *at; at++)
        if (*at == '/') {
            *at = '\0';
            mkdir(path, 0777);
            *at = '/';
        }
    mkdir(path, 0777);
}
