/* Where the installation is. */
#define _GNU_SOURCE // dladdr
#include "base/paths.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* The file with this code. What dladdr calls the program itself is argv[0], which may be anything. */
static bool own_file(char path[PATH_MAX])
{
    static const char here;
    Dl_info info;
    bool is_library =
        dladdr(&here, &info) != 0 && info.dli_fname && strstr(info.dli_fname, "libspikeport.so");
    return realpath(is_library ? info.dli_fname : "/proc/self/exe", path) != NULL;
}

/* The folder into which spikeport was installed; in_build_tree: none was. */
static char *prefix(bool *in_build_tree)
{
    const char *set = getenv("SPIKEPORT_PREFIX");
    char path[PATH_MAX];
    *in_build_tree = false;
    if (set && *set)
        return sp_strdup(set);
    if (!own_file(path))
        return NULL;
    *in_build_tree = strncmp(path, SP_BUILD_DIR "/", sizeof SP_BUILD_DIR) == 0;
    const char *up = strstr(strrchr(path, '/'), ".so") ? SP_LIB_TO_PREFIX : SP_BIN_TO_PREFIX;
    *strrchr(path, '/') = '\0';
    return sp_format("%s/%s", path, up);
}

char *sp_own_data(const char *name)
{
    bool in_build_tree;
    char *at = prefix(&in_build_tree);
    char *folder = in_build_tree ? sp_format(SP_SOURCE_DIR "/%s", name)
                   : at          ? sp_format("%s/" SP_DATA_DIR "/spikeport/%s", at, name)
                                 : NULL;
    sp_free(at);
    return folder;
}

char *sp_own_plugins(void)
{
    bool in_build_tree;
    char *at = prefix(&in_build_tree);
    char *folder = in_build_tree ? sp_strdup(SP_BUILD_DIR "/lib/spikeport/plugins")
                   : at          ? sp_format("%s/" SP_LIB_DIR "/spikeport/plugins", at)
                                 : NULL;
    sp_free(at);
    return folder;
}
