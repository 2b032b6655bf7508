/* Labels of a table of files. Those that are all whole numbers are the numbers of the classes; others are
 * names, sorted. */
#include "data/file_labels.h"

#include <stdlib.h>
#include <string.h>
#include "base/error.h"
#include "base/log.h"

enum { MOST_CLASSES = 65536 };

static bool is_number(const char *text, int32_t *out)
{
    size_t n = strlen(text);
    *out = n && n < 7 ? (int32_t)atol(text) : 0;
    return n && n < 7 && strspn(text, "0123456789") == n;
}

static int compare_rows(const void *a, const void *b)
{
    const spi_label *x = a, *y = b;
    return strcmp(x->label, y->label);
}

static sp_status name_classes(const spi_label *rows, size_t n, sp_names *names, sp_error *err)
{
    spi_label *sorted = sp_alloc_array(n, sizeof *sorted);
    sp_status st = SP_OK;
    if (!sorted)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory while reading labels");
    memcpy(sorted, rows, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, compare_rows);
    for (size_t i = 0; st == SP_OK && i < n; i++)
        if (i == 0 || strcmp(sorted[i].label, sorted[i - 1].label) != 0)
            st = sp_names_add(names, sorted[i].label, err);
    sp_free(sorted);
    return st;
}

static sp_status too_many(const char *name, size_t classes, sp_error *err)
{
    return SP_FAIL(err, SP_E_DATA, "%s: the labels make %zu classes; up to %d are read", name, classes,
                   (int)MOST_CLASSES);
}

static int compare_files(const void *a, const void *b)
{
    const spi_label *x = a, *y = b;
    const int order = strcmp(x->file, y->file);
    return order ? order : x->line - y->line;
}

/* A file with two labels is a slip; one that is listed again counts twice, and a division may put it in both
 * parts. */
static sp_status check_repeated(const spi_label *rows, size_t n, const char *name, sp_error *err)
{
    spi_label *sorted = sp_alloc_array(n + 1, sizeof *sorted);
    size_t again = 0;
    sp_status st = sorted ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory while reading labels");
    if (sorted) {
        memcpy(sorted, rows, n * sizeof *sorted);
        qsort(sorted, n, sizeof *sorted, compare_files);
    }
    for (size_t i = 1; st == SP_OK && i < n; i++) {
        const spi_label *x = &sorted[i - 1], *y = &sorted[i];
        if (strcmp(x->file, y->file) != 0)
            continue;
        again++;
        if (strcmp(x->label, y->label) != 0)
            st = SP_FAIL(err, SP_E_DATA,
                         "%s:%d: %s has the label \"%s\", and in line %d it has \"%s\"; a sample is of one "
                         "class, so correct one of the two lines",
                         name, y->line, y->file, y->label, x->line, x->label);
    }
    sp_free(sorted);
    if (st == SP_OK && again)
        sp_log(SP_LOG_WARNING,
               "%s: %zu lines list a file again; it counts each time, and may be in the training and in the "
               "test part",
               name, again);
    return st;
}

/* Names and whole numbers in one table: a number is a name there. */
static void warn_of_mixed(const spi_label *rows, size_t n, const char *name)
{
    const spi_label *number = NULL, *word = NULL;
    size_t numbers = 0;
    for (size_t i = 0; i < n; i++) {
        int32_t k;
        const bool is = is_number(rows[i].label, &k);
        const spi_label **first = is ? &number : &word;
        *first = *first ? *first : &rows[i];
        numbers += is;
    }
    if (number && word)
        sp_log(SP_LOG_WARNING,
               "%s: %zu of %zu labels are whole numbers (%s in line %d) and the others are names (\"%s\" in "
               "line %d); all are taken as names, so %s is the name of a class and not its number",
               name, numbers, n, number->label, number->line, word->label, word->line, number->label);
}

/* Whole numbers that are no numbers of classes would become names. */
static sp_status read_numbers(const spi_label *rows, size_t n, const char *name, bool *numbers, int32_t *most,
                              sp_error *err)
{
    int32_t number;
    const spi_label *bad = NULL;
    *numbers = false;
    *most = 0;
    for (size_t i = 0; i < n; i++) {
        const char *label = rows[i].label, *digits = label + (*label == '-' || *label == '+');
        if (!*digits || digits[strspn(digits, "0123456789")]) { /* names */
            warn_of_mixed(rows, n, name);
            return SP_OK;
        }
        if (!bad && !is_number(label, &number))
            bad = &rows[i];
        else if (!bad && number > *most)
            *most = number;
    }
    *numbers = !bad;
    return !bad ? SP_OK
                : SP_FAIL(err, SP_E_DATA,
                          "%s:%d: the label %s is no number of a class; classes have numbers from 0 to %d, "
                          "or names",
                          name, bad->line, bad->label, MOST_CLASSES - 1);
}

sp_status spi_label_files(const spi_label *rows, size_t n, const size_t *of_file, const char *name,
                          sp_file_list *files, sp_error *err)
{
    sp_names names = {0};
    bool numbers;
    int32_t most;
    sp_status st = SP_OK;
    SP_TRY(check_repeated(rows, n, name, err));
    SP_TRY(read_numbers(rows, n, name, &numbers, &most, err));
    if (!numbers)
        SP_TRY_GOTO(name_classes(rows, n, &names, err));
    files->classes = numbers ? most + 1 : (int)names.n;
    if (files->classes > MOST_CLASSES)
        SP_TRY_GOTO(too_many(name, (size_t)files->classes, err));
    for (size_t i = 0; i < files->n; i++) {
        char *label = rows[of_file[i]].label, **at;
        if (numbers) {
            is_number(label, &files->items[i].label);
            continue;
        }
        at = bsearch(&label, names.items, names.n, sizeof *names.items, sp_names_compare);
        files->items[i].label = (int32_t)(at - names.items);
    }
    if (!numbers) {
        files->class_names = names.items;
        names = (sp_names){0};
    }
done:
    sp_names_free(&names);
    return st;
}
