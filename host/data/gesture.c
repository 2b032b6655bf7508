/* The text files beside the recordings of DVS128 Gesture: trials_to_train.txt and trials_to_test.txt name
 * recordings, one a line; NAME_labels.csv says from when to when each gesture lasts. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/error.h"
#include "data/events.h"

enum { N_CLASSES = 11, MOST_LINE = 4096 };

typedef struct line {
    const char *at;
    size_t n;
} line;

/* The next line without its end, the blanks around it and a byte order mark at the beginning of the text;
 * false after the last. */
static bool next_line(const char *text, size_t n, size_t *at, line *out)
{
    const char *end;
    if (*at == 0 && n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        *at = 3;
    if (*at >= n)
        return false;
    out->at = text + *at;
    end = memchr(out->at, '\n', n - *at);
    out->n = end ? (size_t)(end - out->at) : n - *at;
    *at += out->n + (end ? 1 : 0);
    while (out->n && isspace((unsigned char)out->at[out->n - 1]))
        out->n--;
    while (out->n && isspace((unsigned char)*out->at))
        out->at++, out->n--;
    return true;
}

/* A whole number without sign, as a part of a line; *at is moved behind it. */
static bool read_number(const line *l, size_t *at, int64_t *out)
{
    size_t from = *at;
    int64_t v = 0;
    for (; *at < l->n && isdigit((unsigned char)l->at[*at]); ++*at) {
        if (v > (INT64_MAX - 9) / 10)
            return false;
        v = 10 * v + (l->at[*at] - '0');
    }
    *out = v;
    return *at > from;
}

/* "class,start,end", blanks around the numbers allowed. */
static bool read_row(const line *l, int64_t number[3])
{
    size_t at = 0;
    for (int k = 0; k < 3; k++) {
        while (at < l->n && l->at[at] == ' ')
            at++;
        if (!read_number(l, &at, &number[k]))
            return false;
        while (at < l->n && l->at[at] == ' ')
            at++;
        if (k < 2 && (at >= l->n || l->at[at++] != ','))
            return false;
    }
    return at == l->n;
}

/* "class,startTime_usec,endTime_usec": words without numbers. */
static bool is_heading(const line *l)
{
    bool letters = false;
    for (size_t i = 0; i < l->n; i++) {
        if (isdigit((unsigned char)l->at[i]))
            return false;
        letters = letters || isalpha((unsigned char)l->at[i]);
    }
    return letters;
}

static sp_status add_row(const char *name, const line *l, size_t line_number, sp_gesture_row **rows,
                         size_t *n_rows, sp_error *err)
{
    int64_t v[3];
    sp_gesture_row *added;
    if (!read_row(l, v))
        return SP_FAIL(err, SP_E_DATA, "%s:%zu: \"%.*s\": not class,startTime_usec,endTime_usec", name,
                       line_number, l->n < 80 ? (int)l->n : 80, l->at);
    if (v[0] < 1 || v[0] > N_CLASSES)
        return SP_FAIL(err, SP_E_DATA, "%s:%zu: class %lld; gestures have classes 1 to %d", name, line_number,
                       (long long)v[0], N_CLASSES);
    if (v[1] >= v[2])
        return SP_FAIL(err, SP_E_DATA, "%s:%zu: the gesture ends at %lld, not after its start at %lld", name,
                       line_number, (long long)v[2], (long long)v[1]);
    added = sp_array_push(rows, *n_rows, sizeof *added);
    if (!added)
        return SP_FAIL(err, SP_E_MEMORY, "%s: out of memory", name);
    ++*n_rows;
    *added = (sp_gesture_row){(int32_t)v[0] - 1, (int32_t)line_number, {v[1], v[2]}};
    return SP_OK;
}

sp_status sp_gesture_labels_parse(const char *name, const char *text, size_t n, sp_gesture_row **rows,
                                  size_t *n_rows, sp_error *err)
{
    size_t at = 0, number = 0;
    bool first = true;
    line l;
    sp_status st = SP_OK;
    *rows = NULL;
    *n_rows = 0;
    while (st == SP_OK && next_line(text, n, &at, &l)) {
        number++;
        if (l.n && !(first && is_heading(&l)))
            st = add_row(name, &l, number, rows, n_rows, err);
        first = first && l.n == 0;
    }
    if (st == SP_OK && *n_rows == 0)
        st = SP_FAIL(err, SP_E_DATA, "%s: byte %zu: no row of class,startTime_usec,endTime_usec", name, n);
    if (st != SP_OK) {
        sp_free(*rows);
        *rows = NULL;
    }
    return st;
}

sp_status sp_gesture_next_trial(const char *name, const char *text, size_t n, size_t *at, char **trial,
                                sp_error *err)
{
    line l;
    *trial = NULL;
    do {
        if (!next_line(text, n, at, &l))
            return SP_OK;
    } while (l.n == 0);
    if (l.n > MOST_LINE || memchr(l.at, '/', l.n) || memchr(l.at, '\0', l.n) || l.n < 7 ||
        strncasecmp(l.at + l.n - 6, ".aedat", 6) != 0)
        return SP_FAIL(err, SP_E_DATA,
                       "%s: byte %zu: \"%.*s\": not the name of an .aedat file in this folder", name,
                       (size_t)(l.at - text), l.n < 80 ? (int)l.n : 80, l.at);
    *trial = sp_strndup(l.at, l.n);
    return *trial ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "%s: out of memory", name);
}
