/* Runs one sample through a trained network and shows when each layer of neurons fires.
 *   cc infer.c $(pkg-config --cflags --libs spikeport) -o infer && ./infer model.safetensors */
#include <spikeport/spikeport.h>
#include <stdio.h>
#include <stdlib.h>

static sp_status show(sp_net *net, const sp_net_info *info, sp_error *err)
{
    sp_layer_info layer = {.struct_size = sizeof layer};
    sp_status st = sp_net_layer_describe(net, 0, &layer, err);
    if (st != SP_OK)
        return st;
    const size_t neurons = (size_t)layer.channels * (size_t)layer.height * (size_t)layer.width;
    const size_t steps = (size_t)info->time_steps, outputs = (size_t)info->outputs;
    const size_t count =
        (size_t)info->channels * (size_t)info->height * (size_t)info->width * (info->sequence ? steps : 1);
    float *x = calloc(count, sizeof *x), *logits = calloc(outputs, sizeof *logits);
    uint8_t *spikes = calloc(steps, neurons);
    const sp_layer_record record = {.layer = layer.name, .spikes = spikes};
    const sp_forward_outputs out = {.struct_size = sizeof out,
                                    .logits = logits,
                                    .records = &record,
                                    .n_records = 1};
    if (x && logits && spikes) {
        for (size_t i = 0; i < count; i++)
            x[i] = (float)(i % (size_t)info->width) / (float)info->width; /* brighter to the right */
        st = sp_net_forward(net, x, count, 1, &out, err);
        for (size_t t = 0; t < steps && st == SP_OK; t++) {
            size_t n = 0;
            for (size_t k = 0; k < neurons; k++)
                n += spikes[t * neurons + k];
            printf("time step %zu: %zu of %zu neurons of layer %s fire\n", t + 1, n, neurons, layer.name);
        }
        for (size_t k = 0; k < outputs && st == SP_OK; k++)
            printf("output %zu: %.3f\n", k, logits[k]);
    }
    free(x), free(logits), free(spikes);
    return st;
}

int main(int argc, char **argv)
{
    sp_error err = {0};
    sp_context *ctx = NULL;
    sp_net *net = NULL;
    sp_net_info info = {.struct_size = sizeof info};
    const sp_net_options options = {.struct_size = sizeof options, .flags = SP_NET_INFERENCE};
    if (argc != 2)
        return fprintf(stderr, "usage: infer MODEL\n"), 2;
    sp_status st = sp_context_create(NULL, &ctx, &err);
    if (st == SP_OK)
        st = sp_net_open(ctx, argv[1], &options, &net, &err);
    if (st == SP_OK)
        st = sp_net_describe(net, &info, &err);
    if (st == SP_OK)
        st = show(net, &info, &err);
    if (st != SP_OK)
        fprintf(stderr, "%s: %s\n", sp_status_name(st), err.text);
    sp_net_close(&net);
    sp_context_destroy(&ctx);
    return sp_status_exit_code(st);
}
