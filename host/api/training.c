/* Training on mini-batches of the caller: the step of `spikeport train`, its checkpoints and learning rates.
 */
#include <math.h>
#include <string.h>

#include "api/internal.h"

static sp_status check_labels(const sp_net *net, const int32_t *labels, size_t n, sp_error *err)
{
    const int64_t k = net->s->graph->classes;
    if (!labels)
        return SP_FAIL(err, SP_E_USAGE, "labels are NULL");
    for (size_t i = 0; i < n; i++)
        if (labels[i] < 0 || labels[i] >= k)
            return SP_FAIL(err, SP_E_USAGE,
                           "label %d of sample %zu is not from 0 to %lld, the network's outputs", labels[i],
                           i + 1, (long long)k - 1);
    return SP_OK;
}

static sp_status check_targets(const sp_net *net, const float *targets, size_t n, sp_error *err)
{
    const size_t k = (size_t)net->s->graph->classes;
    const bool labels = net->s->recipe.loss == SP_LOSS_BCE;
    if (!targets)
        return SP_FAIL(err, SP_E_USAGE, "targets are NULL");
    for (size_t i = 0; i < n * k; i++)
        if (!isfinite(targets[i]) || (labels && (targets[i] < 0 || targets[i] > 1)))
            return SP_FAIL(err, SP_E_USAGE, "target %g of sample %zu, output %zu, is not %s",
                           (double)targets[i], i / k + 1, i % k, labels ? "from 0 to 1" : "finite");
    return SP_OK;
}

/* Labels, or where the loss is of rows of numbers, targets. */
static sp_status check_answers(const sp_net *net, const int32_t *labels, const float *targets, size_t n,
                               bool rows, sp_error *err)
{
    if (rows != (net->s->recipe.loss != SP_LOSS_CROSS_ENTROPY))
        return SP_FAIL(err, SP_E_USAGE, "the network's loss.name is %s: call sp_net_step%s",
                       rows ? "cross_entropy, which takes labels" : "mse or bce, which take targets",
                       rows ? "" : "_targets");
    return rows ? check_targets(net, targets, n, err) : check_labels(net, labels, n, err);
}

static sp_status step(sp_net *net, const float *x, size_t count, const int32_t *labels, const float *targets,
                      size_t n, sp_train_result *out, sp_error *err)
{
    sp_step_result r = {0};
    SP_TRY(spi_begin_step(net, true, err));
    SP_TRY(spi_check_batch(net, x, count, n, err));
    sp_exec_batch e = {.labels = labels,
                       .targets = targets,
                       .iteration = (int32_t)net->p.iteration,
                       .lr = net->lr};
    SP_TRY(spi_take_batch(net, x, n, 0, n, n, &e.images, err));
    sp_status st = sp_train_step(net->replicas, &e, n, NULL, NULL, &r, err);
    if (st != SP_OK) {
        sp_replicas_finish(net->replicas); /* an upload may still read x */
        return st;
    }
    net->has_gradient = true;
    net->p.iteration++;
    net->p.batch++;
    net->p.seen += (int64_t)n;
    net->p.correct += r.correct;
    net->p.loss_sum += r.loss;
    sp_train_result t = {.backprop_steps = (int32_t)r.backprop_steps,
                         .loss = r.loss / (double)n,
                         .accuracy =
                             net->s->recipe.loss == SP_LOSS_MSE ? (double)NAN : (double)r.correct / (double)n,
                         .iteration = net->p.iteration};
    return out ? spi_give_struct("sp_train_result", &t, sizeof t, out, err) : SP_OK;
}

static sp_status step_of(sp_net *net, const float *x, size_t count, const int32_t *labels,
                         const float *targets, size_t n, bool rows, sp_train_result *out, sp_error *err)
{
    int32_t *zeros = rows ? sp_alloc_pages(n, sizeof *zeros) : NULL; /* no sample is padding */
    sp_status st = zeros || !rows ? check_answers(net, labels, targets, n, rows, err)
                                  : SP_FAIL(err, SP_E_MEMORY, "out of memory for a training step");
    if (st == SP_OK)
        st = step(net, x, count, rows ? zeros : labels, targets, n, out, err);
    sp_free(zeros);
    return st;
}

sp_status sp_net_step(sp_net *net, const float *x, size_t count, const int32_t *labels, size_t n,
                      sp_train_result *out, sp_error *err)
{
    SPI_ON_NET(net, err, step_of(net, x, count, labels, NULL, n, false, out, err));
}

sp_status sp_net_step_targets(sp_net *net, const float *x, size_t count, const float *targets, size_t n,
                              sp_train_result *out, sp_error *err)
{
    SPI_ON_NET(net, err, step_of(net, x, count, NULL, targets, n, true, out, err));
}

static sp_status set_lr(sp_net *net, double lr, sp_error *err)
{
    if (!(lr >= 0 && isfinite(lr)))
        return SP_FAIL(err, SP_E_USAGE, "a learning rate of %g is not a number from 0 on", lr);
    net->lr = lr;
    return SP_OK;
}

sp_status sp_net_set_lr(sp_net *net, double lr, sp_error *err)
{
    SPI_ON_NET(net, err, set_lr(net, lr, err));
}

static sp_status get_lr(double value, double *lr)
{
    *lr = value;
    return SP_OK;
}

sp_status sp_net_lr(sp_net *net, double *lr, sp_error *err)
{
    SPI_NEEDS(lr, err);
    SPI_ON_NET(net, err, get_lr(net->lr, lr));
}

static sp_status scheduled_lr(const sp_net *net, int64_t epoch, int64_t batch, int64_t batches, double *lr,
                              sp_error *err)
{
    if (epoch < 0 || batch < 0 || batch >= batches)
        return SP_FAIL(err, SP_E_USAGE,
                       "there is no mini-batch %lld of %lld in epoch %lld; both are counted from 0",
                       (long long)batch, (long long)batches, (long long)epoch);
    return get_lr(sp_recipe_lr(&net->s->recipe, &net->p.measured, epoch, batch, batches), lr);
}

sp_status sp_net_scheduled_lr(sp_net *net, int64_t epoch, int64_t batch, int64_t batches, double *lr,
                              sp_error *err)
{
    SPI_NEEDS(lr, err);
    SPI_ON_NET(net, err, scheduled_lr(net, epoch, batch, batches, lr, err));
}

/* ---- checkpoints ---- */

static sp_status save(sp_net *net, const char *path, sp_error *err)
{
    if (!net->s->train)
        return SP_FAIL(err, SP_E_USAGE,
                       "this network was opened for inference (SP_NET_INFERENCE); sp_net_save "
                       "writes its parameters");
    return sp_checkpoint_save(path, net->s, &net->p, err);
}

sp_status sp_net_save_checkpoint(sp_net *net, const char *path, sp_error *err)
{
    SPI_NEEDS(path, err);
    SPI_ON_NET(net, err, save(net, path, err));
}

static sp_status resume(sp_net *net, const char *path, sp_error *err)
{
    sp_checkpoint c = {0};
    SP_TRY(spi_begin_step(net, true, err));
    SP_TRY(sp_checkpoint_open(path, &c, err));
    sp_status st = sp_checkpoint_restore(&c, net->s, true, err);
    if (st == SP_OK) {
        net->p = c.progress;
        net->p.classes = net->p.fingerprint = net->p.open_line = NULL; /* they are the file's */
    }
    sp_checkpoint_close(&c);
    return st;
}

sp_status sp_net_resume(sp_net *net, const char *path, sp_error *err)
{
    SPI_NEEDS(path, err);
    SPI_ON_NET(net, err, resume(net, path, err));
}
