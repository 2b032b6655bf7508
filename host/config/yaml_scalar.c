/* What a plain scalar means: null, bool, int, float or string as in the YAML 1.2 core schema (so `no` and
 * `1_000` are strings). */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "config/yaml_build.h"

static size_t digits(const char *s)
{
    return strspn(s, "0123456789");
}

static bool is_one_of(const char *s, const char *a, const char *b, const char *c)
{
    return !strcmp(s, a) || !strcmp(s, b) || !strcmp(s, c);
}

static bool resolve_integer(const char *s, sp_yaml *node)
{
    int base = 10;
    const char *first = s;
    if (s[0] == '0' && s[1] == 'x' && s[2] && s[2 + strspn(s + 2, "0123456789abcdefABCDEF")] == '\0')
        base = 16, first = s + 2;
    else if (s[0] == '0' && s[1] == 'o' && s[2] && s[2 + strspn(s + 2, "01234567")] == '\0')
        base = 8, first = s + 2;
    else {
        const char *d = s + (*s == '-' || *s == '+');
        if (!*d || d[digits(d)] != '\0')
            return false;
    }
    errno = 0;
    long long value = strtoll(first, NULL, base);
    if (errno == ERANGE)
        return false;
    node->kind = SP_YAML_INT;
    node->integer = value;
    node->number = (double)value;
    return true;
}

static bool resolve_float(const char *s, sp_yaml *node)
{
    const char *p = s + (*s == '-' || *s == '+');
    if (is_one_of(p, ".inf", ".Inf", ".INF")) {
        node->number = *s == '-' ? -(double)INFINITY : (double)INFINITY;
    } else if (is_one_of(s, ".nan", ".NaN", ".NAN")) {
        node->number = (double)NAN;
    } else {
        size_t whole = digits(p), part = 0;
        p += whole;
        if (*p == '.') {
            part = digits(p + 1);
            p += 1 + part;
        }
        if (whole + part == 0)
            return false;
        if (*p == 'e' || *p == 'E') {
            p += 1 + (p[1] == '-' || p[1] == '+');
            size_t power = digits(p);
            if (power == 0)
                return false;
            p += power;
        }
        if (*p != '\0')
            return false;
        node->number = sp_number_read(s, NULL);
    }
    node->kind = SP_YAML_FLOAT;
    return true;
}

void sp_yaml_resolve(sp_yaml *node)
{
    const char *s = node->text;
    node->kind = SP_YAML_STRING;
    if (*s == '\0' || !strcmp(s, "~") || is_one_of(s, "null", "Null", "NULL")) {
        node->kind = SP_YAML_NULL;
    } else if (is_one_of(s, "true", "True", "TRUE") || is_one_of(s, "false", "False", "FALSE")) {
        node->kind = SP_YAML_BOOL;
        node->integer = *s == 't' || *s == 'T';
    } else if (!resolve_integer(s, node)) {
        resolve_float(s, node);
    }
}
