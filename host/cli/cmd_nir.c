/* spikeport nir: networks of other frameworks in, and networks out, as graphs of NIR. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/output.h"
#include "cli/nir_golden.h"
#include "cli/table.h"

typedef struct nir_options {
    sp_cli_session session;
    const char *dt, *reset, *data;
    int64_t samples;
    bool json;
    double seconds; /* of dt; 0: not given */
    sp_nir_reset how;
} nir_options;

/* ---- what is told ---- */

static const sp_column columns[] = {{.key = "node", .head = "node", .width = -22},
                                    {.key = "type", .head = "type", .width = -10},
                                    {.key = "layer", .head = "layer", .width = -16},
                                    {.key = "verdict", .head = "verdict", .width = -11},
                                    {.key = "rate", .head = "firing", .width = 6, .digits = 3},
                                    {.key = "changed", .head = "drift", .width = 8, .digits = 3, .unit = "%"},
                                    {.key = "why", .head = "", .width = -1}};
enum { N_COLUMNS = sizeof columns / sizeof *columns };

static json_t *note_json(const sp_nir_note *n, const sp_nir_drift *d)
{
    json_t *row = json_pack("{s:o, s:s, s:o, s:s, s:s}", "node", sp_cli_json_text(n->node), "type", n->what,
                            "layer", sp_cli_json_text(n->layer ? n->layer : ""), "verdict",
                            sp_nir_verdict_names[n->verdict], "why", n->why);
    for (size_t i = 0; d && i < d->n_layers; i++)
        if (strcmp(d->layers[i].layer, n->node) == 0) {
            json_object_set_new(row, "rate", json_real(d->layers[i].rate));
            json_object_set_new(row, "changed", json_real(100 * d->layers[i].changed));
        }
    return row;
}

/* The table of nodes, or one object. d: NULL or drift with NIR's own reset. */
static sp_status tell(const sp_nir_notes *notes, double dt, const sp_nir_drift *d, const nir_options *o)
{
    json_t *list = json_array();
    if (!o->json)
        sp_table_print_head(columns, N_COLUMNS);
    for (size_t i = 0; i < notes->n; i++) {
        json_t *row = note_json(&notes->items[i], d);
        if (o->json)
            json_array_append_new(list, row);
        else
            sp_table_print(columns, N_COLUMNS, row, false);
    }
    if (!o->json) {
        json_decref(list);
        printf("dt %g s, forward Euler\n", dt);
        if (d)
            printf("drift: spikes that differ where the file is read as NIR defines it, over %zu test "
                   "samples; %.2f %% of them get the same class, and outputs differ by %.3g at most\n",
                   d->samples, 100 * d->same, d->logits);
        return SP_OK;
    }
    json_t *out = json_pack("{s:o, s:f}", "nodes", list, "dt", dt);
    if (d) {
        json_object_set_new(out, "samples", json_integer((json_int_t)d->samples));
        json_object_set_new(out, "same_class", json_real(d->same));
        json_object_set_new(out, "logits_difference", json_real(d->logits));
    }
    return sp_cli_json_line(out);
}

/* ---- import, and check of a file ---- */

/* Layers and shapes fit together: what the graph's own checks find. */
static sp_status check_network(const char *file, const sp_nir_network *n, sp_error *err)
{
    const sp_neuron neuron = sp_neuron_default();
    sp_network network;
    sp_graph *g = NULL;
    SP_TRY(sp_nir_parse_layers(file, &n->layers, &neuron, &network, err));
    sp_status st = sp_graph_create(&network, file, n->channels, n->height, n->width, &g, err);
    sp_graph_destroy(&g);
    return st;
}

static sp_status write_network(const char *from, const char *out, const sp_nir_network *n, sp_error *err)
{
    sp_text text = {0};
    char *yaml = sp_format("%s.yaml", out), *weights = sp_format("%s.safetensors", out);
    sp_text_add(&text,
                SP_OUTPUT_NETWORK_HEAD " from %s: dt %g s, input %lld x %lld x %lld (channels x height x "
                                       "width).\n"
                                       "layers:\n%s",
                from, n->dt, (long long)n->channels, (long long)n->height, (long long)n->width, n->layers.s);
    static const char *const key = "format", *const value = SP_OUTPUT_WEIGHTS_FORMAT;
    sp_status st = yaml && weights ? sp_folder_make_of(yaml, 0777, err)
                                   : SP_FAIL(err, SP_E_MEMORY, "out of memory for a network");
    if (st == SP_OK)
        st = sp_output_check(yaml, SP_OUTPUT_NETWORK, NULL, 0, err);
    if (st == SP_OK)
        st = sp_output_check(weights, SP_OUTPUT_WEIGHTS, NULL, 0, err);
    if (st == SP_OK)
        st = sp_file_replace_text(yaml, text.failed ? NULL : text.s, err);
    if (st == SP_OK)
        st = sp_tensors_write(weights, n->tensors, n->n_tensors, &key, &value, 1, err);
    if (st == SP_OK)
        sp_cli_say("%s and %s: in a recipe, `network: %s` and `init_from: %s`; or --weights %s for eval and "
                   "predict\n",
                   yaml, weights, yaml, weights, weights);
    sp_text_free(&text);
    sp_free(yaml);
    sp_free(weights);
    return st;
}

/* out: NULL to check alone. */
static sp_status import(const char *file, const char *out, const nir_options *o, sp_error *err)
{
    const sp_nir_import_options io = {.dt = o->seconds, .reset = o->how};
    sp_nir g = {0};
    sp_nir_network n = {0};
    sp_status st = sp_nir_read(file, &g, err);
    if (st == SP_OK) {
        st = sp_nir_import(&g, &io, &n, err);
        if (st == SP_OK)
            st = check_network(file, &n, err);
        if (st == SP_OK && out)
            st = write_network(file, out, &n, err);
        if (st == SP_OK || st == SP_E_CONFIG) /* also the node that is refused */
            tell(&n.notes, n.dt, NULL, o);
    }
    sp_nir_network_free(&n);
    sp_nir_free(&g);
    return st;
}

/* ---- export, and check of a run ---- */

/* What was written must come back as it was: the metadata say the reset that NIR does not define. */
static sp_status check_round_trip(const sp_cli_trained *t, const nir_options *o, const sp_nir *g,
                                  sp_error *err)
{
    sp_nir_drift d;
    const sp_nir_import_options io = {.reset = SP_NIR_RESET_SAID};
    sp_status st = sp_nir_drift_measure(t, &o->session, g, &io, (size_t)o->samples, &d, err);
    if (st == SP_OK && !(d.logits <= 1e-4))
        sp_log(SP_LOG_WARNING,
               "the file, read back, gives outputs that differ by up to %.3g: rounding has moved spikes",
               d.logits);
    sp_nir_drift_free(&d);
    return st;
}

static sp_status export_graph(const sp_cli_trained *t, const char *out, const nir_options *o, sp_error *err)
{
    double dt = o->seconds > 0 ? o->seconds : SP_NIR_DT;
    float **params = NULL;
    sp_nir g = {0}, back = {0};
    sp_nir_notes notes = {0};
    sp_nir_drift drift = {0};
    const sp_nir_import_options io = {.reset = SP_NIR_RESET_HARD};
    sp_status st = sp_weights_read(t->s, &params, err);
    if (st == SP_OK)
        st = sp_nir_export(t->s->graph, (const float *const *)params, dt, &g, &notes, err);
    if (st == SP_OK && out)
        st = sp_nir_write(out, &g, err);
    if (st == SP_OK && out)
        st = sp_nir_read(out, &back, err);
    const sp_nir *as_written = out ? &back : &g;
    if (st == SP_OK && o->samples > 0)
        st = sp_nir_drift_measure(t, &o->session, as_written, &io, (size_t)o->samples, &drift, err);
    if (st == SP_OK && o->samples > 0 && out)
        st = check_round_trip(t, o, as_written, err);
    if (st == SP_OK && o->data)
        st = sp_nir_golden_write(o->data, t, (size_t)o->samples, dt, err);
    if (st == SP_OK || st == SP_E_CONFIG)
        tell(&notes, dt, drift.samples ? &drift : NULL, o);
    sp_nir_drift_free(&drift);
    sp_nir_notes_free(&notes);
    sp_nir_free(&g);
    sp_nir_free(&back);
    sp_weights_free(t->s, params);
    return st;
}

static sp_status export(const char *from, const char *out, const nir_options *o, sp_error *err)
{
    sp_cli_trained t;
    if (out)
        SP_TRY(sp_output_check(out, SP_OUTPUT_NIR, &from, 1, err));
    if (o->data)
        SP_TRY(sp_output_check(o->data, SP_OUTPUT_NIR, &from, 1, err));
    sp_status st = sp_cli_trained_open(from, &o->session, o->samples > 0, &t, err);
    if (st == SP_E_DATA && o->samples > 0 && !t.s)
        sp_error_prefix(err, st, "the test data, on which drift is measured (--samples 0 leaves it out): ");
    if (st == SP_OK)
        st = export_graph(&t, out, o, err);
    sp_cli_trained_close(&t);
    return st;
}

/* ---- the command ---- */

/* NULL: what is wrong with the words. */
static const char *check_words(const sp_arg_list *rest, nir_options *o)
{
    static const struct {
        const char *word;
        size_t n;
    } known[] = {{"import", 3}, {"export", 3}, {"check", 2}};
    size_t n = 0;
    char *end = NULL;
    for (size_t i = 0; i < 3; i++)
        if (strcmp(rest->items[0], known[i].word) == 0 && rest->n == known[i].n)
            n = rest->n;
    o->seconds = o->dt ? strtod(o->dt, &end) : 0;
    if (o->dt && (*end || !(o->seconds >= 1e-12 && o->seconds <= 1e3)))
        return "--dt: seconds, 1e-12 to 1000";
    o->how = !o->reset                       ? SP_NIR_RESET_SAID
             : strcmp(o->reset, "hard") == 0 ? SP_NIR_RESET_HARD
                                             : SP_NIR_RESET_SOFT;
    if (o->reset && o->how == SP_NIR_RESET_SOFT && strcmp(o->reset, "soft") != 0)
        return "--reset: hard or soft";
    return n ? NULL : "import FILE.nir OUT, export RUN OUT.nir, or check FILE.nir|RUN";
}

int sp_cmd_nir(int argc, char **argv)
{
    nir_options o = {.samples = 64, .session.command = "nir"};
    sp_arg_list rest = {.n = 0};
    const sp_arg args[] = {
        SP_TEXT("dt", 0, &o.dt, "SECONDS",
                "a time step (import: default what the file says, else 1e-4; export: default 1e-4)"),
        SP_TEXT("reset", 0, &o.reset, "KIND",
                "import, check: hard as NIR defines it, or soft (default: what the nodes' metadata say, else "
                "hard)"),
        SP_INTEGER("samples", 0, &o.samples, "N",
                   "export, check: test samples on which drift is measured; 0: none (default 64)", 0,
                   1000000),
        SP_TEXT("data", 0, &o.data, "FILE.h5",
                "export: what the layers do with these samples, as NIR data (nir.read_data)"),
        SP_FLAG("json", 0, &o.json, "one JSON object on stdout"),
        SP_CLI_WEIGHTS_ARGS(o.session),
        SP_CLI_SET_ARG(o.session),
        SP_CLI_DEVICE_ARGS(o.session),
    };
    const sp_args a = {.command = "nir",
                       .synopsis = "import FILE.nir OUT | export RUN OUT.nir | check FILE.nir|RUN [options]",
                       .about = "Translates between networks and graphs of NIR, the Neuromorphic "
                                "Intermediate Representation that snnTorch, SpikingJelly, Norse and others "
                                "read and write. import writes OUT.yaml and OUT.safetensors. Every node is "
                                "told to be faithful, approximate or unsupported; what is unsupported ends "
                                "with exit code 3.",
                       SP_ARGS(args, 2, 3)};
    int code;
    sp_error err = {0};
    if (!sp_args_parse(&a, argc, argv, &rest, &code))
        return code;
    const char *wrong = check_words(&rest, &o), *what = rest.items[0], *first = rest.items[1];
    if (wrong)
        return sp_args_wrong(&a, "%s", wrong);
    if (o.data && (strcmp(what, "export") != 0 || o.samples == 0))
        return sp_args_wrong(&a, "--data is about the samples of export; leave it out, or --samples 0");
    if (o.data && strcmp(o.data, rest.items[2]) == 0)
        return sp_args_wrong(&a, "--data and the graph are one file; name two");
    const char *dot = strrchr(first, '.');
    bool file = dot && (strcmp(dot, ".nir") == 0 || strcmp(dot, ".h5") == 0 || strcmp(dot, ".hdf5") == 0);
    sp_status st = strcmp(what, "import") == 0   ? import(first, rest.items[2], &o, &err)
                   : strcmp(what, "export") == 0 ? export(first, rest.items[2], &o, &err)
                   : file                        ? import(first, NULL, &o, &err)
                                                 : export(first, NULL, &o, &err);
    return st == SP_OK ? 0 : sp_cli_fail("nir", &err);
}
