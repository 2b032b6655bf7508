/* spikeport recipe: the keys of a recipe. */
#include "cli/cli.h"

#include <stdio.h>

#include "train/recipe.h"

int sp_cmd_recipe(int argc, char **argv)
{
    const sp_args a = {.command = "recipe",
                       .synopsis = "",
                       .about = "Prints every key of a recipe with its type, default and meaning, as "
                                "Markdown.",
                       .n_args = 0};
    int code;
    if (!sp_args_parse(&a, argc, argv, NULL, &code))
        return code;
    sp_text text = {0};
    sp_recipe_document(&text);
    fputs(text.s ? text.s : "", stdout);
    code = text.failed ? sp_status_exit_code(SP_E_MEMORY) : 0;
    sp_text_free(&text);
    return code;
}
