/* What is checked before anything is planned: that neurons, surrogates, method and loss go together. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/suggest.h"
#include "op/fragments_ref.h"
#include "plan/builder.h"

/* What the model of a plugin needs and the layer does not give, and what a method has no definition for. */
static sp_status check_model(const sp_plan *p, const sp_node *n, const sp_fragment *f, sp_error *err)
{
    const sp_neuron *u = &n->layer->neuron;
    bool learns = (f->uses & SP_USES_LEARN) != 0;
    if (learns != u->learn)
        return SP_FAIL(err, SP_E_CONFIG, "layer %s: neuron model \"%s\" has %s; write learn: %s", n->name,
                       u->model, learns ? "a learnable scalar" : "nothing to learn",
                       learns ? "true" : "false");
    if ((f->uses & SP_USES_AUX) && isnan(u->aux_tau))
        return SP_FAIL(err, SP_E_CONFIG,
                       "layer %s: neuron model \"%s\" has a second state and needs \"aux_tau\"", n->name,
                       u->model);
    if (strcmp(u->model, "lif_late_reset") == 0 && u->tau <= 1)
        return SP_FAIL(err, SP_E_CONFIG,
                       "layer %s: neuron model \"lif_late_reset\" takes the threshold from what the leak has "
                       "left, and tau: 1 leaves nothing; use a larger tau, or the model lif",
                       n->name);
    if (u->learn_v_th && (!sp_neuron_ref_find(u->model) || strcmp(u->model, "lif_late_reset") == 0))
        return SP_FAIL(err, SP_E_CONFIG,
                       "layer %s: learn_v_th is for models whose soft reset subtracts v_th, which is not "
                       "known of \"%s\"; use lif, if, plif, cuba_lif or alif",
                       n->name, u->model);
    if (!isnan(u->v_sub) && !sp_neuron_ref_find(u->model))
        return SP_FAIL(err, SP_E_CONFIG,
                       "layer %s: v_sub is for models whose soft reset subtracts v_th, which is not known of "
                       "\"%s\"; leave v_sub out, and let the model's neuron_reset subtract what it should",
                       n->name, u->model);
    if (p->o.method == SP_METHOD_RATE && (f->uses || u->recurrent || u->learn_v_th))
        return SP_FAIL(err, SP_E_CONFIG,
                       "layer %s: rate is not defined for %s: the rate of a block is to follow from the mean "
                       "of its input alone; use sltt or bptt%s",
                       n->name,
                       u->recurrent    ? "recurrent layers"
                       : u->learn_v_th ? "learnable thresholds"
                                       : u->model,
                       u->recurrent || u->learn_v_th ? "" : ", or models lif and if");
    if ((p->o.method == SP_METHOD_OTTT || p->o.method == SP_METHOD_NDOT) && f->uses)
        return SP_FAIL(err, SP_E_CONFIG,
                       "layer %s: %s is not defined for neuron model \"%s\": its trace stands for "
                       "du[t]/dx[s], which decays by one fixed factor only where u is the only state and its "
                       "leak is not learnt; use sltt or bptt, or models lif and if",
                       n->name, sp_method_name(p->o.method), u->model);
    if (p->o.method == SP_METHOD_NDOT && (u->recurrent || u->hard_reset))
        return SP_FAIL(err, SP_E_CONFIG, "layer %s: ndot is not defined for %s; use ottt, sltt or bptt",
                       n->name,
                       u->recurrent ? "recurrent layers"
                                    : "hard resets, behind which v has lost what its trace is to follow");
    return SP_OK;
}

static sp_status check_fragments(const sp_plan *p, sp_error *err)
{
    for (int i = 0; i < p->graph->n_nodes; i++) {
        const sp_node *n = &p->graph->nodes[i];
        if (n->type != SP_NODE_NEURON)
            continue;
        const sp_neuron *u = &n->layer->neuron;
        const struct {
            sp_fragment_kind kind;
            const char *name, *what;
        } need[2] = {{SP_FRAGMENT_NEURON, u->model, "neuron model"},
                     {SP_FRAGMENT_SURROGATE, u->surrogate, "surrogate"}};
        for (int k = 0; k < 2; k++) {
            const sp_fragment *f = sp_fragment_find(p->reg, need[k].kind, need[k].name);
            if (f && k == 0)
                SP_TRY(check_model(p, n, f, err));
            if (f)
                continue;
            const char *names[64];
            size_t count = sp_fragment_names(p->reg, need[k].kind, names, 64);
            sp_text list = {0};
            for (size_t j = 0; j < count && j < 64; j++)
                sp_text_add(&list, "%s%s", j ? ", " : "", names[j]);
            const char *near = sp_suggest(need[k].name, names, count < 64 ? count : 64);
            const char *file = p->graph->network.file;
            sp_status st = SP_FAIL(err, SP_E_CONFIG,
                                   "%s:%d:%d: layer %s: there is no %s \"%s\"%s%s%s; known: %s. A plugin "
                                   "folder is named by --plugins DIR or SPIKEPORT_PLUGIN_PATH",
                                   file ? file : "network", n->layer->line, n->layer->column, n->name,
                                   need[k].what, need[k].name, near ? "; did you mean \"" : "",
                                   near ? near : "", near ? "\"?" : "", list.s ? list.s : "none");
            sp_text_free(&list);
            return st;
        }
    }
    return SP_OK;
}

static sp_status check_loss(const sp_plan *p, sp_error *err)
{
    if (p->o.class_weights && p->o.n_class_weights != p->graph->classes)
        return SP_FAIL(err, SP_E_CONFIG,
                       "loss.class_weights has %lld numbers, but the network has %lld outputs",
                       (long long)p->o.n_class_weights, (long long)p->graph->classes);
    if (p->o.loss == SP_LOSS_BCE && !p->o.external_loss && p->graph->acts[p->graph->logits].bits)
        return SP_FAIL(err, SP_E_CONFIG,
                       "loss.name: bce takes the sigmoid of the outputs, and spikes, which are never "
                       "negative, would have probabilities of 0.5 and more; end the network with output: "
                       "membrane or a linear layer, or use loss.name: mse");
    if (p->o.external_loss && p->o.method == SP_METHOD_RATE)
        return SP_FAIL(err, SP_E_CONFIG,
                       "schedule.method: rate has its gradient by the mean outputs of blocks, not by those "
                       "of each time step that a loss outside of the plan gives; use sltt or bptt");
    if (p->o.method == SP_METHOD_RATE && p->o.time_steps % sp_plan_block(p))
        return SP_FAIL(err, SP_E_CONFIG, "schedule.block is %lld, which does not divide the %lld time steps",
                       (long long)sp_plan_block(p), (long long)p->o.time_steps);
    if (p->o.loss_of != SP_LOSS_OF_STEP && p->o.method == SP_METHOD_BPTT &&
        sp_plan_block(p) < p->o.time_steps)
        return SP_FAIL(err, SP_E_CONFIG,
                       "loss.of: mean and count need the outputs of all time steps before the backward pass; "
                       "schedule.truncate goes back after %lld of %lld. Leave one of them out",
                       (long long)sp_plan_block(p), (long long)p->o.time_steps);
    return SP_OK;
}

/* Statistics and masks of each step have no counterpart of a block's mean that is tried and described; and
 * the mean of what an activation gives does not follow from the mean of its input. */
static sp_status check_rates(const sp_plan *p, sp_error *err)
{
    for (int i = 0; p->o.method == SP_METHOD_RATE && i < p->graph->n_nodes; i++) {
        const sp_node *n = &p->graph->nodes[i];
        if (n->type == SP_NODE_ACTIVATION)
            return SP_FAIL(err, SP_E_CONFIG,
                           "layer %s: rate is not defined for relu and qcfs, whose mean over time steps does "
                           "not follow from that of their input; use sltt, or layers of neurons",
                           n->name);
        if (n->type == SP_NODE_LAYER_NORM)
            return SP_FAIL(err, SP_E_CONFIG,
                           "layer %s: rate is not defined for layer_norm and rms_norm; use sltt or bptt, or "
                           "batch_norm",
                           n->name);
        if (n->type == SP_NODE_DROPOUT && n->layer->each_step)
            return SP_FAIL(err, SP_E_CONFIG,
                           "layer %s: rate goes back once behind a block of time steps, through one mask; "
                           "write mask: sample, or use sltt or bptt",
                           n->name);
    }
    return SP_OK;
}

/* One trace follows what an add or concat layer gives, so it needs one leak. */
static sp_status check_joins(const sp_plan *p, sp_error *err)
{
    for (int i = 0; p->o.method == SP_METHOD_OTTT && i < p->graph->n_nodes; i++) {
        const sp_node *n = &p->graph->nodes[i];
        if (n->layer->type != SP_LAYER_ADD && n->layer->type != SP_LAYER_CONCAT)
            continue;
        double a = spi_leak_before(p->graph, n->in[0]), b = spi_leak_before(p->graph, n->in[1]);
        if (a > 0 && b > 0 && (a < b || a > b))
            return SP_FAIL(err, SP_E_CONFIG,
                           "layer %s: ottt needs neurons of one tau before an %s layer, as the trace of what "
                           "it gives decays by one factor; use sltt or bptt",
                           n->name, n->layer->type == SP_LAYER_ADD ? "add" : "concat");
    }
    return SP_OK;
}

static sp_status check_quantised(const sp_plan *p, sp_error *err)
{
    for (int i = 0; p->o.weight_bits && i < p->graph->n_nodes; i++) {
        const sp_node *n = &p->graph->nodes[i];
        if (n->standardized || n->type == SP_NODE_RECURRENT)
            return SP_FAIL(err, SP_E_CONFIG,
                           "layer %s: precision.weights: %d rounds the weights of conv and linear layers; %s "
                           "has no such form. Use %s, or precision.weights: float",
                           n->name, p->o.weight_bits,
                           n->standardized ? "ws_conv" : "the matrix of a recurrent layer",
                           n->standardized ? "conv with batch_norm" : "layers without recurrent: true");
    }
    return SP_OK;
}

static sp_status check_binary(const sp_plan *p, sp_error *err)
{
    if (p->o.binary == SP_BINARY_NONE || p->o.external_loss)
        return SP_OK;
    if (p->o.ema > 0 || p->o.weight_bits)
        return SP_FAIL(err, SP_E_CONFIG,
                       "optimizer.binary has weights of 1 and -1, %s; leave one of them out",
                       p->o.ema > 0 ? "and optimizer.ema evaluates an average, which is neither"
                                    : "and precision.weights rounds weights to more bits");
    int n_binary = 0;
    for (int i = 0; i < p->graph->n_params; i++) {
        const sp_param *w = &p->graph->params[i];
        const sp_node *n = &p->graph->nodes[w->node];
        if (!sp_param_is_binary(p->graph, w))
            continue;
        n_binary++;
        if (n->standardized)
            return SP_FAIL(err, SP_E_CONFIG,
                           "layer %s: optimizer.binary has weights of 1 and -1, and weight standardisation "
                           "would make others of them; use conv with batch_norm in the place of ws_conv",
                           n->name);
    }
    if (!n_binary)
        return SP_FAIL(err, SP_E_CONFIG,
                       "optimizer.binary makes the weights of conv and linear layers 1 or -1, but not those "
                       "of the first and the last of them, and this network has none between these two; "
                       "leave it out, or add hidden layers");
    return SP_OK;
}

static sp_status check_online_norms(const sp_plan *p, sp_error *err)
{
    const bool bptt = p->o.method == SP_METHOD_BPTT;
    if (!p->o.online_norm || !(bptt || p->o.sync_norm))
        return SP_OK;
    return SP_FAIL(err, SP_E_CONFIG, "schedule.batch_norm: online is not defined %s",
                   bptt ? "for bptt, which knows the statistics of all time steps when it goes back; use "
                          "sltt, sltt-k, ottt, ndot or rate, or schedule.batch_norm: step"
                        : "with schedule.sync_batch_norm, as the statistics of a time step do not normalise "
                          "it; leave one of them out");
}

sp_status spi_check_settings(const sp_plan *p, sp_error *err)
{
    SP_TRY(check_joins(p, err));
    SP_TRY(spi_check_delays(p, err));
    SP_TRY(spi_check_synapses(p, err));
    SP_TRY(check_online_norms(p, err));
    SP_TRY(check_rates(p, err));
    SP_TRY(check_quantised(p, err));
    SP_TRY(check_binary(p, err));
    SP_TRY(check_fragments(p, err));
    SP_TRY(spi_check_traces(p, err));
    SP_TRY(spi_check_stabilised(p, err));
    SP_TRY(spi_check_penalty(p, err));
    SP_TRY(spi_check_local(p, err));
    return check_loss(p, err);
}
