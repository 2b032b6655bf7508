/* spikeport network: prints a network file with changes, for a recipe's `network` key. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/number.h"
#include "base/error.h"
#include "base/paths.h"
#include "cli/cli.h"
#include "graph/network.h"

static sp_status list(sp_error *err)
{
    sp_names names = {0};
    sp_status st = sp_own_names("recipes/networks", &names, err);
    for (size_t i = 0; i < names.n && st == SP_OK; i++) {
        char *path = NULL;
        sp_yaml_doc doc = {0};
        st = sp_own_file("recipes/networks", "network", names.items[i], &path, err);
        if (st == SP_OK)
            st = sp_yaml_load(path, &doc, err);
        const sp_yaml *about = sp_yaml_get(doc.root, "about");
        if (st == SP_OK)
            printf("%-16s %s\n", names.items[i], about && about->text ? about->text : "");
        sp_yaml_free(&doc);
        sp_free(path);
    }
    sp_names_free(&names);
    return st;
}

/* A number in the range of a key of network files; absent is NAN. */
static bool read_number(const char *text, const char *key, double *out)
{
    const sp_field *f = sp_fields_find(&sp_network_fields, key);
    char *end;
    *out = (double)NAN;
    if (!text)
        return true;
    *out = sp_number_read(text, &end);
    return end != text && *end == '\0' && *out >= f->low && *out <= f->high;
}

static sp_status print(const sp_network_options *o, sp_error *err)
{
    sp_network net;
    sp_text text = {0};
    SP_TRY(sp_network_load(o, &net, err));
    sp_network_print(&net, 2, &text);
    printf("layers:\n%s", text.s);
    sp_text_free(&text);
    sp_network_free(&net);
    return SP_OK;
}

int sp_cmd_network(int argc, char **argv)
{
    sp_network_options o = {0};
    sp_arg_list rest = {.n = 0};
    const char *dropout = NULL, *width = NULL;
    bool names = false;
    const sp_arg args[] = {
        SP_FLAG("list", 0, &names, "name the networks and stop"),
        SP_INTEGER("classes", 0, &o.classes, "N", "outputs (default: those of the file)", 2, SP_LAYER_MOST),
        SP_INTEGER("channels", 0, &o.channels, "N",
                   "input channels to insist on (default: what the data has)", 1, SP_LAYER_MOST),
        SP_TEXT("dropout", 0, &dropout, "P",
                "dropout after the neurons, where the network has a place for it"),
        SP_TEXT("width", 0, &width, "W", "all channel counts times W"),
    };
    const sp_args a = {.command = "network",
                       .synopsis = "NAME [options] | --list",
                       .about = "Prints a network with all settings of its layers: one that comes with "
                                "spikeport, or a file.",
                       SP_ARGS(args, 0, 1),
                       .notes = "A recipe names such a file, and may change it in the same way: network: "
                                "{file: networks/resnet18.yaml, classes: 100, width: 0.5}"};
    sp_error err = {0};
    int code;
    if (!sp_args_parse(&a, argc, argv, &rest, &code))
        return code;
    if (!names && rest.n == 0)
        return sp_args_wrong(&a, "name a network; --list shows them");
    if (!read_number(dropout, "dropout", &o.dropout))
        return sp_args_wrong(&a, "--dropout \"%s\" is not a number from 0 to 0.999", dropout);
    if (!read_number(width, "width", &o.width))
        return sp_args_wrong(&a, "--width \"%s\" is not a number above 0, at most 64", width);
    o.file = rest.items[0];
    sp_status st = names ? list(&err) : print(&o, &err);
    return st == SP_OK ? 0 : sp_cli_fail("network", &err);
}
