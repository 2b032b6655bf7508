/* When training stops: a callback that asks for it, and a device that does not compute. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "spikeport/spikeport.h"
#include "train/session.h"

#define RECIPE SP_FIXTURES "/../../../recipes/synthetic_tiny.yaml"

typedef struct heard {
    int64_t epoch, batches_after_it;
} heard;

static int stop_at_the_end_of_an_epoch(void *ctx, const sp_progress_report *p)
{
    heard *h = ctx;
    if (p->is_epoch)
        h->epoch = p->epoch;
    else if (h->epoch)
        h->batches_after_it++;
    return h->epoch > 0;
}

Test(stop, a_callback_that_stops_at_the_end_of_an_epoch_stops_there)
{
    char folder[] = "/tmp/spikeport-stop-XXXXXX", remove[64];
    const char *sets[] = {"log_every=1", "epochs=3"};
    sp_error err = {0};
    sp_context *ctx = NULL;
    sp_net *net = NULL;
    heard h = {0};
    cr_assert_not_null(mkdtemp(folder));
    const sp_net_options o = {.struct_size = sizeof o, .sets = sets, .n_sets = 2};
    sp_fit_options fit = {.struct_size = sizeof fit,
                          .out = folder,
                          .report = stop_at_the_end_of_an_epoch,
                          .ctx = &h};
    cr_assert_eq(sp_context_create(NULL, &ctx, &err), SP_OK, "%s", err.text);
    cr_assert_eq(sp_net_open(ctx, RECIPE, &o, &net, &err), SP_OK, "%s", err.text);
    cr_expect_eq(sp_net_train(net, &fit, &err), SP_E_INTERRUPTED);
    cr_expect(h.epoch == 1 && h.batches_after_it == 0, "%lld more mini-batches",
              (long long)h.batches_after_it);
    fit.report = NULL;
    cr_expect_eq(sp_net_train(net, &fit, &err), SP_E_USAGE, "a run was replaced");
    sp_net_close(&net);
    sp_context_destroy(&ctx);
    snprintf(remove, sizeof remove, "rm -rf %s", folder);
    cr_assert_eq(system(remove), 0);
}

Test(stop, results_that_no_network_has)
{
    sp_error err = {0};
    sp_recipe r = {0};
    sp_dataset *train = NULL;
    sp_session *s = NULL;
    const sp_session_options o = {.device = NULL};
    cr_assert_eq(sp_recipe_load(RECIPE, NULL, 0, &r, &err), SP_OK, "%s", err.text);
    cr_assert_eq(sp_session_dataset(&r, true, &train, &err), SP_OK, "%s", err.text);
    cr_assert_eq(sp_session_open(&r, &train->info, &o, &s, &err), SP_OK, "%s", err.text);
    const size_t bytes = s->train->tensors[s->train->logits_sum].bytes;
    const sp_range outputs = sp_plan_tensor_range(s->train, s->train->logits_sum, 0);
    float *x = sp_alloc(bytes);
    cr_assert_eq(sp_device_write(s->dev, outputs, x, bytes, true, &err), SP_OK);
    cr_expect_eq(sp_session_check_computes(s, &err), SP_E_FAILED);
    x[bytes / sizeof *x - 1] = 1e-30f;
    cr_assert_eq(sp_device_write(s->dev, outputs, x, bytes, true, &err), SP_OK);
    cr_expect_eq(sp_session_check_computes(s, &err), SP_OK, "%s", err.text);
    uint64_t *spikes = sp_alloc_array((size_t)s->graph->n_nodes, sizeof *spikes);
    double *rates = sp_alloc_array((size_t)s->graph->n_nodes, sizeof *rates);
    for (int i = 0; i < s->graph->n_nodes; i++)
        if (s->graph->nodes[i].type == SP_NODE_NEURON)
            spikes[i] =
                (uint64_t)(sp_act_elems(&s->graph->acts[s->graph->nodes[i].out]) * s->recipe.time_steps * 5);
    cr_expect_eq(sp_session_rates(s, spikes, 5, rates, &err), SP_OK, "every neuron fires: %s", err.text);
    cr_expect_eq(sp_session_rates(s, spikes, 4, rates, &err), SP_E_FAILED);
    sp_free(spikes);
    sp_free(rates);
    sp_free(x);
    sp_session_close(&s);
    sp_dataset_close(&train);
}
