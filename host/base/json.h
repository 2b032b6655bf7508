/* JSON as text. */
#ifndef SP_BASE_JSON_H
#define SP_BASE_JSON_H

#include <jansson.h>

/* json_dumps with the shortest numbers that read back as the same ones: 0.3, not 0.29999999999999999. NULL
 * where the value is NULL or memory is out; sp_free. */
char *sp_json_text(const json_t *value, size_t flags);

#endif
