/* Sections of a recipe that have a file of their own; used by recipe.c only. */
#ifndef SP_TRAIN_RECIPE_DATA_H
#define SP_TRAIN_RECIPE_DATA_H

#include "train/recipe.h"

sp_status spi_recipe_read_data(sp_recipe *r, const sp_yaml *m, sp_error *err);
/* Everything of the section but its head, name and path. */
void spi_recipe_print_data(const sp_recipe *r, sp_text *t);

/* recipe_events.c: "events" and "encode" inside the section. */
sp_status spi_recipe_read_events(sp_recipe *r, const sp_yaml *data, sp_error *err);
void spi_recipe_print_events(const sp_recipe *r, sp_text *t);

/* recipe_monitor.c: the "monitor" section; after the schedule is known. */
sp_status spi_recipe_read_monitor(sp_recipe *r, const sp_yaml *root, sp_error *err);
void spi_recipe_print_monitor(const sp_recipe *r, sp_text *t);

#endif
