/* Numbers as text that reads back as the same number. */
#include "base/number.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

void sp_text_number(sp_text *t, double value)
{
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    sp_text_add(t, "%s", text);
}

double sp_number_read(const char *text, char **end)
{
    errno = 0;
    double x = strtod(text, end);
    return errno == ERANGE && (x == 0 || isinf(x)) ? (double)NAN : x;
}
