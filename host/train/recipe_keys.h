/* Inside train/: the tables of the recipe's keys, and the hooks of keys with forms of their own. */
#ifndef SP_TRAIN_RECIPE_KEYS_H
#define SP_TRAIN_RECIPE_KEYS_H

#include "config/fields.h"
#include "train/recipe.h"

extern const sp_fields spi_recipe_fields, spi_recipe_data_fields;

#define SPI_AT(member)        SP_FIELD_AT(sp_recipe, member)
#define SPI_INT(k, m, l, h)   .key = k, .kind = SP_FIELD_INT, SPI_AT(m), .low = l, .high = h
#define SPI_FLOAT(k, m, l, h) .key = k, .kind = SP_FIELD_FLOAT, SPI_AT(m), .low = l, .high = h
#define SPI_PAIR(k, m, l, h)  .key = k, .kind = SP_FIELD_PAIR, SPI_AT(m), .low = l, .high = h
#define SPI_BOOL(k, m)        .key = k, .kind = SP_FIELD_BOOL, SPI_AT(m)
#define SPI_TEXT(k, m)        .key = k, .kind = SP_FIELD_TEXT, SPI_AT(m)
#define SPI_CHOICE(k, m, ...)                                                                                \
    .key = k, .kind = SP_FIELD_CHOICE, SPI_AT(m), .names = (const char *const[])                             \
    {                                                                                                        \
        __VA_ARGS__, NULL                                                                                    \
    }
#define SPI_OTHER(k, r, p, f) .key = k, .kind = SP_FIELD_OTHER, .read = r, .print = p, .form = f
#define SPI_FIELDS(name, section, rows)                                                                      \
    {                                                                                                        \
        .what = name, .items = rows, .n = sizeof(rows) / sizeof *(rows),                                     \
        .given = offsetof(sp_recipe, given.section)                                                          \
    }

/* recipe_monitor.c: monitor.gradient_similarity; after the schedule is known. */
sp_status spi_recipe_read_similarity(void *r, const sp_yaml *value, sp_error *err);
void spi_recipe_print_similarity(const void *r, sp_text *out);
/* recipe.c: plugins. */
sp_status spi_recipe_read_plugins(void *r, const sp_yaml *value, sp_error *err);
void spi_recipe_print_plugins(const void *r, sp_text *out);

#endif
