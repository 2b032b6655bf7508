/* Inside train/: recipes that build on other recipes. */
#ifndef SP_TRAIN_RECIPE_BASE_H
#define SP_TRAIN_RECIPE_BASE_H

#include "train/recipe.h"

/* Puts what `base` names, and what that names in turn, under r->doc: keys of a recipe replace those of its
 * base, maps are joined. */
sp_status spi_recipe_bases(sp_recipe *r, sp_error *err);

#endif
