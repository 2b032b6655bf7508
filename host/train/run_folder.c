/* Locking a run's folder and looking at what is in it: see run_folder.h. */
#include "train/run_folder.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

static const char *const files[] = {"checkpoint.safetensors", "best.safetensors", "metrics.jsonl",
                                    "recipe.yaml"};
enum { N_FILES = sizeof files / sizeof *files };

static bool has(const char *folder, const char *name)
{
    char *path = sp_format("%s/%s", folder, name);
    bool there = path && sp_path_exists(path);
    sp_free(path);
    return there;
}

bool sp_run_folder_taken(const char *folder)
{
    for (int i = 0; i < N_FILES; i++)
        if (has(folder, files[i]))
            return true;
    return false;
}

bool sp_run_folder_has(const char *folder, const char *checkpoint)
{
    const char *slash = strrchr(checkpoint, '/');
    char *of = slash ? sp_strndup(checkpoint, (size_t)(slash - checkpoint) + 1) : sp_strdup(".");
    struct stat a, b;
    bool same =
        of && stat(of, &a) == 0 && stat(folder, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
    sp_free(of);
    return same;
}

/* A recipe that a person wrote is not a run's: no flag makes training replace it. */
static sp_status check_recipe(const char *folder, sp_error *err)
{
    sp_lines l;
    bool written = true;
    sp_lines_open(&l, folder, "recipe.yaml", NULL);
    if (l.f && !has(folder, "metrics.jsonl"))
        written = sp_lines_next(&l) && strcmp(l.text, SP_RUN_RECIPE_HEAD) == 0;
    sp_lines_close(&l);
    return written ? SP_OK
                   : SP_FAIL(err, SP_E_USAGE,
                             "%s/recipe.yaml was not written by a run, and training would replace it; choose "
                             "another folder with --out",
                             folder);
}

static sp_status lock_folder(const char *folder, int *lock, sp_error *err)
{
    char *path = sp_format("%s/.lock", folder);
    *lock = path ? sp_file_lock(path, false) : -1;
    int code = errno;
    sp_free(path);
    if (*lock >= 0)
        return SP_OK;
    if (code == EWOULDBLOCK)
        return SP_FAIL(err, SP_E_USAGE,
                       "%s belongs to a run that is going on; wait for its end, or choose another folder "
                       "with --out",
                       folder);
    if (code != ENOLCK && code != ENOTSUP)
        return SP_FAIL(err, SP_E_IO, "%s/.lock: %s", folder, strerror(code));
    sp_log(SP_LOG_WARNING, "%s: this file system has no locks; do not start a second run in this folder",
           folder);
    return SP_OK;
}

sp_status sp_run_folder_open(const char *folder, const char *checkpoint, bool overwrite, int *lock,
                             sp_error *err)
{
    *lock = -1;
    SP_TRY(sp_folder_make(folder, 0777, err));
    SP_TRY(lock_folder(folder, lock, err));
    sp_status st = SP_OK;
    if (!checkpoint || !sp_run_folder_has(folder, checkpoint))
        st = check_recipe(folder, err);
    if (st == SP_OK && !overwrite && sp_run_folder_taken(folder) &&
        (!checkpoint || !sp_run_folder_has(folder, checkpoint)))
        st = SP_FAIL(err, SP_E_USAGE,
                     "%s holds another run; continue that one with --resume %s, replace it with --overwrite, "
                     "or choose another folder with --out",
                     folder, folder);
    if (st != SP_OK) {
        sp_run_folder_close(folder, *lock);
        *lock = -1;
    }
    return st;
}

bool sp_run_folder_busy(const char *folder)
{
    char *path = sp_format("%s/.lock", folder);
    int lock = path && sp_path_exists(path) ? sp_file_lock(path, false) : -1;
    bool busy = lock < 0 && errno == EWOULDBLOCK && path && sp_path_exists(path);
    if (lock >= 0)
        close(lock);
    sp_free(path);
    return busy;
}

void sp_run_folder_close(const char *folder, int lock)
{
    char *path = lock >= 0 && !sp_run_folder_taken(folder) ? sp_format("%s/.lock", folder) : NULL;
    if (path) {
        unlink(path);
        rmdir(folder); /* a folder with other files in it stays */
    }
    sp_free(path);
    if (lock >= 0)
        close(lock);
}

/* FOLDER/NAME.old for k = 1, then FOLDER/NAME.old-2 and so on. */
static char *old_path(const char *folder, const char *name, int k)
{
    return k == 1 ? sp_format("%s/%s.old", folder, name) : sp_format("%s/%s.old-%d", folder, name, k);
}

/* Whether the files of a run were moved away with number k. */
static bool has_old(const char *folder, int k)
{
    bool there = false;
    for (int i = 0; i < N_FILES && !there; i++) {
        char *old = old_path(folder, files[i], k);
        there = old && sp_path_exists(old);
        sp_free(old);
    }
    return there;
}

/* Moves the files of an old run away. */
static sp_status clear(const char *folder, sp_error *err)
{
    sp_status st = SP_OK;
    int k = 1;
    while (has_old(folder, k))
        k++;
    for (int i = 0; i < N_FILES && st == SP_OK; i++) {
        char *path = sp_format("%s/%s", folder, files[i]), *old = old_path(folder, files[i], k);
        if (!path || !old)
            st = SP_FAIL(err, SP_E_MEMORY, "out of memory for a file name");
        else if (rename(path, old) != 0 && errno != ENOENT)
            st = SP_FAIL(err, SP_E_IO, "%s: cannot be moved away: %s", path, strerror(errno));
        sp_free(path);
        sp_free(old);
    }
    return st;
}

sp_status sp_run_folder_write_recipe(const char *folder, const sp_recipe *r, bool anew, sp_error *err)
{
    char *path = sp_format("%s/recipe.yaml", folder), *fresh = sp_format("%s/recipe.yaml.new", folder);
    sp_text text = {0};
    sp_text_add(&text, "%s", SP_RUN_RECIPE_HEAD);
    sp_recipe_print(r, &text);
    sp_status st = path && fresh && !text.failed
                       ? sp_file_replace_text(anew ? fresh : path, text.s, err)
                       : SP_FAIL(err, SP_E_MEMORY, "%s: out of memory for the recipe", folder);
    if (st == SP_OK && anew)
        st = clear(folder, err);
    if (st == SP_OK && anew && rename(fresh, path) != 0)
        st = SP_FAIL(err, SP_E_IO, "%s: cannot be written: %s", path, strerror(errno));
    sp_text_free(&text);
    sp_free(path);
    sp_free(fresh);
    return st;
}

char *sp_run_folder_old(const char *folder)
{
    sp_text t = {0};
    int k = 1;
    while (has_old(folder, k))
        k++;
    while (--k > 0) {
        char *old = old_path(folder, files[0], k);
        if (old && sp_path_exists(old))
            sp_text_add(&t, "%s%s", t.n ? ", or the older " : "", old);
        sp_free(old);
    }
    if (t.failed)
        sp_text_free(&t);
    return t.s;
}

/* ---- edits of recipe.yaml ---- */

static void compare(const sp_yaml *edited, const sp_yaml *used, const char *folder, const char *path)
{
    bool map = edited->kind == SP_YAML_MAP, list = edited->kind == SP_YAML_LIST;
    if (used && used->kind == edited->kind && (map || list) && (map || used->n == edited->n)) {
        for (size_t i = 0; i < edited->n; i++) {
            char *below = map ? sp_format("%s%s%s", path, *path ? "." : "", edited->keys[i])
                              : sp_format("%s.%zu", path, i);
            const sp_yaml *other = map ? sp_yaml_get(used, edited->keys[i]) : used->items[i];
            if (below)
                compare(edited->items[i], other, folder, below);
            sp_free(below);
        }
    } else if (!used || !edited->text || !used->text) {
        if (!used || edited->kind != used->kind || edited->n != used->n)
            sp_log(SP_LOG_WARNING,
                   "%s/recipe.yaml: %s was edited, which has no effect on a run that continues; change it "
                   "with --set",
                   folder, path);
    } else if (strcmp(edited->text, used->text) != 0) {
        sp_log(SP_LOG_WARNING,
               "%s/recipe.yaml: %s is %s there, but the run continues with %s; to change it, use --set %s=%s",
               folder, path, edited->text, used->text, path, edited->text);
    }
}

static sp_status print(const sp_recipe *r, sp_yaml_doc *doc, sp_error *err)
{
    sp_text t = {0};
    sp_recipe_print(r, &t);
    sp_status st = t.failed ? SP_FAIL(err, SP_E_MEMORY, "out of memory for a recipe")
                            : sp_yaml_parse("recipe", t.s, t.n, doc, err);
    sp_text_free(&t);
    return st;
}

void sp_run_folder_compare(const char *folder, const sp_recipe *used, const char *const *sets, size_t n_sets)
{
    sp_recipe r = {0};
    sp_yaml_doc a = {0}, b = {0};
    sp_error err = {0};
    char *path = sp_format("%s/recipe.yaml", folder);
    if (path && sp_path_exists(path)) {
        sp_status st = sp_recipe_load(path, sets, n_sets, &r, &err);
        if (st == SP_OK)
            st = print(&r, &a, &err);
        if (st == SP_OK)
            st = print(used, &b, &err);
        if (st == SP_OK)
            compare(a.root, b.root, folder, "");
        else
            sp_log(SP_LOG_WARNING, "%s; the run continues with the recipe of its checkpoint", err.text);
    }
    sp_yaml_free(&a);
    sp_yaml_free(&b);
    sp_recipe_free(&r);
    sp_free(path);
}
