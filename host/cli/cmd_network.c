/* spikeport network: writes the file of a network that the zoo knows, for a recipe's `network` key. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "graph/zoo.h"

static int list(void)
{
    for (size_t i = 0; i < sp_zoo_count(); i++)
        printf("%-16s %s\n", sp_zoo_name(i), sp_zoo_about(i));
    return 0;
}

static bool read_number(const char *text, double *out)
{
    char *end;
    if (!text)
        return true;
    *out = strtod(text, &end);
    return end != text && *end == '\0' && isfinite(*out) && *out >= 0;
}

int sp_cmd_network(int argc, char **argv)
{
    sp_zoo_options o = {.dropout = -1};
    sp_arg_list rest = {.n = 0};
    const char *dropout = NULL, *width = NULL;
    bool names = false;
    const sp_arg args[] = {
        {"list", 0, SP_ARG_FLAG, &names, NULL, "name the networks and stop", 0, 0},
        {"classes", 0, SP_ARG_INTEGER, &o.classes, "N", "outputs (default 10, or 1000 for 224x224 networks)",
         2, 1 << 20},
        {"channels", 0, SP_ARG_INTEGER, &o.channels, "N",
         "input channels to insist on (default: what the data has)", 1, 1 << 20},
        {"dropout", 0, SP_ARG_TEXT, &dropout, "P",
         "dropout after the neurons, where the network has a place for it", 0, 0},
        {"width", 0, SP_ARG_TEXT, &width, "W", "all channel counts times W", 0, 0},
    };
    const sp_args a = {.command = "network",
                       .synopsis = "NAME [options] | --list",
                       .about = "Prints the file of a known network: layers, strides and starting values as "
                                "published.",
                       .args = args,
                       .n_args = sizeof args / sizeof *args,
                       .min_rest = 0,
                       .max_rest = 1,
                       .notes = "A recipe names such a file: network: networks/resnet18.yaml"};
    sp_error err = {0};
    sp_text text = {0};
    int code;
    if (!sp_args_parse(&a, argc, argv, &rest, &code))
        return code;
    if (names)
        return list();
    if (rest.n == 0)
        return sp_args_wrong(&a, "name a network; --list shows them");
    if (!read_number(dropout, &o.dropout))
        return sp_args_wrong(&a, "--dropout \"%s\" is not a number from 0 to 0.999", dropout);
    if (!read_number(width, &o.width))
        return sp_args_wrong(&a, "--width \"%s\" is not a number above 0", width);
    sp_status st = sp_zoo_write(rest.items[0], &o, &text, &err);
    if (st == SP_OK)
        fputs(text.s, stdout);
    sp_text_free(&text);
    return st == SP_OK ? 0 : sp_cli_fail("network", &err);
}
