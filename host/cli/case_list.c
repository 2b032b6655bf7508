/* Reference cases named on the command line: files, or folders of them. */
#include "cli/case_list.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"

/* NAME.json that has a NAME.safetensors beside it. */
static bool is_case(int at, const char *name, const void *ctx)
{
    char tensors[300];
    (void)ctx;
    snprintf(tensors, sizeof tensors, "%.*s.safetensors", (int)strlen(name) - 5, name);
    return sp_name_ends_in(at, name, ".json") && faccessat(at, tensors, R_OK, 0) == 0;
}

/* In order of name. */
static sp_status add_folder(sp_names *out, const char *folder, sp_error *err)
{
    sp_names cases = {0};
    sp_status st = sp_folder_list(folder, is_case, NULL, &cases, err);
    for (size_t i = 0; i < cases.n && st == SP_OK; i++) {
        char *path = sp_format("%s/%s", folder, cases.items[i]);
        st = path ? sp_names_add(out, path, err) : SP_FAIL(err, SP_E_MEMORY, "out of memory");
        sp_free(path);
    }
    if (st == SP_OK && cases.n == 0)
        st = SP_FAIL(err, SP_E_DATA, "%s: no reference case (NAME.json with NAME.safetensors) in this folder",
                     folder);
    sp_names_free(&cases);
    return st;
}

sp_status sp_case_list_add(sp_names *out, const char *const *names, size_t n, sp_error *err)
{
    for (size_t i = 0; i < n; i++) {
        struct stat st;
        if (stat(names[i], &st) != 0)
            return SP_FAIL(err, SP_E_DATA, "%s: %s", names[i], strerror(errno));
        if (!S_ISDIR(st.st_mode) && !sp_name_ends_in(-1, names[i], ".json"))
            return SP_FAIL(err, SP_E_USAGE, "%s: a reference case is named by its .json file", names[i]);
        SP_TRY(S_ISDIR(st.st_mode) ? add_folder(out, names[i], err) : sp_names_add(out, names[i], err));
    }
    return SP_OK;
}
