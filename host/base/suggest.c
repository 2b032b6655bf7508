/* Nearest name by edit distance, where swapping two neighbours counts as one edit ("tua" for "tau"). Case is
 * ignored. Works in fixed rows: a name longer than they are is nobody's typing error. */
#include "base/suggest.h"

#include <ctype.h>
#include <string.h>

enum { MAX_LENGTH = 63 };

static int same(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t distance(const char *a, size_t na, const char *b, size_t nb)
{
    size_t rows[3][MAX_LENGTH + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= nb; j++)
        above[j] = before[j] = j;
    for (size_t i = 1; i <= na; i++) {
        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            size_t best = above[j - 1] + (same(a[i - 1], b[j - 1]) ? 0 : 1);
            best = smaller(best, smaller(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]))
                best = smaller(best, before[j - 2] + 1);
            row[j] = best;
        }
        size_t *t = before;
        before = above;
        above = row;
        row = t;
    }
    return above[nb];
}

const char *sp_suggest(const char *word, const char *const *names, size_t n)
{
    size_t length = strlen(word);
    if (length == 0 || length > MAX_LENGTH)
        return NULL;
    const char *nearest = NULL;
    size_t nearest_distance = smaller((length + 2) / 3, length - 1) + 1; // one more than is still near
    for (size_t i = 0; i < n; i++) {
        size_t name_length = names[i] ? strlen(names[i]) : 0;
        if (name_length == 0 || name_length > MAX_LENGTH)
            continue;
        size_t d = distance(word, length, names[i], name_length);
        if (d < nearest_distance) {
            nearest_distance = d;
            nearest = names[i];
        }
    }
    return nearest;
}
