/* Where the installation is. */
#define _GNU_SOURCE // dladdr
#include "base/paths.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/scope.h"
#include "base/suggest.h"

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
    const char *set = sp_setting("SPIKEPORT_PREFIX");
    char path[PATH_MAX];
    *in_build_tree = false;
    if (set && *set)
        return sp_strdup(set);
    if (!own_file(path)) /* without /proc */
        return sp_strdup(SP_INSTALL_PREFIX);
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

sp_status sp_own_names(const char *folder, sp_names *out, sp_error *err)
{
    char *path = sp_own_data(folder);
    if (!path)
        return SP_FAIL(err, SP_E_IO,
                       "the folder %s of this installation cannot be told; set SPIKEPORT_PREFIX", folder);
    sp_status st = sp_folder_list(path, sp_name_ends_in, ".yaml", out, err);
    for (size_t i = 0; i < out->n; i++)
        out->items[i][strlen(out->items[i]) - 5] = '\0';
    sp_free(path);
    return st;
}

sp_status sp_own_file(const char *folder, const char *what, const char *word, char **path, sp_error *err)
{
    sp_names names = {0};
    sp_text all = {0};
    bool known = strpbrk(word, "./") != NULL;
    char *own = known ? NULL : sp_own_data(folder);
    sp_status st = known ? SP_OK : sp_own_names(folder, &names, err);
    for (size_t i = 0; i < names.n; i++) {
        known = known || strcmp(names.items[i], word) == 0;
        sp_text_add(&all, "%s%s", i ? ", " : "", names.items[i]);
    }
    const char *near = sp_suggest(word, (const char *const *)names.items, names.n);
    if (st == SP_OK && !known && near)
        st = SP_FAIL(err, SP_E_USAGE, "there is no %s \"%.64s\"; did you mean \"%s\"?", what, word, near);
    else if (st == SP_OK && !known)
        st = SP_FAIL(err, SP_E_USAGE, "there is no %s \"%.64s\"; there are %s; or name a YAML file", what,
                     word, all.s ? all.s : "none");
    *path = st != SP_OK ? NULL : own ? sp_format("%s/%s.yaml", own, word) : sp_strdup(word);
    if (st == SP_OK && !*path)
        st = SP_FAIL(err, SP_E_MEMORY, "out of memory");
    sp_names_free(&names);
    sp_text_free(&all);
    sp_free(own);
    return st;
}

char *sp_own_library(const char *name)
{
    bool in_build_tree;
    char *at = prefix(&in_build_tree);
    char *folder = in_build_tree ? sp_format(SP_BUILD_DIR "/lib/spikeport/%s", name)
                   : at          ? sp_format("%s/" SP_LIB_DIR "/spikeport/%s", at, name)
                                 : NULL;
    sp_free(at);
    return folder;
}

char *sp_path_quote(const char *path)
{
    const bool plain = !strpbrk(path, "\\\"$`!"); /* else only single quotes keep what is in them */
    sp_text t = {0};
    sp_text_add(&t, plain ? "\"" : "'");
    for (const char *at = path; *at; at++)
        sp_text_add(&t, *at == '\'' && !plain ? "'\\''" : "%c", *at);
    sp_text_add(&t, plain ? "\"" : "'");
    if (t.failed)
        sp_text_free(&t);
    return t.s;
}
