/* A table of files and labels: one line a sample, file,label or, with a heading, file,label,split. Cells may
 * be quoted as RFC 4180 has it. With targets a line is file,number,number,..., and the heading names the
 * outputs. What labels say is for file_labels.c. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "data/file_labels.h"

enum { MOST_BYTES = 1 << 28, MOST_TARGETS = 256, MOST_CELLS = MOST_TARGETS + 2, MOST_CELL = 4096 };

typedef struct reader {
    const char *name, *text;
    size_t n, at;
    int line; /* of the row, counted from 1 */
    int next_line;
    char cell[MOST_CELLS][MOST_CELL];
    int cells;
    sp_targets targets;
} reader;

static sp_status wrong(const reader *r, const char *what, sp_error *err)
{
    return SP_FAIL(err, SP_E_DATA, "%s:%d: %s; a line is file,%s, quoted where a name has a comma", r->name,
                   r->line, what, r->targets ? "number,number,..." : "label");
}

static bool line_ends(const reader *r)
{
    return r->at >= r->n || r->text[r->at] == '\n' || r->text[r->at] == '\r';
}

/* The cell at r->at into `out`, without the blanks around it. */
static sp_status read_cell(reader *r, char *out, sp_error *err)
{
    size_t n = 0;
    bool quoted = false;
    while (!line_ends(r) && (r->text[r->at] == ' ' || r->text[r->at] == '\t'))
        r->at++;
    if (!line_ends(r) && r->text[r->at] == '"') {
        for (quoted = true, r->at++;; r->at++) {
            if (r->at >= r->n || r->text[r->at] == '\n')
                return wrong(r, "a quoted cell is not closed", err);
            if (r->text[r->at] == '"' && !(r->at + 1 < r->n && r->text[r->at + 1] == '"'))
                break;
            r->at += r->text[r->at] == '"';
            if (n + 1 >= MOST_CELL)
                return wrong(r, "a cell is longer than 4095 bytes", err);
            out[n++] = r->text[r->at];
        }
        r->at++;
    }
    for (; !line_ends(r) && r->text[r->at] != ','; r->at++) {
        if (quoted && r->text[r->at] != ' ' && r->text[r->at] != '\t')
            return wrong(r, "text follows a quoted cell", err);
        if (n + 1 >= MOST_CELL)
            return wrong(r, "a cell is longer than 4095 bytes", err);
        if (!quoted)
            out[n++] = r->text[r->at];
    }
    while (!quoted && n && (out[n - 1] == ' ' || out[n - 1] == '\t'))
        n--;
    out[n] = '\0';
    return strlen(out) == n ? SP_OK : wrong(r, "a cell has a NUL byte", err);
}

static sp_status read_cells(reader *r, sp_error *err)
{
    bool comma = true;
    r->cells = 0;
    r->line = r->next_line;
    while (comma && r->at < r->n) {
        if (r->cells == (r->targets ? MOST_CELLS : 3))
            return wrong(r, r->targets ? "more than 258 columns" : "more than three columns", err);
        SP_TRY(read_cell(r, r->cell[r->cells++], err));
        comma = !line_ends(r);
        r->at += comma;
    }
    return SP_OK;
}

/* The next line that is not blank; cells 0: there is none. */
static sp_status read_row(reader *r, sp_error *err)
{
    do {
        while (r->at < r->n && line_ends(r))
            r->next_line += r->text[r->at++] == '\n';
        SP_TRY(read_cells(r, err));
    } while (r->cells == 1 && !r->cell[0][0]);
    return SP_OK;
}

static bool is_one_of(const char *text, const char *const *words)
{
    for (; *words; words++)
        if (strcasecmp(text, *words) == 0)
            return true;
    return false;
}

/* Whether the row is a heading; the columns it names must be those that are read. */
static sp_status read_heading(const reader *r, bool *heading, bool *divided, sp_error *err)
{
    static const char *const files[] = {"file", "files", "filename", "path", "image", "recording", NULL};
    static const char *const labels[] = {"label", "labels", "class", "target", NULL};
    static const char *const splits[] = {"split", "part", "set", NULL};
    *heading = r->cells > 0 && is_one_of(r->cell[0], files);
    *divided = *heading && r->cells > 1 && is_one_of(r->cell[r->cells - 1], splits);
    if (*heading && r->targets)
        return r->cells > 1 + *divided ? SP_OK : wrong(r, "the heading names no numbers", err);
    *divided = *heading && r->cells == 3;
    if (*heading &&
        (r->cells < 2 || !is_one_of(r->cell[1], labels) || (r->cells == 3 && !is_one_of(r->cell[2], splits))))
        return wrong(r, "the heading is not file,label or file,label,split", err);
    return SP_OK;
}

static sp_status read_part(const reader *r, sp_csv_part *part, sp_error *err)
{
    static const char *const test[] = {"test", "val", "valid", "validation", NULL};
    const char *text = r->cell[r->cells - 1];
    if (strcasecmp(text, "train") == 0 || is_one_of(text, test)) {
        *part = strcasecmp(text, "train") == 0 ? SP_CSV_TRAIN : SP_CSV_TEST;
        return SP_OK;
    }
    return wrong(r,
                 r->targets ? "the last column is not train, val or test"
                            : "the third column is not train, val or test",
                 err);
}

typedef struct table {
    spi_label *rows; /* of the whole table */
    size_t n;
    size_t *of_file; /* [files.n] row of each file of the part */
    sp_file_list files;
    int columns; /* behind the file: the label, or so many targets */
    size_t n_numbers;
} table;

static void table_free(table *t)
{
    for (size_t i = 0; t->rows && i < t->n; i++)
        sp_free(t->rows[i].label), sp_free(t->rows[i].file);
    sp_free(t->rows);
    sp_free(t->of_file);
    sp_file_list_free(&t->files);
}

sp_status sp_target_check(float x, sp_targets targets, const char *where, size_t at, sp_error *err)
{
    if (isfinite(x) && (targets != SP_TARGETS_LABELS || (x >= 0.0f && x <= 1.0f)))
        return SP_OK;
    return SP_FAIL(err, SP_E_DATA, "%s: row %zu has a target of %g; %s", where, at, (double)x,
                   targets == SP_TARGETS_LABELS ? "loss.name: bce takes numbers from 0 (has not) to 1 (has)"
                                                : "targets are finite");
}

/* The numbers of a row, checked whichever part it is of. */
static sp_status add_numbers(table *t, const reader *r, bool wanted, sp_error *err)
{
    for (int k = 1; k <= t->columns; k++) {
        char *end;
        float x = strtof(r->cell[k], &end), *added;
        if (end == r->cell[k] || *end)
            return wrong(r, "a column is no number", err);
        SP_TRY(sp_target_check(x, r->targets, r->name, (size_t)r->line, err));
        added = wanted ? sp_array_push(&t->files.targets, t->n_numbers, sizeof *added) : NULL;
        if (wanted && !added)
            return SP_FAIL(err, SP_E_MEMORY, "%s: out of memory", r->name);
        if (added)
            *added = x, t->n_numbers++;
    }
    return SP_OK;
}

static sp_status add_row(table *t, const reader *r, sp_csv_part want, bool divided, sp_error *err)
{
    sp_csv_part part = SP_CSV_TRAIN;
    spi_label *added;
    size_t *place;
    if (r->cells != t->columns + 1 + divided || !r->cell[0][0] || !r->cell[1][0])
        return wrong(r,
                     r->targets ? "not as many columns as the first line"
                     : divided  ? "not file,label,split"
                                : "not file,label",
                     err);
    if (divided)
        SP_TRY(read_part(r, &part, err));
    if (r->targets) {
        bool wanted = want == SP_CSV_ALL || !divided || part == want;
        t->n++;
        SP_TRY(add_numbers(t, r, wanted, err));
        sp_file file = {.path = wanted ? sp_path_beside(r->name, r->cell[0]) : NULL};
        return wanted ? sp_file_list_add(&t->files, file, err) : SP_OK;
    }
    added = sp_array_push(&t->rows, t->n, sizeof *added);
    if (!added)
        return SP_FAIL(err, SP_E_MEMORY, "%s: out of memory", r->name);
    *added = (spi_label){.label = sp_strdup(r->cell[1]), .file = sp_strdup(r->cell[0]), .line = r->line};
    if (!added->label || !added->file) {
        sp_free(added->label), sp_free(added->file);
        return SP_FAIL(err, SP_E_MEMORY, "%s: out of memory", r->name);
    }
    t->n++;
    if (want != SP_CSV_ALL && divided && part != want)
        return SP_OK;
    place = sp_array_push(&t->of_file, t->files.n, sizeof *place);
    if (!place)
        return SP_FAIL(err, SP_E_MEMORY, "%s: out of memory", r->name);
    *place = t->n - 1;
    return sp_file_list_add(&t->files, (sp_file){.path = sp_path_beside(r->name, r->cell[0])}, err);
}

/* The outputs have the names of the heading, or none. */
static sp_status name_targets(table *t, const reader *r, bool heading, sp_error *err)
{
    sp_names names = {0};
    sp_status st = SP_OK;
    t->files.n_targets = t->files.classes = t->columns;
    for (int k = 1; st == SP_OK && heading && k <= t->columns; k++)
        st = sp_names_add(&names, r->cell[k], err);
    if (st == SP_OK && heading) {
        t->files.class_names = names.items;
        names = (sp_names){0};
    }
    sp_names_free(&names);
    return st;
}

sp_status sp_csv_parse(const char *name, const char *text, size_t n, sp_csv_part part, sp_targets targets,
                       bool *divided, sp_file_list *out, sp_error *err)
{
    reader *r = sp_alloc(sizeof *r);
    table t = {.columns = 1};
    bool heading = false, has_split = false;
    sp_status st = r ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "%s: out of memory", name);
    SP_TRY_GOTO(st);
    r->name = name, r->text = text, r->n = n, r->next_line = 1, r->targets = targets;
    r->at = n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0; /* byte order mark */
    SP_TRY_GOTO(read_row(r, err));
    SP_TRY_GOTO(read_heading(r, &heading, &has_split, err));
    if (targets) {
        t.columns = r->cells - 1 - has_split;
        SP_TRY_GOTO(name_targets(&t, r, heading, err));
    }
    if (heading)
        SP_TRY_GOTO(read_row(r, err));
    for (; r->cells;) {
        SP_TRY_GOTO(add_row(&t, r, part, has_split, err));
        SP_TRY_GOTO(read_row(r, err));
    }
    if (t.files.n == 0)
        SP_TRY_GOTO(SP_FAIL(err, SP_E_DATA, "%s:%d: no line of file,%s%s", name, r->line,
                            targets ? "number,..." : "label", t.n ? " for this split" : ""));
    if (!targets)
        SP_TRY_GOTO(spi_label_files(t.rows, t.n, t.of_file, name, &t.files, err));
    if (divided)
        *divided = has_split;
    *out = t.files;
    t.files = (sp_file_list){0};
done:
    sp_free(r);
    table_free(&t);
    return st;
}

bool sp_path_is_csv(const char *path)
{
    return sp_name_ends_in(-1, path, ".csv") && sp_path_exists(path) && !sp_path_is_folder(path);
}

sp_status sp_list_csv(const char *path, sp_csv_part part, sp_targets targets, bool *divided,
                      sp_file_list *out, sp_error *err)
{
    char *text = NULL;
    size_t n = 0;
    sp_status st = sp_file_read(path, MOST_BYTES, &text, &n, err);
    if (st == SP_OK)
        st = sp_csv_parse(path, text, n, part, targets, divided, out, err);
    sp_free(text);
    return st == SP_E_IO ? sp_error_as(err, SP_E_DATA) : st;
}
