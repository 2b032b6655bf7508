/* spikeport export: the weights of a trained network, and nothing else, under PyTorch's names; or a network
 * of integers for hardware. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/output.h"
#include "cli/session_options.h"
#include "nir/nir.h"
#include "train/integers.h"

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

enum { SAMPLES_MOST = 64 };

/* golden.h5: the golden vectors of all layers as NIR data, under the names of the network's layers. */
static sp_status write_nir_data(const sp_integer *net, const sp_integer_golden *g, const char *folder,
                                sp_error *err)
{
    char *path = sp_format("%s/golden.h5", folder);
    sp_nir_observable *items = sp_alloc_array((size_t)net->n * 2 + 1, sizeof *items);
    const sp_integer_layer *first = net->layers;
    sp_nir_observables all = {.items = items,
                              .samples = (int64_t)g->n,
                              .time_steps = net->time_steps,
                              .dt = SP_NIR_DT};
    if (items)
        items[all.n++] = (sp_nir_observable){
            .node = "input", .key = "input", .x = g->in[0], .h = first->h, .w = first->w, .c = first->c};
    for (int i = 0; items && i < net->n; i++) {
        const sp_integer_layer *l = &net->layers[i];
        const bool neurons = l->kind == SP_INTEGER_WEIGHTS;
        sp_nir_observable o = {.node = l->neuron >= 0 ? net->graph->nodes[l->neuron].name
                                                      : sp_integer_name(net, i),
                               .key = "v",
                               .x = g->u[i],
                               .h = l->ho,
                               .w = l->wo,
                               .c = l->o};
        if (neurons)
            items[all.n++] = o;
        o.key = l->spikes_out ? "spikes" : "sum";
        o.x = g->out[i];
        o.spikes = l->spikes_out;
        if (!neurons || l->neuron >= 0)
            items[all.n++] = o;
    }
    sp_status st = path && items ? sp_nir_write_data(path, &all, err)
                                 : SP_FAIL(err, SP_E_MEMORY, "out of memory for golden vectors");
    sp_free(items);
    sp_free(path);
    return st;
}

static sp_status export_hdl(const char *from, const char *folder, const char *list, bool nir,
                            const sp_cli_session *o, sp_error *err)
{
    sp_cli_trained t;
    sp_integer *net = NULL;
    sp_integer_golden golden = {.n = 0};
    double numbers[SAMPLES_MOST];
    int64_t samples[SAMPLES_MOST];
    size_t n = 0;
    if (!sp_args_numbers(list, 1, 0x1p53, true, SAMPLES_MOST, numbers, &n))
        return SP_FAIL(err, SP_E_USAGE,
                       "--samples \"%s\": up to %d numbers of test samples are expected, counted from 1 and "
                       "separated by commas",
                       list, SAMPLES_MOST);
    for (size_t i = 0; i < n; i++)
        samples[i] = (int64_t)numbers[i];
    SP_TRY(sp_integer_export_check(folder, err));
    sp_status st = sp_cli_trained_open(from, o, true, &t, err);
    if (st == SP_OK)
        st = sp_session_integer(t.s, &net, err);
    if (st == SP_OK)
        st = sp_integer_record(t.s, net, t.test, samples, n, &golden, err);
    if (st == SP_OK)
        st = sp_integer_export(net, folder, t.s->recipe.name, &golden, err);
    if (st == SP_OK && nir)
        st = write_nir_data(net, &golden, folder, err);
    if (st == SP_OK)
        printf("%s: %d layers, golden vectors of %zu samples\n", folder, net->n, n);
    sp_integer_golden_free(&golden, net ? net->n : 0);
    sp_integer_destroy(&net);
    sp_cli_trained_close(&t);
    return st;
}

int sp_cmd_export(int argc, char **argv)
{
    sp_cli_session o = {.command = "export"};
    sp_arg_list rest = {.n = 0};
    const char *names = NULL, *hdl = NULL, *samples = NULL;
    bool nir = false;
    const sp_arg args[] = {
        SP_TEXT("names", 0, &names, "FILE",
                "a YAML map of the network's names to those to write, as --map and init_map have it"),
        SP_TEXT("hdl", 0, &hdl, "DIR",
                "the network of integers for hardware instead: memories, C header, manifest, golden vectors"),
        SP_TEXT("samples", 0, &samples, "N,N,...",
                "with --hdl: test samples of the golden vectors (default 1,2)"),
        SP_FLAG("nir-data", 0, &nir, "with --hdl: golden vectors also as NIR data, golden.h5"),
        SP_CLI_WEIGHTS_ARGS(o),
        SP_CLI_SET_ARG(o),
        SP_CLI_DEVICE_ARGS(o),
    };
    const sp_args a = {.command = "export",
                       .synopsis = "CHECKPOINT|DIR|RECIPE OUT.safetensors|--hdl DIR [options]",
                       .about = "Writes the weights of a trained network as a safetensors file with "
                                "PyTorch's names, shapes and order of dimensions: the state_dict of a "
                                "torch.nn.Sequential of the same layers. With --hdl: what an FPGA engineer "
                                "builds and checks a design with; docs/FPGA.md.",
                       SP_ARGS(args, 1, 2)};
    int code;
    sp_error err = {0};
    if (!sp_args_parse(&a, argc, argv, &rest, &code))
        return code;
    sp_status st = SP_OK;
    if ((rest.n == 2) == (hdl != NULL) || (hdl && names) || ((samples || nir) && !hdl))
        st = SP_FAIL(&err, SP_E_USAGE,
                     "give OUT.safetensors, with --names where wanted, or --hdl DIR, with --samples where "
                     "wanted");
    else
        st = hdl ? export_hdl(rest.items[0], hdl, samples ? samples : "1,2", nir, &o, &err)
                 : export(rest.items[0], rest.items[1], names, &o, &err);
    return st == SP_OK ? 0 : sp_cli_fail("export", &err);
}
