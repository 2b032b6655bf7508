/* Whether a file may be replaced, from how it begins: see output.h. */
#include "base/output.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

enum { HEAD_BYTES = 128, TENSORS_AT = 8 }; /* a safetensors header lies behind its length */

#define TENSORS(format) TENSORS_AT, "{\"__metadata__\":{\"format\":\"" format "\""
static const struct {
    const char *what;
    size_t at;
    const char *start;
} kinds[] = {
    [SP_OUTPUT_PICTURE] = {"a PNG picture", 0, "\x89PNG\r\n\x1a\n"},
    [SP_OUTPUT_SVG] = {"an SVG picture", 0, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg"},
    [SP_OUTPUT_PAGE] = {"a page", 0, "<!DOCTYPE html>\n"},
    [SP_OUTPUT_PDF] = {"a PDF picture", 0, "%PDF-"},
    [SP_OUTPUT_TRACE] = {"a trace", 0, "{\"displayTimeUnit\":\"ms\",\"traceEvents\":["},
    [SP_OUTPUT_ARRAY] = {"an .npy array", 0, "\x93NUMPY"},
    [SP_OUTPUT_NIR] = {"a NIR graph (HDF5)", 0, "\x89HDF\r\n\x1a\n"},
    [SP_OUTPUT_NETWORK] = {"an imported network", 0, SP_OUTPUT_NETWORK_HEAD},
    [SP_OUTPUT_CONVERTED] = {"the recipe of a converted network", 0, SP_OUTPUT_CONVERTED_HEAD},
    [SP_OUTPUT_WISDOM] = {"wisdom", 0, "{\"schema\":"},
    [SP_OUTPUT_WEIGHTS] = {"exported weights", TENSORS(SP_OUTPUT_WEIGHTS_FORMAT)},
    [SP_OUTPUT_RECORDING] = {"a recording of layers", TENSORS(SP_OUTPUT_RECORDING_FORMAT)},
    [SP_OUTPUT_INPUT] = {"an input of bench", TENSORS(SP_OUTPUT_INPUT_FORMAT)},
    [SP_OUTPUT_DIFF] = {"a recording of diff", 0, SP_OUTPUT_DIFF_HEAD},
    [SP_OUTPUT_SWEEP] = {"the table of a sweep", 0, "name,value,series,"},
    [SP_OUTPUT_SIMILARITY] = {"a table of similarities", 0, "time_steps,tau,updates,"},
    [SP_OUTPUT_CURVE] = {"the curve of a conversion", 0, "time_steps,accuracy,lost,"},
};

/* A file that cannot be read is of no kind. */
static bool is_of_kind(const char *path, sp_output kind)
{
    char head[HEAD_BYTES];
    size_t n = strlen(kinds[kind].start);
    FILE *f = sp_file_stream(path, NULL);
    bool same = f && fread(head, 1, kinds[kind].at + n, f) == kinds[kind].at + n &&
                memcmp(head + kinds[kind].at, kinds[kind].start, n) == 0;
    if (f)
        fclose(f);
    return same;
}

static sp_status check_folder(const char *path, sp_error *err)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? sp_strndup(path, (size_t)(slash - path) + 1) : sp_strdup(".");
    sp_status st = SP_OK;
    if (!folder)
        st = SP_FAIL(err, SP_E_MEMORY, "%s: out of memory", path);
    else if (access(folder, W_OK | X_OK) != 0)
        st = SP_FAIL(err, SP_E_IO, "%s: cannot be written: %s%s", path, strerror(errno),
                     errno == ENOENT ? "; create the folder first" : "; choose a folder you may write to");
    sp_free(folder);
    return st;
}

sp_status sp_output_check(const char *path, sp_output kind, const char *const *inputs, size_t n,
                          sp_error *err)
{
    struct stat at, in;
    if (stat(path, &at) != 0)
        return check_folder(path, err);
    if (S_ISDIR(at.st_mode))
        return SP_FAIL(err, SP_E_IO, "%s is a folder; name a file for %s", path, kinds[kind].what);
    for (size_t i = 0; i < n; i++)
        if (stat(inputs[i], &in) == 0 && in.st_dev == at.st_dev && in.st_ino == at.st_ino)
            return SP_FAIL(err, SP_E_USAGE,
                           "%s is read by this command, and its output would replace it; choose another name",
                           path);
    if (S_ISREG(at.st_mode) && at.st_size > 0 && !is_of_kind(path, kind))
        return SP_FAIL(err, SP_E_USAGE,
                       "%s exists and is not %s, so it is not replaced; choose another name, or remove the "
                       "file first",
                       path, kinds[kind].what);
    return S_ISREG(at.st_mode) ? check_folder(path, err) : SP_OK;
}
