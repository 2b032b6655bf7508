/* `//@ include:`: the text of a file with the files that it includes put in front. They are looked up beside
 * the file, then among the common ones of cl_kernels/common. From here on there is one text, so that what is
 * compiled, hashed and written into packages cannot differ. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "registry/embedded.h"
#include "registry/store.h"

#define COMMON  "cl_kernels/common"
#define BUILTIN "builtin:"

const char *sp_embedded_text(const char *path)
{
    for (size_t i = 0; i < sp_embedded_count; i++)
        if (strcmp(sp_embedded_files[i].path, path) == 0)
            return sp_embedded_files[i].text;
    return NULL;
}

/* An included file beside the file `path`: embedded where that is, else on disk. The caller frees it. NULL:
 * there is none, or `why` says what is wrong with it. */
static char *find_beside(const char *path, const char *name, char *why, size_t why_size)
{
    bool builtin = strncmp(path, BUILTIN, strlen(BUILTIN)) == 0;
    const char *start = builtin ? path + strlen(BUILTIN) : path, *slash = strrchr(start, '/');
    char *full = slash ? sp_format("%.*s/%s", (int)(slash - start), start, name) : sp_strdup(name);
    const char *embedded = builtin && full ? sp_embedded_text(full) : NULL;
    char *text = embedded                                   ? sp_strdup(embedded)
                 : full && !builtin && sp_path_exists(full) ? sp_text_file_read(full, why, why_size)
                                                            : NULL;
    sp_free(full);
    return text;
}

static sp_status add_include(sp_text *t, const char *path, const char *name, sp_error *err)
{
    char why[128] = "", common[128];
    char *beside = find_beside(path, name, why, sizeof why);
    snprintf(common, sizeof common, COMMON "/%s", name);
    const char *text = beside ? beside : sp_embedded_text(common);
    sp_status st = SP_OK;
    if (why[0])
        st = SP_FAIL(err, SP_E_PLUGIN, "the included file %s %s", name, why);
    else if (!text)
        st = SP_FAIL(err, SP_E_PLUGIN, "the included file %s is neither beside this file nor in " COMMON,
                     name);
    else if (strncmp(text, "//@", 3) == 0 || strstr(text, "\n//@"))
        st = SP_FAIL(err, SP_E_PLUGIN,
                     "the included file %s has a \"//@\" line: metadata stand in the file that includes it",
                     name);
    else
        sp_source_add(t, name, text);
    sp_free(beside);
    return st;
}

sp_status sp_include_expand(const char *path, const char *text, const char *names, char **out, sp_error *err)
{
    sp_text t = {0};
    sp_status st = SP_OK;
    for (const char *at = names + strspn(names, " \t"); *at && st == SP_OK; at += strspn(at, " \t")) {
        char name[64];
        size_t n = strcspn(at, " \t");
        snprintf(name, sizeof name, "%.*s", (int)n, at);
        at += n;
        st = add_include(&t, path, name, err);
    }
    sp_source_add(&t, path, text);
    if (st == SP_OK && t.failed)
        st = SP_FAIL(err, SP_E_MEMORY, "out of memory while reading %s", path);
    if (st == SP_OK)
        *out = t.s;
    else
        sp_text_free(&t);
    return st;
}
