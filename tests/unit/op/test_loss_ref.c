/* The loss family's C references: check values of the paper's losses, gradients against finite differences,
 * accuracy rules. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>
#include "op/op.h"

enum { N_MAX = 4, K_MAX = 100 };

static sp_op_call loss_call(int64_t N, int64_t K, double a, int one_hot)
{
    sp_op_call c = sp_op_call_make("loss");
    sp_call_set_int(&c, "N", N);
    sp_call_set_int(&c, "K", K);
    sp_call_set_float(&c, "w_t", 1);
    sp_call_set_float(&c, "w_g", 1);
    sp_call_set_float(&c, "gain", 1);
    sp_call_set_float(&c, "w_ce", 1 - a);
    sp_call_set_float(&c, "w_mse", a);
    sp_call_set_float(&c, "mse_target", 1);
    sp_call_set_flag(&c, "ONE_HOT", one_hot);
    return c;
}

/* Losses of the SLTT paper's public code at all-zero logits, a = 0.05 (measured with PyTorch). */
Test(loss_ref, check_values_at_zero_logits)
{
    static const struct {
        int K, one_hot;
        double loss;
    } golden[] = {{10, 0, 2.237456}, {10, 1, 2.192456}, {11, 0, 2.328001}, {100, 0, 4.424912}};
    for (size_t i = 0; i < 4; i++) {
        float logits[N_MAX * K_MAX] = {0}, g[N_MAX * K_MAX], loss[N_MAX] = {0};
        const int32_t labels[N_MAX] = {0, 3, 9, 5};
        sp_op_call c = loss_call(N_MAX, golden[i].K, 0.05, golden[i].one_hot);
        void *buf[] = {logits, (void *)labels, NULL, g, loss};
        c.op->reference(&c, buf);
        for (int n = 0; n < N_MAX; n++)
            cr_assert_float_eq((double)loss[n], golden[i].loss, 1e-6, "K %d: %g", golden[i].K,
                               (double)loss[n]);
    }
}

/* The gradient is that of the mean over the batch, also when a sample of it is padding. */
Test(loss_ref, gradient_is_the_derivative_of_the_batch_mean)
{
    enum { N = 3, K = 4 };
    const int32_t labels[N] = {2, -1, 0};
    for (int one_hot = 0; one_hot < 2; one_hot++) {
        float logits[N * K] = {0.5f, -1, 2, 0.25f, 9, 9, 9, 9, -3, 1, 0.75f, 1.5f}, g[N * K], loss[N],
                         scratch[N * K];
        sp_op_call c = loss_call(N, K, 0.25, one_hot);
        void *buf[] = {logits, (void *)labels, NULL, g, loss},
             *probe[] = {logits, (void *)labels, NULL, scratch, loss};
        sp_call_set_float(&c, "w_t", 0.125);
        sp_call_set_float(&c, "w_g", 0.125);
        memset(loss, 0, sizeof loss);
        c.op->reference(&c, buf);
        cr_assert_float_eq((double)loss[1], 0, 0, "padding has no loss");
        for (int i = 0; i < N * K; i++) {
            double side[2];
            float keep = logits[i];
            for (int s = 0; s < 2; s++) {
                logits[i] = keep + (s ? 0.03125f : -0.03125f);
                memset(loss, 0, sizeof loss);
                c.op->reference(&c, probe);
                side[s] = ((double)loss[0] + (double)loss[1] + (double)loss[2]) / N;
            }
            logits[i] = keep;
            cr_assert_float_eq((double)g[i], (side[1] - side[0]) / 0.0625, 2e-5, "g[%d] = %g, difference %g",
                               i, (double)g[i], (side[1] - side[0]) / 0.0625);
        }
    }
}

Test(loss_ref, adds_up_and_survives_large_logits)
{
    float logits[] = {1000, 0, -1000, 88}, g[4], loss[2] = {0.5f, 0.25f};
    const int32_t labels[] = {1, 7}; /* 7 is outside 0..1: padding too */
    sp_op_call c = loss_call(2, 2, 0, 0);
    void *buf[] = {logits, (void *)labels, NULL, g, loss};
    c.op->reference(&c, buf);
    cr_assert_float_eq((double)loss[0], 1000.5, 0);
    cr_assert_float_eq((double)loss[1], 0.25, 0);
    cr_assert_float_eq((double)g[0], 0.5, 0);
    cr_assert_float_eq((double)g[1], -0.5, 0);
    cr_assert(g[2] == 0 && g[3] == 0);
}

/* torch.nn.functional.cross_entropy(z, y, weight, reduction="none", label_smoothing=0.1) for z = [1, -2,
 * 0.5], weight = [2, 0.5, 1], and its gradient; of spike counts, z = 4 * sum / 3, in time step 3 of 4. */
Test(loss_ref, smoothing_class_weights_and_sums_are_pytorchs)
{
    static const float weights[] = {2, 0.5f, 1};
    static const double loss[2] = {1.0338107295, 1.0296735174},
                        g[2][3] = {{-0.7094812824, 0.0409462012, 0.6685350812},
                                   {0.5471447111, 0.0138932024, -0.5610379134}};
    for (int total = 0; total < 2; total++) {
        float logits[] = {1, -2, 0.5f, 0.75f, -1.5f, 0.375f}, got[6], sum[2] = {0, 0};
        const int32_t labels[] = {0, 2};
        sp_op_call c = loss_call(1, 3, 0, 0);
        sp_call_set_int(&c, "N", 2);
        sp_call_set_float(&c, "smoothing", 0.1);
        sp_call_set_flag(&c, "WEIGHTED", 1), sp_call_set_flag(&c, "TOTAL", total);
        if (total) { /* both rows are the same z then */
            for (int k = 0; k < 3; k++)
                logits[k] *= 0.75f;
            sp_call_set_float(&c, "gain", 4);
            sp_call_set_int(&c, "time_step", 3);
        } else {
            memcpy(logits + 3, logits, 3 * sizeof *logits);
        }
        for (int last = 0; last < 2; last++) {
            sp_call_set_float(&c, "steps", last ? 3 : 4);
            c.op->reference(&c, (void *[]){logits, (void *)(uintptr_t)labels, (void *)(uintptr_t)weights, got,
                                           sum});
            for (int n = 0; n < 2; n++)
                cr_assert_float_eq((double)sum[n], total ? last * loss[n] : (1 + last) * loss[n], 1e-6);
        }
        for (int i = 0; i < 6; i++)
            cr_assert_float_eq((double)got[i], g[i / 3][i % 3] / 2, 1e-6, "%d: %g", i, (double)got[i]);
    }
}

/* Counts of 1 and 3 spikes in 4 time steps, of 4 in all and of 5: d = 1/4 - 1, 3/4 - 1/2, 1/4 - 0, 3/4 - 0.
 */
Test(loss_ref, the_loss_of_a_layer_is_the_distance_of_its_rate_from_the_target)
{
    static const float count[] = {1, 3, 1, 3}, target[] = {3, 1, -1, 0}, d[] = {-0.75f, 0.25f, 0.25f, 0.75f};
    float norm = 2, g[4], loss[] = {0.5f, 0};
    sp_op_call c = sp_op_call_make("loss.local");
    void *buf[] = {(void *)(uintptr_t)count, (void *)(uintptr_t)target, &norm, g, loss};
    sp_call_set_int(&c, "N", 2), sp_call_set_int(&c, "M", 1), sp_call_set_int(&c, "C", 2);
    sp_call_set_int(&c, "time_step", 4);
    sp_call_set_float(&c, "w_g", 0.25), sp_call_set_float(&c, "w_t", 1), sp_call_set_float(&c, "steps", 5);
    for (int last = 0; last < 2; last++) {
        c.op->reference(&c, buf);
        for (int i = 0; i < 4; i++)
            cr_assert_float_eq((double)g[i], 2 * 0.25 * (double)d[i] / 4, 1e-7, "%d: %g", i, (double)g[i]);
        cr_assert_float_eq((double)loss[0], 0.5 + last * 0.3125, 1e-7);
        cr_assert_float_eq((double)loss[1], last * 0.3125, 1e-7);
        sp_call_set_float(&c, "steps", 4);
    }
    norm = 0; /* most outputs of the teacher are 0: those above it are as large as can be */
    c.op->reference(&c, buf);
    cr_assert_float_eq((double)g[1], 2 * 0.25 * (0.75 - 1) / 4, 1e-7);
    cr_assert_float_eq((double)g[3], 2 * 0.25 * 0.75 / 4, 1e-7);
    static const float none[4] = {0, 0, -0.0f, 0}; /* all are 0: neurons are to be silent */
    buf[1] = (void *)(uintptr_t)none;
    c.op->reference(&c, buf);
    for (int i = 0; i < 4; i++)
        cr_assert_float_eq((double)g[i], 2 * 0.25 * (double)count[i] / 4 / 4, 1e-7, "%d: %g", i,
                           (double)g[i]);
}

Test(loss_ref, accumulate_starts_over_at_first)
{
    float logits[] = {1, 2}, sum[] = {NAN, NAN};
    sp_op_call c = sp_op_call_make("logits.accumulate");
    void *buf[] = {logits, sum};
    sp_call_set_int(&c, "N", 1);
    sp_call_set_int(&c, "K", 2);
    sp_call_set_int(&c, "first", 1);
    c.op->reference(&c, buf);
    sp_call_set_int(&c, "first", 0);
    c.op->reference(&c, buf);
    cr_assert(sum[0] == 2 && sum[1] == 4);
}

Test(loss_ref, correct_takes_the_first_largest)
{
    enum { N = 7, K = 3 };
    const float sum[N * K] = {1, 2,   0,   5,   5, 1, 5, 5,         1,         NAN,      1,
                              2, NAN, NAN, NAN, 1, 2, 3, -INFINITY, -INFINITY, -INFINITY};
    const int32_t labels[N] = {1, 0, 1, 2, 0, -1, 0};
    const uint32_t expected[N] = {1, 1, 0, 1, 0, 0, 1};
    uint32_t correct[N];
    sp_op_call c = sp_op_call_make("metrics.correct");
    void *buf[] = {(void *)sum, (void *)labels, correct};
    sp_call_set_int(&c, "N", N);
    sp_call_set_int(&c, "K", K);
    c.op->reference(&c, buf);
    for (int n = 0; n < N; n++)
        cr_assert_eq(correct[n], expected[n], "sample %d", n);
}

/* Values of PyTorch's mse_loss and binary_cross_entropy_with_logits, and gradients by differences. */
Test(loss_ref, rows_of_targets)
{
    enum { N = 3, K = 2 };
    static const double expected[2][N] = {{0.625, 0, 15.03125}, {0.25733748, 0, 0.15025822}};
    const int32_t labels[N] = {0, -1, 0};
    const float weights[K] = {0.5f, 2};
    const float targets[2][N * K] = {{0, 1, 0, 0, -1, 2.5f}, {0, 1, 0, 0, 1, 0}};
    for (int weighted = 0; weighted < 2; weighted++)
        for (int bce = 0; bce < 2; bce++) {
            float logits[N * K] = {-1, 1.5f, 9, 9, 3, -1.25f}, g[N * K], loss[N] = {0}, scratch[N * K];
            sp_op_call c = sp_op_call_make("loss.targets");
            sp_call_set_int(&c, "N", N), sp_call_set_int(&c, "K", K);
            sp_call_set_float(&c, "w_t", 1), sp_call_set_float(&c, "w_g", 1),
                sp_call_set_float(&c, "gain", 1);
            sp_call_set_flag(&c, "BCE", bce), sp_call_set_flag(&c, "WEIGHTED", weighted);
            void *buf[] = {logits,
                           (void *)(uintptr_t)labels,
                           weighted ? (void *)(uintptr_t)weights : NULL,
                           (void *)(uintptr_t)targets[bce],
                           g,
                           loss};
            c.op->reference(&c, buf);
            for (int n = 0; n < N && !weighted; n++)
                cr_assert_float_eq((double)loss[n], expected[bce][n], 1e-6, "%d: %.8g", n, (double)loss[n]);
            buf[4] = scratch;
            for (int i = 0; i < N * K; i++) {
                double side[2];
                float keep = logits[i];
                for (int s = 0; s < 2; s++) {
                    logits[i] = keep + (s ? 0.0078125f : -0.0078125f);
                    memset(loss, 0, sizeof loss);
                    c.op->reference(&c, buf);
                    side[s] = ((double)loss[0] + (double)loss[1] + (double)loss[2]) / N;
                }
                logits[i] = keep;
                cr_assert_float_eq((double)g[i], (side[1] - side[0]) / 0.015625, 2e-4, "g[%d] = %g", i,
                                   (double)g[i]);
            }
        }
}

Test(loss_ref, a_match_is_every_label)
{
    enum { N = 4, K = 2 };
    const float sum[N * K] = {1, -1, 1, -1, 0, 2, NAN, -1}, targets[N * K] = {1, 0, 1, 1, 0, 0.5f, 0, 0};
    const uint32_t expected[N] = {1, 0, 1, 0};
    uint32_t correct[N];
    sp_op_call c = sp_op_call_make("metrics.match");
    sp_call_set_int(&c, "N", N), sp_call_set_int(&c, "K", K);
    c.op->reference(&c, (void *[]){(void *)(uintptr_t)sum, (void *)(uintptr_t)targets, correct});
    for (int n = 0; n < N; n++)
        cr_assert_eq(correct[n], expected[n], "sample %d", n);
}
