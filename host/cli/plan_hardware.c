/* Budget of a network of integers: memory, accumulations, cycles, and an estimate of energy, layer by layer.
 */
#include "cli/plan_hardware.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "cli/cli.h"
#include "cli/table.h"
#include "train/integers.h"

/* Picojoules of operations in 45 nm (M. Horowitz, ISSCC 2014): orders of magnitude, not a promise. */
static const double PJ_ADD = 0.1, PJ_MULTIPLY = 0.2, PJ_READ_BIT = 10.0 / 64;
enum { BLOCK_BITS = 36 * 1024 };

/* Spikes a neuron and time step of each node on the test data of a run's last epoch; -1: not known. */
static sp_status read_rates(const sp_graph *g, const char *folder, double *rates, sp_error *err)
{
    sp_lines lines;
    for (int i = 0; i < g->n_nodes; i++)
        rates[i] = -1;
    if (!folder)
        return SP_OK;
    if (!sp_lines_open(&lines, folder, "metrics.jsonl", err))
        return SP_E_IO;
    for (json_t *j; (j = sp_lines_json(&lines)) != NULL; json_decref(j)) {
        const char *event = json_string_value(json_object_get(j, "event"));
        for (int i = 0; event && strcmp(event, "epoch") == 0 && i < g->n_nodes; i++) {
            const json_t *rate = json_object_get(json_object_get(j, "spike_rate"), g->nodes[i].name);
            if (json_is_number(rate) && sp_node_fires(&g->nodes[i]))
                rates[i] = json_number_value(rate);
        }
    }
    sp_lines_close(&lines);
    for (int i = 0; i < g->n_nodes; i++)
        if (sp_node_fires(&g->nodes[i]) && rates[i] < 0)
            return SP_FAIL(err, SP_E_DATA,
                           "%s/metrics.jsonl has no firing rate of layer %s: the run must be of the same "
                           "network and have finished an epoch",
                           folder, g->nodes[i].name);
    return SP_OK;
}

typedef struct totals {
    double weight_bits, potential_bits, output_bits, blocks, dense, active, cycles, nanojoules;
} totals;

static double blocks_of(double bits)
{
    return ceil(bits / BLOCK_BITS);
}

static json_t *row_of(const char *layer, const totals *t)
{
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:f, s:I, s:f}", "layer", layer, "weight_bits",
                     (json_int_t)t->weight_bits, "potential_bits", (json_int_t)t->potential_bits,
                     "output_bits", (json_int_t)t->output_bits, "blocks", (json_int_t)t->blocks,
                     "accumulations", (json_int_t)t->dense, "active_accumulations", t->active, "cycles",
                     (json_int_t)t->cycles, "nanojoules", t->nanojoules);
}

/* share: of the inputs that are not 0. Adds to the totals. */
static json_t *layer_row(const sp_integer *net, int i, double share, int64_t elements, totals *sum)
{
    const sp_integer_layer *l = &net->layers[i];
    const bool weights = l->kind == SP_INTEGER_WEIGHTS;
    const double outputs = (double)sp_integer_outputs(l), T = net->time_steps;
    const double taps = (double)(l->kh * l->kw * (weights ? l->c : 1));
    const double weight_bits = weights ? taps * (double)l->o * l->weight_bits + 64.0 * (double)l->o : 0;
    const double potential_bits = weights ? outputs * l->width : 0;
    const double output_bits = outputs * (l->spikes_out || weights ? 1 : sp_integer_sum_bits(net, i));
    const double dense = outputs * taps * T, active = dense * share;
    const double cycles = (double)sp_integer_cycles(l, elements) * T;
    const double pj = active * (PJ_ADD + (l->spikes_in ? 0 : PJ_MULTIPLY) + PJ_READ_BIT * l->weight_bits) +
                      2 * T * potential_bits * PJ_READ_BIT;
    sum->weight_bits += weight_bits, sum->potential_bits += potential_bits, sum->output_bits += output_bits;
    const double blocks = blocks_of(weight_bits) + blocks_of(potential_bits) + blocks_of(output_bits);
    sum->blocks += blocks, sum->dense += dense, sum->active += active;
    sum->cycles += cycles, sum->nanojoules += pj / 1000;
    return row_of(sp_integer_name(net, i), &(totals){weight_bits, potential_bits, output_bits, blocks, dense,
                                                     active, cycles, pj / 1000});
}

/* The share of a layer's inputs that are not 0: of a sum of k neurons at most k times their rate. */
static json_t *layer_rows(const sp_integer *net, const double *rates, int64_t elements, totals *sum)
{
    json_t *rows = json_array();
    double share = 1;
    for (int i = 0; i < net->n; i++) {
        const sp_integer_layer *l = &net->layers[i];
        json_array_append_new(rows, layer_row(net, i, share, elements, sum));
        if (l->kind == SP_INTEGER_WEIGHTS)
            share = l->neuron >= 0 && rates[l->neuron] >= 0 ? rates[l->neuron] : 1;
        else
            share = fmin(1, share * (double)(l->kh * l->kw));
    }
    return rows;
}

static sp_status print(const sp_integer *net, const sp_cli_hardware *o, json_t *rows, const totals *sum)
{
    static const sp_column columns[] = {
        {.key = "layer", .head = "layer", .width = -12},
        {.key = "weight_bits", .head = "weight bits", .width = 12},
        {.key = "potential_bits", .head = "potential bits", .width = 14},
        {.key = "output_bits", .head = "output bits", .width = 12},
        {.key = "blocks", .head = "blocks", .width = 7},
        {.key = "accumulations", .head = "accumulations", .width = 14},
        {.key = "active_accumulations", .head = "of them active", .width = 15},
        {.key = "cycles", .head = "cycles", .width = 12},
        {.key = "nanojoules", .head = "energy (nJ)", .width = 12, .digits = 2},
    };
    enum { N_COLUMNS = sizeof columns / sizeof *columns };
    if (o->json)
        return sp_cli_json_line(json_pack("{s:i, s:I, s:O, s:o}", "time_steps", net->time_steps, "elements",
                                          (json_int_t)o->elements, "layers", rows, "all",
                                          row_of("all", sum)));
    sp_status st = SP_OK;
    sp_table_print_head(columns, N_COLUMNS);
    for (size_t i = 0; st == SP_OK && i < json_array_size(rows); i++)
        st = sp_table_print(columns, N_COLUMNS, json_incref(json_array_get(rows, i)), false);
    if (st == SP_OK)
        st = sp_table_print(columns, N_COLUMNS, row_of("all", sum), false);
    printf("\nA sample of %d time steps. Blocks of memory have 36 Kbit; weight bits include a threshold and "
           "a bias of 32 bits a channel. Cycles are a bound with %lld multiply-accumulates at once in each "
           "layer, one layer after the other, silent inputs not skipped. %s. Energy is an estimate from "
           "constants of 45 nm (an addition %.1f pJ, a product %.1f pJ more, memory %.3f pJ a bit); it "
           "leaves out clocks, wires and leakage.\n",
           net->time_steps, (long long)o->elements,
           o->rates ? "Active accumulations follow from the firing rates of the run"
                    : "Without --rates RUN every neuron counts as if it fired at every time step",
           PJ_ADD, PJ_MULTIPLY, PJ_READ_BIT);
    return st;
}

sp_status sp_cli_plan_hardware(sp_session *s, const sp_cli_hardware *o, sp_error *err)
{
    sp_integer *net = NULL;
    totals sum = {0};
    double *rates = sp_alloc_array((size_t)s->graph->n_nodes + 1, sizeof *rates);
    sp_status st = rates ? read_rates(s->graph, o->rates, rates, err)
                         : SP_FAIL(err, SP_E_MEMORY, "out of memory for the firing rates");
    if (st == SP_OK)
        st = sp_session_integer(s, &net, err);
    if (st == SP_OK) {
        json_t *rows = layer_rows(net, rates, o->elements, &sum);
        st = print(net, o, rows, &sum);
        json_decref(rows);
    }
    sp_integer_destroy(&net);
    sp_free(rates);
    return st;
}
