/* Several runs in one picture. */
#include <math.h>
#include <stdio.h>

#include "base/error.h"
#include "base/mem.h"
#include "plot/picture.h"
#include "train/curves.h"
#include "train/train.h"

/* Mean of a window around each point: the loss of single mini-batches hides which run is lower. */
static void smooth(spi_points *p, double *out)
{
    size_t half = p->n / 60;
    for (size_t i = 0; i < p->n; i++) {
        size_t from = i > half ? i - half : 0, to = i + half < p->n ? i + half + 1 : p->n;
        double sum = 0;
        for (size_t k = from; k < to; k++)
            sum += p->y[k];
        out[i] = sum / (double)(to - from);
    }
}

static sp_status draw(const char *path, const char *title, spi_curves *c, const char *const *names, size_t n,
                      sp_error *err)
{
    sp_series accuracy[SP_COMPARE_RUNS], test_loss[SP_COMPARE_RUNS], loss[SP_COMPARE_RUNS];
    double *smoothed[SP_COMPARE_RUNS] = {NULL};
    char *first = sp_format("%.60s: test accuracy", title);
    sp_status st = first ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory for the curves");
    for (size_t i = 0; i < n && st == SP_OK; i++) {
        smoothed[i] = sp_alloc_array(c[i].loss.n + 1, sizeof(double));
        if (!smoothed[i]) {
            st = SP_FAIL(err, SP_E_MEMORY, "out of memory for the curves");
            break;
        }
        smooth(&c[i].loss, smoothed[i]);
        accuracy[i] = (sp_series){names[i], c[i].test_accuracy.x, c[i].test_accuracy.y, c[i].test_accuracy.n};
        test_loss[i] = (sp_series){names[i], c[i].test_loss.x, c[i].test_loss.y, c[i].test_loss.n};
        loss[i] = (sp_series){names[i], c[i].loss.x, smoothed[i], c[i].loss.n};
    }
    if (st == SP_OK) {
        sp_panel panels[] = {{first, "epoch", "accuracy in %", accuracy, n, NAN, NAN},
                             {"test loss", "epoch", "mean loss over T", test_loss, n, NAN, NAN},
                             {"training loss, smoothed", "epoch", "mean loss over T", loss, n, NAN, NAN}};
        st = sp_chart_write(path, panels, 3, 560, 400, err);
    }
    for (size_t i = 0; i < n; i++)
        sp_free(smoothed[i]);
    sp_free(first);
    return st;
}

sp_status sp_curves_compare(const char *path, const char *title, const char *const *folders,
                            const char *const *names, size_t n, sp_error *err)
{
    if (n == 0 || n > SP_COMPARE_RUNS)
        return SP_FAIL(err, SP_E_CONFIG, "%zu runs; a picture holds 1 to %d", n, SP_COMPARE_RUNS);
    spi_curves c[SP_COMPARE_RUNS] = {0};
    sp_status st = SP_OK;
    for (size_t i = 0; i < n && st == SP_OK; i++)
        st = spi_curves_read(&c[i], folders[i], err);
    if (st == SP_OK)
        st = draw(path, title, c, names, n, err);
    for (size_t i = 0; i < n; i++)
        spi_curves_free(&c[i]);
    return st;
}
