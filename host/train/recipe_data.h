/* The "data" section of a recipe; used by recipe.c only. */
#ifndef SP_TRAIN_RECIPE_DATA_H
#define SP_TRAIN_RECIPE_DATA_H

#include "train/recipe.h"

sp_status spi_recipe_read_data(sp_recipe *r, const sp_yaml *m, sp_error *err);
/* Everything of the section but its head, name and path. */
void spi_recipe_print_data(const sp_recipe *r, sp_text *t);

/* recipe_events.c: "events" and "encode" inside the section. */
sp_status spi_recipe_read_events(sp_recipe *r, const sp_yaml *data, sp_error *err);
void spi_recipe_print_events(const sp_recipe *r, sp_text *t);

#endif
