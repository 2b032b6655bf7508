/* Parameters that differ from neuron to neuron. A factor of each neuron's input goes into the weights before
 * it, or becomes a convolution of each channel by itself. */
#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "nir/walk.h"

sp_status spi_nir_numbers(spi_nir_walk *w, const char *key, double otherwise, spi_nir_each *out)
{
    const sp_nir_value *v = sp_nir_find(w->node, key);
    const int64_t neurons = w->at.c * w->at.h * w->at.w;
    *out = (spi_nir_each){.x = NULL, .one = otherwise};
    if (!v && !isnan(otherwise))
        return SP_OK;
    SP_TRY(spi_nir_need(w, key, &v));
    if (v->n < 1)
        return spi_nir_refuse(w, "\"%s\" is empty", key);
    out->one = v->x[0];
    for (int64_t i = 0; i < v->n; i++) {
        if (!isfinite(v->x[i]))
            return spi_nir_refuse(w, "\"%s\" has a number that is not finite", key);
        if (v->x[i] < out->one || v->x[i] > out->one)
            out->x = v->x;
    }
    return out->x && v->n != neurons ? spi_nir_refuse(w, "\"%s\" has %lld numbers for %lld neurons", key,
                                                      (long long)v->n, (long long)neurons)
                                     : SP_OK;
}

double spi_nir_of(const spi_nir_each *e, int64_t neuron)
{
    return e->x ? e->x[neuron] : e->one;
}

/* One number for each channel; a layer has no other. */
sp_status spi_nir_by_channel(spi_nir_walk *w, const char *what, const double *x, double *out)
{
    const int64_t places = w->at.h * w->at.w;
    for (int64_t c = 0; c < w->at.c; c++) {
        out[c] = x[c * places];
        for (int64_t i = c * places; i < (c + 1) * places; i++)
            if (x[i] < out[c] || x[i] > out[c])
                return spi_nir_refuse(w,
                                      "%s differs within channel %lld (%g, %g); a layer has one number for "
                                      "each channel",
                                      what, (long long)c, out[c], x[i]);
    }
    return SP_OK;
}

static void multiply_rows(sp_tensor *t, const double *by, int64_t rows)
{
    float *x = (float *)(uintptr_t)t->data;
    const int64_t n = sp_tensor_elems(t) / rows;
    for (int64_t i = 0; i < rows * n; i++)
        x[i] = (float)((double)x[i] * by[i / n]);
}

sp_status spi_nir_scale_channels(spi_nir_walk *w, const double *by)
{
    const int64_t c = w->at.c, shape[4] = {c, 1, 1, 1};
    const spi_nir_shape at = w->at;
    for (size_t i = at.weights; i > 0 && i <= w->out->n_tensors; i++) /* a weight, perhaps a bias */
        multiply_rows(&w->out->tensors[i - 1], by, c);
    if (at.weights)
        return SP_OK;
    if (at.flat)
        return spi_nir_refuse(w, "its parameters differ from neuron to neuron, and a Flatten node stands "
                                 "before it; a Linear or Conv node can take them up");
    spi_nir_layer(w, "conv, out: %lld, kernel: 1, groups: %lld, bias: false", (long long)c, (long long)c);
    w->at = at;
    w->at.spikes = false;
    float *x = spi_nir_tensor(w, "weight", 4, shape);
    for (int64_t i = 0; x && i < c; i++)
        x[i] = (float)by[i];
    return x ? SP_OK : spi_nir_memory(w);
}
