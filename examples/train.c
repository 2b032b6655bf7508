/* Trains a small spiking network on arrays of this program, and predicts with it: is the bright half of an
 * image the left one or the right one?
 *   cc train.c $(pkg-config --cflags --libs spikeport) -o train && ./train model.safetensors */
#include <spikeport/spikeport.h>
#include <stdio.h>
#include <stdlib.h>

enum { BATCH = 32, SIDE = 8, PIXELS = SIDE * SIDE, STEPS = 60 };
static const char recipe[] = "data: {name: synthetic, channels: 1, height: 8, width: 8, classes: 2}\n"
                             "schedule: {method: sltt, time_steps: 4}\n"
                             "optimizer: {name: sgd, lr: 0.1, momentum: 0.9}\n"
                             "batch: 32\n"
                             "network: [{type: flatten}, {type: linear, out: 32}, {type: lif}, {type: "
                             "linear, out: 2}]\n";
static float x[BATCH * PIXELS], logits[BATCH][2];
static int32_t labels[BATCH];

static void make_batch(void)
{
    for (int i = 0; i < BATCH; i++) {
        labels[i] = rand() % 2;
        for (int p = 0; p < PIXELS; p++)
            x[i * PIXELS + p] = (p % SIDE >= SIDE / 2) == labels[i] ? 1.0f : 0.2f * (float)(rand() % 5);
    }
}

int main(int argc, char **argv)
{
    sp_error err = {0};
    sp_context *ctx = NULL;
    sp_net *net = NULL;
    sp_train_result r = {.struct_size = sizeof r};
    const sp_forward_outputs out = {.struct_size = sizeof out, .logits = logits[0]};
    int right = 0;
    sp_status st = sp_context_create(NULL, &ctx, &err);
    if (st == SP_OK)
        st = sp_net_parse(ctx, recipe, NULL, &net, &err);
    for (int i = 0; i < STEPS && st == SP_OK; i++) {
        make_batch();
        st = sp_net_step(net, x, BATCH * PIXELS, labels, BATCH, &r, &err);
    }
    make_batch();
    if (st == SP_OK)
        st = sp_net_forward(net, x, BATCH * PIXELS, BATCH, &out, &err);
    for (int i = 0; i < BATCH; i++)
        right += (logits[i][1] > logits[i][0]) == labels[i];
    if (st == SP_OK)
        printf("after %lld steps: loss %.3f; %d of %d new images are right\n", (long long)r.iteration, r.loss,
               right, BATCH);
    if (st == SP_OK && argc > 1)
        st = sp_net_save(net, argv[1], &err);
    if (st != SP_OK)
        fprintf(stderr, "%s: %s\n", sp_status_name(st), err.text);
    sp_net_close(&net);
    sp_context_destroy(&ctx);
    return sp_status_exit_code(st);
}
