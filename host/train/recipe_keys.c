/* Every key of a recipe outside its "data" and "neuron" sections. */
#include "train/recipe_keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/number.h"
#include "graph/layer_names.h"

static bool sgd(const void *r)
{
    return ((const sp_recipe *)r)->optimizer == SP_OPTIMIZER_SGD;
}
static bool binary(const void *r)
{
    return ((const sp_recipe *)r)->binary != SP_BINARY_NONE;
}
static bool t_bso(const void *r)
{
    return ((const sp_recipe *)r)->binary == SP_BINARY_T_BSO;
}
static bool adapts_width(const void *r)
{
    return ((const sp_recipe *)r)->width_step > 0;
}
static bool adam(const void *r)
{
    return !sgd(r);
}
static int shape_of_rate(const void *r)
{
    return ((const sp_recipe *)r)->lr_schedule;
}
static bool cosine(const void *r)
{
    return shape_of_rate(r) == SP_LR_COSINE;
}
static bool step(const void *r)
{
    return shape_of_rate(r) == SP_LR_STEP;
}
static bool plateau(const void *r)
{
    return shape_of_rate(r) == SP_LR_PLATEAU;
}
static bool drops(const void *r)
{
    return step(r) || plateau(r);
}
static bool has_least(const void *r)
{
    return cosine(r) || plateau(r);
}
static bool one_cycle(const void *r)
{
    return shape_of_rate(r) == SP_LR_ONE_CYCLE;
}
static bool may_warm_up(const void *r)
{
    return !one_cycle(r);
}
static bool warms_up(const void *r)
{
    return may_warm_up(r) && ((const sp_recipe *)r)->warmup > 0;
}
static bool stops(const void *r)
{
    return ((const sp_recipe *)r)->patience > 0;
}
static bool sltt_k(const void *r)
{
    return ((const sp_recipe *)r)->method == SP_METHOD_SLTT_K;
}
static bool adaptive(const void *r)
{
    return sltt_k(r) && ((const sp_recipe *)r)->adaptive;
}
static bool online(const void *r)
{
    sp_method m = ((const sp_recipe *)r)->method;
    return m == SP_METHOD_SLTT || m == SP_METHOD_OTTT || m == SP_METHOD_NDOT;
}
static bool bptt(const void *r)
{
    return ((const sp_recipe *)r)->method == SP_METHOD_BPTT;
}
static bool rate(const void *r)
{
    return ((const sp_recipe *)r)->method == SP_METHOD_RATE;
}
static bool ltl(const void *r)
{
    return ((const sp_recipe *)r)->method == SP_METHOD_LTL;
}
static bool of_classes(const void *r)
{
    return ((const sp_recipe *)r)->loss == SP_LOSS_CROSS_ENTROPY;
}
static bool has_mse(const void *r)
{
    return of_classes(r) && ((const sp_recipe *)r)->w_mse > 0;
}

static bool has_init(const void *r)
{
    return ((const sp_recipe *)r)->init_from != NULL;
}

/* A number, or "adaptive" with spike_share, min_steps, max_steps. */
static sp_status read_backprop_steps(void *base, const sp_yaml *v, sp_error *err)
{
    sp_recipe *r = base;
    r->adaptive = v->kind == SP_YAML_STRING && strcmp(v->text, "adaptive") == 0;
    if (!r->adaptive && (v->kind != SP_YAML_INT || v->integer < 1 || v->integer > 4096))
        return sp_yaml_fail(v, err,
                            "\"backprop_steps\" must be a number of time steps, or adaptive; the number is 1 "
                            "to 4096");
    r->backprop_steps = r->adaptive ? r->backprop_steps : v->integer;
    return SP_OK;
}

static void print_backprop_steps(const void *base, sp_text *out)
{
    const sp_recipe *r = base;
    if (r->adaptive)
        sp_text_add(out, "adaptive");
    else
        sp_text_add(out, "%lld", (long long)r->backprop_steps);
}

/* true, false, or the share of memory that is to be saved. */
static sp_status read_recompute(void *base, const sp_yaml *v, sp_error *err)
{
    double *share = &((sp_recipe *)base)->recompute;
    bool number = v->kind == SP_YAML_INT || v->kind == SP_YAML_FLOAT;
    if (!number && v->kind != SP_YAML_BOOL)
        return sp_yaml_fail(v, err, "\"recompute\" must be true, false or a share from 0 to 1");
    *share = (double)v->integer;
    return number ? sp_yaml_to_float(v, "recompute", 0, 1, share, err) : SP_OK;
}

static void print_recompute(const void *base, sp_text *out)
{
    double share = ((const sp_recipe *)base)->recompute;
    if (share > 0 && share < 1)
        sp_text_number(out, share);
    else
        sp_text_add(out, "%s", share > 0 ? "true" : "false");
}

/* float, or a number of bits. */
static sp_status read_weights(void *base, const sp_yaml *v, sp_error *err)
{
    sp_recipe *r = base;
    const bool is_float = v->kind == SP_YAML_STRING && strcmp(v->text, "float") == 0;
    if (!is_float && (v->kind != SP_YAML_INT || v->integer < 2 || v->integer > 16))
        return sp_yaml_fail(v, err, "\"weights\" must be float, or a number of bits from 2 to 16");
    r->weight_bits = is_float ? 0 : v->integer;
    return SP_OK;
}

static void print_weights(const void *base, sp_text *out)
{
    const sp_recipe *r = base;
    if (r->weight_bits)
        sp_text_add(out, "%lld", (long long)r->weight_bits);
    else
        sp_text_add(out, "float");
}

static bool quantised(const void *r)
{
    return ((const sp_recipe *)r)->weight_bits > 0;
}

/* For the reader alone. */
static sp_status read_about(void *base, const sp_yaml *v, sp_error *err)
{
    (void)base;
    return v->text ? SP_OK : sp_yaml_fail(v, err, "\"about\" must be text (put it in quotes)");
}

static sp_status read_mse_target(void *base, const sp_yaml *v, sp_error *err)
{
    sp_recipe *r = base;
    r->mse_one_hot = v->kind == SP_YAML_STRING && strcmp(v->text, "one_hot") == 0;
    if (r->mse_one_hot)
        return SP_OK;
    if (v->kind != SP_YAML_INT && v->kind != SP_YAML_FLOAT)
        return sp_yaml_fail(v, err, "\"mse_target\" must be one_hot or a number, the target of every class");
    return sp_yaml_to_float(v, "mse_target", -1e6, 1e6, &r->mse_target, err);
}

static void print_mse_target(const void *base, sp_text *out)
{
    const sp_recipe *r = base;
    if (r->mse_one_hot)
        sp_text_add(out, "one_hot");
    else
        sp_text_number(out, r->mse_target);
}

static sp_status read_class_weights(void *base, const sp_yaml *v, sp_error *err)
{
    sp_recipe *r = base;
    if (v->kind != SP_YAML_LIST || v->n < 2)
        return sp_yaml_fail(v, err, "\"class_weights\" must be a list with a number for each class");
    r->class_weights = sp_alloc_pages(v->n, sizeof *r->class_weights);
    r->n_class_weights = (int64_t)v->n;
    if (!r->class_weights)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory while reading a recipe");
    bool counts = false;
    for (size_t i = 0; i < v->n; i++) {
        double weight = 0;
        SP_TRY(sp_yaml_to_float(v->items[i], "class_weights", 0, 1e6, &weight, err));
        r->class_weights[i] = (float)weight;
        counts = counts || weight > 0;
    }
    return counts ? SP_OK
                  : sp_yaml_fail(v, err, "\"class_weights\" needs a number above 0, or nothing is learned");
}

static void print_class_weights(const void *base, sp_text *out)
{
    const sp_recipe *r = base;
    for (int64_t i = 0; i < r->n_class_weights; i++) {
        char number[32];
        for (int digits = 6; digits <= 9; digits++) { /* as short as the float allows */
            snprintf(number, sizeof number, "%.*g", digits, (double)r->class_weights[i]);
            if (strtof(number, NULL) == r->class_weights[i])
                break;
        }
        sp_text_add(out, "%s%s", i ? ", " : "[", number);
    }
    sp_text_add(out, "]");
}

static const sp_field schedule[] = {
    {SPI_CHOICE("method", method, "sltt", "sltt-k", "bptt", "ottt", "rate", "ndot", "ltl"), .initial = "sltt",
     .help = "How gradients are computed: at every time step, at K drawn ones, through time, with "
             "traces (ottt; ndot: with a decay for each neuron), on the firing rates of blocks of time "
             "steps, or for each layer by itself, from the outputs of a trained network (ltl, local tandem "
             "learning)."},
    {SPI_INT("time_steps", time_steps, 1, 4096), .initial = "4", .help = "Time steps of a sample, T."},
    {SPI_OTHER("backprop_steps", read_backprop_steps, print_backprop_steps,
               "whole number, 1 to 4096, or `adaptive`"),
     .initial = "1", .sample = "2", .applies = sltt_k, .needs = "schedule.method: sltt-k",
     .help = "The K of SLTT-K; adaptive: K follows from the spikes."},
    {SPI_BOOL("online_update", online_update), .initial = "false", .applies = online,
     .needs = "schedule.method: sltt, ottt or ndot", .help = "An optimizer step at every time step."},
    {SPI_INT("block", block, 1, 4096), .follows = "time_steps", .applies = rate,
     .needs = "schedule.method: rate",
     .help = "Time steps of a block, behind which there is one backward pass; it divides `time_steps`."},
    {SPI_INT("warm_up", warm_up, 0, 4095), .initial = "0", .applies = ltl, .needs = "schedule.method: ltl",
     .help = "Time steps before the first that has a backward pass; the firing rates that are compared with "
             "the teacher's outputs count them."},
    {SPI_INT("shards", shards, 0, 4096), .initial = "0",
     .help = "Parts of a mini-batch whose gradients are summed in a fixed order, so that any number of "
             "devices and ranks up to it gives the same bits; batch norms see one part unless "
             "`sync_batch_norm`. 0: one for each device or rank."},
    {SPI_CHOICE("batch_norm", online_norm, "step", "online"), .initial = "step",
     .help = "What batch norms normalise by in training: the statistics of the time step, or online, as in "
             "evaluation, their running statistics, which then follow once a mini-batch (OSR). Not with "
             "bptt."},
    {SPI_BOOL("sync_batch_norm", sync_norm), .initial = "false",
     .help = "Batch norms take their statistics over all shards, which then run in step and keep their "
             "activations at the same time."},
    {SPI_INT("truncate", truncate, 0, 4096), .initial = "0", .applies = bptt,
     .needs = "schedule.method: bptt", .help = "Time steps of a block of truncated BPTT; 0: all."},
    {SPI_OTHER("recompute", read_recompute, print_recompute, "true, false, or number, 0 to 1"),
     .initial = "false", .sample = "0.25", .applies = bptt, .needs = "schedule.method: bptt",
     .help = "Share of the inputs of batch norms that is computed again instead of kept."},
    {SPI_FLOAT("width_step", width_step, 0, 1e6), .initial = "0",
     .help = "Before each epoch the width of all surrogates grows or shrinks by this much, or stays, "
             "whichever makes the gradient of the first layer most like difference quotients of the loss "
             "(Dspike). 0: it stays."},
    {SPI_INT("width_probes", width_probes, 1, 65536), .initial = "16", .applies = adapts_width,
     .needs = "schedule.width_step above 0",
     .help = "Random directions of these quotients; each takes two mini-batches."},
    {SPI_FLOAT("spike_share", spike_share, 0, 1), .initial = "0.5", .applies = adaptive,
     .needs = "schedule.backprop_steps: adaptive",
     .help = "Share of the spikes that the drawn time steps are to cover."},
    {SPI_INT("min_steps", min_steps, 1, 4096), .initial = "1", .applies = adaptive,
     .needs = "schedule.backprop_steps: adaptive", .help = "The smallest K."},
    {SPI_INT("max_steps", max_steps, 1, 4096), .follows = "time_steps", .applies = adaptive,
     .needs = "schedule.backprop_steps: adaptive", .help = "The largest K."},
};
static const sp_fields schedule_fields = SPI_FIELDS("schedule", schedule, schedule);

static const sp_field precision[] = {
    {SPI_CHOICE("activations", half, "float", "half"), .initial = "float",
     .help = "Storage of potentials and of activations that are kept for the backward pass."},
    {SPI_CHOICE("compute", bf16, "float", "bf16-gradients", "bf16"), .initial = "float",
     .help = "What convolutions and linear layers multiply: `bf16` allows kernels that round float32 factors "
             "to bf16, `bf16-gradients` only for the gradients, so that spikes, loss and evaluation are "
             "those "
             "of float32. Sums, states, norms, losses and optimizers stay float32, and so does a product for "
             "which the device has no such kernel or a faster one; `plan` and `train` say how many are in "
             "bf16."},
    {SPI_OTHER("weights", read_weights, print_weights, "`float`, or whole number, 2 to 16"),
     .initial = "float", .sample = "8",
     .help = "Bits of the weights of conv and linear layers: they are rounded to multiples of a power of "
             "two in every forward and backward pass, and gradients go straight through the "
             "rounding. See FPGA.md."},
    {SPI_CHOICE("scale", channel_scales, "layer", "channel"), .initial = "layer", .applies = quantised,
     .needs = "precision.weights: a number",
     .help = "Whether a layer has one power of two, or each of its output channels its own. The last layer "
             "has one for all channels, because its outputs are compared with each other."},
    {SPI_INT("membrane", membrane_bits, 8, 24), .initial = "16", .applies = quantised,
     .needs = "precision.weights: a number",
     .help = "Bits of the potentials of the integer network (`eval --integer`); larger ones saturate."},
    {SPI_INT("input", input_bits, 2, 16), .initial = "8", .applies = quantised,
     .needs = "precision.weights: a number", .help = "Bits of the input of the integer network."},
};
static const sp_fields precision_fields = SPI_FIELDS("precision", precision, precision);

static const sp_field monitor[] = {
    {SPI_OTHER("gradient_similarity", spi_recipe_read_similarity, spi_recipe_print_similarity,
               "whole number, or map with `every`, `reference`, `methods`"),
     .sample = "{every: 7, reference: sltt, methods: [bptt, \"sltt-k:1\"]}",
     .help = "Mini-batches between comparisons of gradients: those of `methods` with those of `reference` "
             "(bptt or sltt)."},
};
static const sp_fields monitor_fields = SPI_FIELDS("monitor", monitor, monitor);

#define CLASSES .applies = of_classes, .needs = "loss.name: cross_entropy"
static const sp_field loss[] = {
    {SPI_CHOICE("name", loss, "cross_entropy", "mse", "bce"), .initial = "cross_entropy",
     .help = "cross_entropy compares the softmax of the outputs with the sample's class. mse, for "
             "regression, is the squared error of the outputs against a row of numbers. bce, for several "
             "labels a sample, is the binary cross entropy of the sigmoid of each output with a row of "
             "numbers from 0 to 1. mse and bce are the mean over the outputs, and need `data.name: arrays`, "
             "or a table of images or events."},
    {SPI_CHOICE("of", loss_of, "step", "mean", "count"), .initial = "step",
     .help = "What is compared with the labels: the output of each time step (the loss is the mean over "
             "them), the mean of all outputs (the firing rate, where the network ends in neurons), or their "
             "sum (the spike count). sltt, sltt-k, ottt and ndot estimate the last two from the time steps "
             "so far."},
    {SPI_FLOAT("label_smoothing", label_smoothing, 0, 1), .initial = "0", CLASSES,
     .help = "Share of the cross entropy's target that is spread evenly over all classes."},
    {SPI_OTHER("class_weights", read_class_weights, print_class_weights, "list of numbers, 0 to 1e6"),
     .sample = "[1, 2, 0.5]",
     .help = "Factors of the classes in the cross entropy, in their order; with mse and bce, factors of "
             "the outputs. The sum over the mini-batch is still divided by its size."},
    {SPI_FLOAT("mse", w_mse, 0, 1), .initial = "0", CLASSES,
     .help = "Weight of the squared error; that of the cross entropy is 1 minus this."},
    {SPI_OTHER("mse_target", read_mse_target, print_mse_target, "`one_hot`, or number, -1e6 to 1e6"),
     .initial = "one_hot", .sample = "0.3", .applies = has_mse, .needs = "loss.mse above 0",
     .help = "Target of the squared error."},
    {SPI_FLOAT("membrane", w_membrane, 0, 1e6), .initial = "0",
     .help = "Weight of a loss on membrane potentials: the mean distance of u from the nearer of rest and "
             "threshold, over time steps, neurons and layers (RMP-Loss). The loss that is reported in "
             "training has it. Not with rate."},
};
static const sp_fields loss_fields = SPI_FIELDS("loss", loss, loss);

#define ADAM .applies = adam, .needs = "optimizer.name: adamw or adam"
static const sp_field optimizer[] = {
    {SPI_CHOICE("name", optimizer, "sgd", "adamw", "adam"), .initial = "sgd",
     .help = "The optimizer; adamw decays the weights themselves, adam their gradients."},
    {SPI_FLOAT("lr", lr, 0, 1e6), .follows = "name",
     .help = "Learning rate; 0.1 for sgd, 0.001 for adamw and adam unless it is given."},
    {SPI_FLOAT("momentum", momentum, 0, 1), .initial = "0.9", .applies = sgd, .needs = "optimizer.name: sgd",
     .help = "Momentum of SGD."},
    {SPI_FLOAT("weight_decay", weight_decay, 0, 1e3), .initial = "0", .help = "Weight decay."},
    {SPI_FLOAT("beta1", beta1, 0, 0.9999999), .initial = "0.9", ADAM, .help = "Decay of the first moment."},
    {SPI_FLOAT("beta2", beta2, 0, 0.9999999), .initial = "0.999", ADAM,
     .help = "Decay of the second moment."},
    {SPI_FLOAT("eps", eps, 1e-30, 1), .initial = "1e-8", ADAM,
     .help = "Added to the root of the second moment."},
    {SPI_CHOICE("binary", binary, "none", "bso", "t-bso"), .initial = "none",
     .help = "bso, t-bso: the weights of all layers but the first and the last are 1 or -1. They have no "
             "rate and no float behind them: one turns where its sign times the momentum of its gradient is "
             "above a bar, with t-bso above one that follows the gradients of its layer at each time step. "
             "`name` trains all other parameters."},
    {SPI_FLOAT("flip_bar", flip_bar, 0, 1e6), .initial = "5e-7", .applies = binary,
     .needs = "optimizer.binary: bso or t-bso",
     .help = "That bar; t-bso: its share of the root mean square of the layer's gradients."},
    {SPI_FLOAT("flip_beta1", flip_beta1, 0, 0.9999999), .initial = "0.999", .applies = binary,
     .needs = "optimizer.binary: bso or t-bso", .help = "Decay of that momentum."},
    {SPI_FLOAT("flip_beta2", flip_beta2, 0, 0.9999999), .initial = "0.99999", .applies = t_bso,
     .needs = "optimizer.binary: t-bso", .help = "Decay of the mean square of a layer's gradients."},
    {SPI_FLOAT("clip_norm", clip_norm, 0, 1e30), .initial = "0",
     .help = "Largest norm of all gradients together; larger ones are scaled down to it. 0: no limit."},
    {SPI_FLOAT("clip_value", clip_value, 0, 1e30), .initial = "0",
     .help = "Largest absolute value of each gradient, after `clip_norm`. 0: no limit."},
    {SPI_FLOAT("ema", ema, 0, 0.9999999), .initial = "0",
     .help = "Decay of an exponential moving average of the weights, which evaluation then uses; 0: none."},
};
static const sp_fields optimizer_fields = SPI_FIELDS("optimizer", optimizer, optimizer);

#define PLATEAU   .applies = plateau, .needs = "lr_schedule.name: plateau"
#define ONE_CYCLE .applies = one_cycle, .needs = "lr_schedule.name: one_cycle"
static const sp_field lr_schedule[] = {
    {SPI_CHOICE("name", lr_schedule, "constant", "cosine", "step", "plateau", "one_cycle"),
     .initial = "cosine",
     .help = "How the learning rate changes; plateau drops it where `measure` no longer becomes better, "
             "one_cycle raises it to `optimizer.lr` and lowers it again, at every mini-batch."},
    {SPI_INT("epochs", lr_period, 1, 1000000), .follows = "epochs of the recipe", .applies = cosine,
     .needs = "lr_schedule.name: cosine",
     .help = "Epochs of the half wave of a cosine; after them the rate stays at its minimum."},
    {SPI_INT("every", lr_step, 1, 1000000), .initial = "30", .applies = step,
     .needs = "lr_schedule.name: step", .help = "Epochs between drops."},
    {SPI_FLOAT("gamma", lr_gamma, 0, 1), .initial = "0.1", .applies = drops,
     .needs = "lr_schedule.name: step or plateau", .help = "Factor of a drop."},
    {SPI_FLOAT("min", lr_min, 0, 1e6), .initial = "0", .sample = "0.0005", .applies = has_least,
     .needs = "lr_schedule.name: cosine or plateau", .help = "The smallest learning rate."},
    {SPI_CHOICE("per", lr_per_batch, "epoch", "batch"), .initial = "epoch", .applies = cosine,
     .needs = "lr_schedule.name: cosine", .help = "When a cosine changes the rate."},
    {SPI_INT("patience", lr_patience, 0, 1000000), .initial = "10", PLATEAU,
     .help = "Epochs without a better `measure` that are waited for; the next one drops the rate."},
    {SPI_FLOAT("threshold", lr_threshold, 0, 1), .initial = "1e-4", PLATEAU,
     .help = "Share of the best `measure` by which an epoch must be better to count."},
    {SPI_FLOAT("pct_start", lr_pct_start, 0, 1), .initial = "0.3", ONE_CYCLE,
     .help = "Share of all mini-batches in which the rate rises."},
    {SPI_FLOAT("div_factor", lr_div, 1, 1e9), .initial = "25", ONE_CYCLE,
     .help = "The rate starts at `optimizer.lr` divided by this."},
    {SPI_FLOAT("final_div_factor", lr_final_div, 1, 1e9), .initial = "10000", ONE_CYCLE,
     .help = "The rate ends at its start divided by this."},
    {SPI_FLOAT("warmup", warmup, 0, 1e6), .initial = "0", .applies = may_warm_up,
     .needs = "another lr_schedule.name than one_cycle",
     .help = "Epochs, also 0.5 of one, in which the rate is multiplied by a factor that grows to 1 with "
             "every mini-batch."},
    {SPI_FLOAT("warmup_from", warmup_from, 0, 1), .initial = "0.01", .applies = warms_up,
     .needs = "lr_schedule.warmup above 0", .help = "That factor at the first mini-batch."},
};
static const sp_fields lr_schedule_fields = SPI_FIELDS("lr_schedule", lr_schedule, lr_schedule);

static const sp_field early_stopping[] = {
    {SPI_INT("patience", patience, 0, 1000000), .initial = "0",
     .help = "Training ends after so many epochs in a row without a better `measure`; 0: never early."},
    {SPI_FLOAT("min_delta", min_delta, 0, 1e6), .initial = "0", .applies = stops,
     .needs = "early_stopping.patience above 0", .help = "How much better an epoch must be to count."},
};
static const sp_fields early_stopping_fields = SPI_FIELDS("early_stopping", early_stopping, early_stopping);

#define TABLE(k, t) .key = k, .kind = SP_FIELD_TABLE, .table = t
static const sp_field recipe[] = {
    {SPI_TEXT("name", name), .initial = "unnamed", .help = "Name of the run."},
    {SPI_OTHER("about", read_about, NULL, "text"), .help = "A description for the reader."},
    {SPI_OTHER("base", NULL, NULL, "file name"), .help = "Another recipe, from which every key is taken that "
                                                         "this one does not have."},
    {TABLE("data", &spi_recipe_data_fields)},
    {TABLE("neuron", &sp_neuron_fields), .at = offsetof(sp_recipe, neuron)},
    {TABLE("schedule", &schedule_fields)},
    {TABLE("precision", &precision_fields)},
    {TABLE("monitor", &monitor_fields)},
    {TABLE("loss", &loss_fields)},
    {TABLE("optimizer", &optimizer_fields)},
    {TABLE("lr_schedule", &lr_schedule_fields)},
    {TABLE("early_stopping", &early_stopping_fields)},
    {SPI_CHOICE("measure", measure, "test_accuracy", "test_loss", "accuracy", "loss"),
     .initial = "test_accuracy",
     .help = "What epochs are compared by: best.safetensors is of the best one, `early_stopping` and "
             "`lr_schedule.name: plateau` wait for a better one. The last two are of the training data. With "
             "`loss.name: mse`, which has no accuracy, the default is test_loss."},
    {SPI_INT("batch", batch, 1, 1 << 20), .initial = "128", .help = "Samples of a mini-batch."},
    {SPI_INT("eval_batch", eval_batch, 1, 1 << 20), .follows = "batch",
     .help = "Samples of a mini-batch of the test data, and at most as many as there are."},
    {SPI_INT("epochs", epochs, 1, 1000000), .initial = "1", .help = "Passes over the training data."},
    {SPI_INT("seed", seed, 0, 0x7fffffff), .sequence = true, .initial = "2022",
     .help = "Seed of everything that is drawn."},
    {SPI_INT("checkpoint_every", checkpoint_every, 0, 1000000000), .initial = "0",
     .help = "Mini-batches between checkpoints; 0: at the end of each epoch only."},
    {SPI_INT("log_every", log_every, 1, 1000000000), .initial = "50",
     .help = "Mini-batches between lines of metrics.jsonl."},
    {SPI_TEXT("teacher", teacher), .applies = ltl, .needs = "schedule.method: ltl",
     .help = "The folder of a run, or its checkpoint: a network with relu or qcfs in the places of this "
             "network's neurons, trained on the same data. Its outputs are the targets of layers."},
    {SPI_TEXT("init_from", init_from), .help = "Weights that training starts from, a safetensors file."},
    {SPI_TEXT("init_map", init_map), .applies = has_init, .needs = "init_from",
     .help = "A file with the names of those weights, see INTERCHANGE.md."},
    {SPI_BOOL("init_strict", init_strict), .initial = "true", .applies = has_init, .needs = "init_from",
     .help = "Whether tensors that are missing, or that the network has no place for, are errors."},
    {SPI_TEXT("plugins_path", plugins_path), .help = "Folders of plugins, separated by colons."},
    {SPI_OTHER("plugins", spi_recipe_read_plugins, spi_recipe_print_plugins, "map of op to variant"),
     .sample = "{\"*\": reference}", .help = "Kernels to use, such as gemm: gemm_clblast."},
    {SPI_OTHER("network", NULL, NULL, "file name, list of layers, or map"), .help = "The network: a file, "
                                                                                    "layers, or a map with "
                                                                                    "either and with "
                                                                                    "changes; see below."},
};
const sp_fields spi_recipe_fields = SPI_FIELDS("the recipe", root, recipe);

/* Which key a table has, at the head of the columns that document() writes. */
static const char *const columns = "| key | type | default | meaning |\n| --- | --- | --- | --- |\n";

static void document(const sp_fields *table, const char *prefix, sp_text *out)
{
    for (size_t i = 0; i < table->n; i++) {
        const sp_field *f = &table->items[i];
        if (!f->help && f->kind != SP_FIELD_TABLE)
            continue; /* `type` of a layer */
        if (f->kind == SP_FIELD_TABLE) {
            char inner[64];
            snprintf(inner, sizeof inner, "%s%s.", prefix, f->key);
            document(f->table, inner, out);
            continue;
        }
        sp_text_add(out, "| `%s%s` | ", prefix, f->key);
        sp_field_type(f, out);
        sp_text_add(out,
                    f->required  ? " | required%s | "
                    : f->follows ? " | follows `%s` | "
                    : f->initial ? " | `%s` | "
                                 : " | %s | ",
                    f->required  ? ""
                    : f->follows ? f->follows
                    : f->initial ? f->initial
                                 : "");
        sp_text_add(out, "%s", f->help);
        sp_text_add(out, f->needs ? " Needs `%s`.|\n" : " |\n", f->needs);
    }
}

static void document_layers(sp_text *out)
{
    sp_text_add(out,
                "\n## Networks\n\n"
                "`network` is the name of a file, which is relative to the file that names it, or a list "
                "of layers, or a map:\n\n%s",
                columns);
    document(&sp_network_fields, "", out);
    sp_text_add(out, "\nA network file holds any of these forms. A run stores the layers themselves.\n\n"
                     "Each layer is a map with a `type`. A neuron (`type: lif`, or `if`, `plif`, `cuba_lif`, "
                     "`alif` for another model) takes every key of `neuron` above, which replaces the "
                     "recipe's for this layer, and `recurrent: true` for a dense matrix from its spikes to "
                     "its input one time step later. The last layer may be one: then its spikes are the "
                     "network's outputs, or with `output: membrane`, where it never fires, its membrane "
                     "potential. `flatten` has no other key. Every layer may have a `label`, a name of small "
                     "letters, digits and underscores, by which the `from` of a later `add` or `concat` "
                     "layer calls its output; without one, it is called by its place, such as `2` or "
                     "`2.branch.0`. The names of parameters are those of places. The others:\n");
    for (size_t i = 0; i < SP_LAYER_TYPES; i++) {
        const sp_fields *table = &sp_layer_fields[i];
        bool again = i > 0 && table->items == sp_layer_fields[i - 1].items;
        if (table->n <= 2 || again)
            continue;
        sp_text_add(out, "\n### %s", table->what);
        for (size_t k = i + 1; k < SP_LAYER_TYPES && sp_layer_fields[k].items == table->items; k++)
            sp_text_add(out, ", %s", sp_layer_fields[k].what);
        sp_text_add(out, "\n\n%s", columns);
        document(table, "", out);
    }
}

void sp_recipe_document(sp_text *out)
{
    sp_text_add(out,
                "# Keys of a recipe\n\n"
                "This page is written by `spikeport recipe`, from the table that recipes are read with. A "
                "key is written in its section or set as `--set SECTION.KEY=VALUE`. A default that follows "
                "another key is not stored with a run, so that it keeps following that key.\n\n"
                "%s",
                columns);
    document(&spi_recipe_fields, "", out);
    document_layers(out);
}
