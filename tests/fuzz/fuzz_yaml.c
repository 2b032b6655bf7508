/* Recipes: YAML with places, then every check of a recipe. */
#include "train/recipe.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    sp_recipe r = {0};
    sp_error err = {0};
    sp_status st = sp_recipe_parse("fuzz.yaml", (const char *)bytes, n, NULL, 0, &r, &err);
    fuzz_check(st, &err);
    if (st == SP_OK)
        sp_recipe_free(&r);
    return 0;
}
