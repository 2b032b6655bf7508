/* DVS128 Gesture: which gestures of which recordings make up a split. Names and times only; what is in a
 * recording shows when it is read. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/error.h"
#include "base/file.h"
#include "data/events.h"

enum { MOST_TEXT_BYTES = 1 << 24 };

static sp_status read_text(const char *path, char **text, size_t *n, sp_error *err)
{
    sp_status st = sp_file_read(path, MOST_TEXT_BYTES, text, n, err);
    return st == SP_E_IO ? sp_error_as(err, SP_E_DATA) : st;
}

/* The gestures of one recording. */
static sp_status add_trial(const char *folder, const char *trial, sp_file_list *out, sp_error *err)
{
    size_t stem = strlen(trial) - strlen(".aedat"), n = 0, n_rows = 0;
    char *path = sp_format("%s/%s", folder, trial), *text = NULL;
    char *labels = sp_format("%s/%.*s_labels.csv", folder, (int)stem, trial);
    sp_gesture_row *rows = NULL;
    struct stat info;
    sp_status st = SP_OK;
    if (!path || !labels)
        SP_TRY_GOTO(SP_FAIL(err, SP_E_MEMORY, "out of memory while listing recordings"));
    if (stat(path, &info) != 0 || !S_ISREG(info.st_mode))
        SP_TRY_GOTO(SP_FAIL(err, SP_E_DATA,
                            "%s: no such file, but the list of trials names it; unpack the set anew", path));
    SP_TRY_GOTO(read_text(labels, &text, &n, err));
    SP_TRY_GOTO(sp_gesture_labels_parse(labels, text, n, &rows, &n_rows, err));
    for (size_t i = 0; i < n_rows; i++)
        SP_TRY_GOTO(sp_file_list_add(out,
                                     (sp_file){sp_strdup(path), rows[i].label, rows[i].line, rows[i].range},
                                     err));
done:
    sp_free(rows);
    sp_free(text);
    sp_free(labels);
    sp_free(path);
    return st;
}

sp_status sp_list_gestures(const char *folder, const char *list_path, sp_file_list *out, sp_error *err)
{
    char *text = NULL, *trial = NULL;
    size_t n = 0, at = 0;
    sp_status st;
    SP_TRY_GOTO(read_text(list_path, &text, &n, err));
    for (;;) {
        SP_TRY_GOTO(sp_gesture_next_trial(list_path, text, n, &at, &trial, err));
        if (!trial)
            break;
        SP_TRY_GOTO(add_trial(folder, trial, out, err));
        sp_free(trial);
        trial = NULL;
    }
    if (out->n == 0)
        st = SP_FAIL(err, SP_E_DATA, "%s: byte %zu: names no recording; unpack the set anew", list_path, n);
done:
    sp_free(trial);
    sp_free(text);
    if (st != SP_OK)
        sp_file_list_free(out);
    return st;
}
