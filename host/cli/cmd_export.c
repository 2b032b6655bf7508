/* spikeport export: the weights of a trained network, and nothing else, under PyTorch's names. */
#include <stdio.h>

#include "base/error.h"
#include "base/output.h"
#include "cli/session_options.h"

static sp_status export(const char *from, const char *to, const char *map, const sp_cli_session *o,
                        sp_error *err)
{
    const char *const inputs[] = {from, o->weights.file};
    sp_cli_trained t;
    size_t n = 0;
    SP_TRY(sp_output_check(to, SP_OUTPUT_WEIGHTS, inputs, o->weights.file ? 2 : 1, err));
    sp_status st = sp_cli_trained_open(from, o, false, &t, err);
    if (st == SP_OK)
        st = sp_weights_export(to, t.s, map, &n, err);
    if (st == SP_OK)
        printf("%s: %zu tensors\n", to, n);
    sp_cli_trained_close(&t);
    return st;
}

int sp_cmd_export(int argc, char **argv)
{
    sp_cli_session o = {.command = "export"};
    sp_arg_list rest = {.n = 0};
    const char *names = NULL;
    const sp_arg args[] = {
        SP_TEXT("names", 0, &names, "FILE",
                "a YAML map of the network's names to those to write, as --map and init_map have it"),
        SP_CLI_WEIGHTS_ARGS(o),
        SP_CLI_SET_ARG(o),
        SP_CLI_DEVICE_ARGS(o),
    };
    const sp_args a = {.command = "export",
                       .synopsis = "CHECKPOINT|DIR|RECIPE OUT.safetensors [options]",
                       .about = "Writes the weights of a trained network as a safetensors file with "
                                "PyTorch's "
                                "names, shapes and order of dimensions: the state_dict of a "
                                "torch.nn.Sequential "
                                "of the same layers.",
                       SP_ARGS(args, 2, 2)};
    int code;
    sp_error err = {0};
    if (!sp_args_parse(&a, argc, argv, &rest, &code))
        return code;
    return export(rest.items[0], rest.items[1], names, &o, &err) == SP_OK ? 0 : sp_cli_fail("export", &err);
}
