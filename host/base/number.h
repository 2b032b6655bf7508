/* Numbers as text. */
#ifndef SP_BASE_NUMBER_H
#define SP_BASE_NUMBER_H

#include "base/mem.h"

/* Appends the shortest text that reads back as the same double: 0.3, not 0.29999999999999999. */
void sp_text_number(sp_text *t, double value);

/* strtod, but NaN for a number that double cannot hold: it would be infinite, or 0 without being written so.
 */
double sp_number_read(const char *text, char **end);

#endif
