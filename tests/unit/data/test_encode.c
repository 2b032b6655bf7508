/* Still images as spike trains. */
#include "event_support.h"
#include <math.h>
#include "data/readers.h"

static sp_dataset *open_encoded(sp_dataset_options o)
{
    sp_dataset *ds = NULL;
    sp_error err = {0};
    o.name = "synthetic";
    cr_assert_eq(sp_dataset_open(&o, &ds, &err), SP_OK, "%s", err.text);
    return ds;
}

static void read_sample(const sp_dataset *ds, size_t i, uint64_t epoch, float *x, int32_t *label)
{
    sp_error err = {0};
    cr_assert_eq(ds->get(ds, (sp_sample_request){.index = i, .epoch = epoch}, x, label, &err), SP_OK, "%s",
                 err.text);
}

enum { SIDE = 12, ITEMS = SIDE * SIDE * 2, T = 400 };
static const sp_dataset_options still = {
    .channels = 2, .height = SIDE, .width = SIDE, .count = 20, .train = 1, .seed = 9};

Test(encode, rate_is_the_pixel)
{
    static float image[ITEMS], spikes[T * ITEMS], again[T * ITEMS];
    sp_dataset_options o = still;
    sp_dataset *plain = open_encoded(still), *rate;
    int32_t label, spike_label;
    double worst = 0.0;
    o.encoding = SP_ENCODE_RATE;
    o.time_steps = T;
    rate = open_encoded(o);
    cr_assert(rate->info.frames == T && rate->info.channels == 2 && rate->info.count == 20 &&
              rate->info.classes == 10);
    cr_assert_str_eq(rate->info.name, "synthetic");
    read_sample(plain, 3, 0, image, &label);
    read_sample(rate, 3, 5, spikes, &spike_label);
    cr_assert_eq(label, spike_label);
    for (int k = 0; k < ITEMS; k++) {
        double sum = 0.0, v = (double)image[k], sigma;
        for (int t = 0; t < T; t++) {
            cr_assert(spikes[t * ITEMS + k] == 0.0f || spikes[t * ITEMS + k] == 1.0f);
            sum += (double)spikes[t * ITEMS + k];
        }
        sigma = sqrt(v * (1.0 - v) / T) + 1e-9;
        worst = fmax(worst, fabs(sum / T - v) / sigma);
        if (v == 0.0 || v == 1.0)
            cr_assert_eq(sum, v * T);
    }
    cr_assert(worst < 4.5, "%g standard deviations", worst);
    read_sample(rate, 3, 5, again, &label);
    cr_assert_arr_eq(spikes, again, sizeof spikes);
    read_sample(rate, 3, 6, again, &label);
    cr_assert_neq(memcmp(spikes, again, sizeof spikes), 0, "another epoch draws anew");
    read_sample(rate, 13, 5, again, &label);
    cr_assert_neq(memcmp(spikes, again, sizeof spikes), 0);
    sp_dataset_close(&rate);
    o.seed = 10; /* also of the patterns; enough that it differs */
    rate = open_encoded(o);
    read_sample(rate, 3, 5, again, &label);
    cr_assert_neq(memcmp(spikes, again, sizeof spikes), 0);
    sp_dataset_close(&rate);
    sp_dataset_close(&plain);
}

Test(encode, latency_is_the_brightness)
{
    for (int frames = 1; frames <= 9; frames += 4) {
        static float image[ITEMS], spikes[9 * ITEMS];
        sp_dataset_options o = still;
        sp_dataset *plain = open_encoded(still), *latency;
        int32_t label;
        o.encoding = SP_ENCODE_LATENCY;
        o.frames = frames;
        o.time_steps = 77; /* frames goes first */
        latency = open_encoded(o);
        cr_assert_eq(latency->info.frames, frames);
        for (size_t i = 0; i < 20; i++) {
            read_sample(plain, i, 0, image, &label);
            read_sample(latency, i, 1, spikes, &label);
            for (int k = 0; k < ITEMS; k++) {
                int n = 0, at = -1;
                for (int t = 0; t < frames; t++) {
                    if (spikes[t * ITEMS + k] == 1.0f)
                        n++, at = t;
                    else
                        cr_assert_eq(spikes[t * ITEMS + k], 0.0f);
                }
                cr_assert_eq(n, image[k] > 0.0f ? 1 : 0);
                if (n)
                    cr_assert(fabsf((float)at - (float)(frames - 1) * (1.0f - image[k])) <= 0.5001f);
            }
        }
        sp_dataset_close(&plain);
        sp_dataset_close(&latency);
    }
}

Test(encode, refuses_what_is_not_a_picture_in_0_to_1)
{
    static const struct {
        sp_dataset_options o;
        const char *expect;
    } cases[] = {
        {{.name = "synthetic", .encoding = SP_ENCODE_RATE}, "0 frames"},
        {{.name = "synthetic", .time_steps = 5000, .encoding = SP_ENCODE_RATE}, "5000 frames"},
        {{.name = "synthetic", .time_steps = 4, .mean = 0.5, .encoding = SP_ENCODE_LATENCY}, "mean and std"},
        {{.name = "synthetic", .time_steps = 4, .std = 2.0, .encoding = SP_ENCODE_LATENCY}, "mean and std"},
        {{.name = "synthetic", .time_steps = 4, .n_means = 1, .means = {0.1}, .encoding = SP_ENCODE_LATENCY},
         "mean and std"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sp_dataset *ds = NULL;
        sp_error err = {0};
        cr_assert_eq(sp_dataset_open(&cases[i].o, &ds, &err), SP_E_CONFIG, "%zu", i);
        cr_assert_null(ds);
        cr_assert_not_null(strstr(err.text, cases[i].expect), "no \"%s\" in \"%s\"", cases[i].expect,
                           err.text);
    }
}

Test(encode, refuses_sequences)
{
    sp_dataset_options o = {.name = "synthetic", .frames = 4, .std = 1.0, .encoding = SP_ENCODE_NONE};
    sp_dataset *ds = NULL, *before;
    sp_error err = {0};
    cr_assert_eq(sp_dataset_open(&o, &ds, &err), SP_OK, "%s", err.text);
    before = ds;
    o.encoding = SP_ENCODE_RATE;
    cr_assert_eq(sp_encode_wrap(&o, &ds, &err), SP_E_CONFIG);
    cr_assert_not_null(strstr(err.text, "sequences already"), "%s", err.text);
    cr_assert_eq(ds, before);
    sp_dataset_close(&ds);
}

Test(encode, survives_every_failing_allocation)
{
    int64_t k = 0;
    sp_status st;
    do {
        sp_dataset_options o = still;
        sp_dataset *ds = NULL;
        sp_error err = {0};
        o.name = "synthetic";
        o.encoding = SP_ENCODE_RATE;
        o.time_steps = 3;
        sp_mem_fail_at(++k);
        st = sp_dataset_open(&o, &ds, &err);
        sp_mem_fail_at(0);
        cr_assert(st == SP_OK || (err.text[0] && !ds));
        sp_dataset_close(&ds);
    } while (st != SP_OK && k < 100);
    cr_assert(k > 4 && k < 100);
}
