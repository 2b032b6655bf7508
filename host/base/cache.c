/* Where the cache folder is, and making folders. */
#include "base/cache.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "base/mem.h"

char *sp_cache_folder(void)
{
    const char *own = getenv("SPIKEPORT_CACHE_DIR"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (own && *own)
        return sp_strdup(own);
    if (xdg && *xdg)
        return sp_format("%s/spikeport", xdg);
    return home && *home ? sp_format("%s/.cache/spikeport", home) : NULL;
}

void sp_folder_make(const char *folder)
{
    char *path = sp_strdup(folder);
    for (char *at = path && *path ? path + 1 : NULL; at && *at; at++)
        if (*at == '/') {
            *at = '\0';
            mkdir(path, 0777);
            *at = '/';
        }
    if (path)
        mkdir(path, 0777);
    sp_free(path);
}
