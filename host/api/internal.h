/* Inside api/: what contexts and networks are, and the frame of every call. */
#ifndef SP_API_INTERNAL_H
#define SP_API_INTERNAL_H

#include <pthread.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/scope.h"
#include "spikeport/spikeport.h"
#include "train/predict.h"
#include "train/train.h"

struct sp_context {
    sp_scope scope;
    char *texts[SP_SCOPE_SETTINGS + 2]; /* copies of the options' */
    size_t n_texts;
    const char *programs, *plugin_path;
    char **plugins;
    size_t n_plugins;
    bool no_wisdom;
    sp_device *dev;
    pid_t pid;
    pthread_mutex_t lock; /* guards what follows; held for moments only */
    pthread_t owner;      /* thread inside the context, where depth > 0 */
    int depth;
    int handles;  /* networks, and the context's own */
    sp_net *dead; /* closed while a call was running; it destroys them when it ends */
};

struct sp_net {
    sp_context *ctx;
    sp_session *s;
    char *recipe; /* printed */
    float *x;     /* a mini-batch in the device's layout; page-aligned */
    size_t x_room;
    /* training on batches of the caller's */
    sp_replicas *replicas;
    sp_progress p;
    double lr;
    bool fitting;      /* sp_net_train is running */
    bool has_gradient; /* something was trained */
    /* a loss of the caller's */
    sp_plan *own[2]; /* all time steps, and one after the other; NULL: not used yet */
    uint8_t *mask;
    int64_t forwards;
    bool awaits_backward;
    bool stepping; /* between sp_net_begin_steps and sp_net_end_steps */
    int step;      /* time steps that have run since */
    sp_net *next;  /* in ctx->dead */
};

/* A call on a context: `st = spi_enter(...)`, and spi_leave when it was SP_OK. */
typedef struct spi_call {
    sp_context *ctx;
    const sp_scope *before;
} spi_call;
sp_status spi_enter(sp_context *ctx, spi_call *call, sp_error *err);
void spi_leave(spi_call *call);
void spi_net_destroy(sp_net *net); /* inside a call */

/* In a public function: an argument that must not be NULL. */
#define SPI_NEEDS(argument, err)                                                                             \
    do {                                                                                                     \
        if (!(argument))                                                                                     \
            return SP_FAIL(err, SP_E_USAGE, "%s: the argument %s is NULL", __func__, #argument);             \
    } while (0)

/* The body of a public function on a network: `call` is made inside the context. err may be NULL. */
#define SPI_ON_NET(net, err, expr)                                                                           \
    sp_error spi_local_ = {0};                                                                               \
    spi_call spi_call_;                                                                                      \
    err = err ? err : &spi_local_;                                                                           \
    if (!(net))                                                                                              \
        return SP_FAIL(err, SP_E_USAGE, "%s: the network is NULL: never opened, or closed", __func__);       \
    SP_TRY(spi_enter((net)->ctx, &spi_call_, err));                                                          \
    sp_status spi_st_ = (expr);                                                                              \
    spi_leave(&spi_call_);                                                                                   \
    return spi_st_

/* Options of a caller's size into a struct of ours that is zero behind them. */
sp_status spi_take_struct(const char *name, const void *from, uint32_t from_size, void *to, size_t to_size,
                          sp_error *err);
/* A struct of ours to a caller's of another size. out_size is the struct_size that the caller has set. */
sp_status spi_give_struct(const char *name, void *from, size_t from_size, void *out, sp_error *err);

/* That none of a caller's n texts is NULL. */
sp_status spi_check_texts(const char *name, const char *const *texts, size_t n, sp_error *err);

/* Between PyTorch's layout and the device's, `images` of [c][hw]. */
void spi_to_device_layout(const float *chw, float *hwc, int64_t images, int64_t c, int64_t hw);
void spi_to_file_layout(const float *hwc, float *chw, int64_t images, int64_t c, int64_t hw);

/* n samples from number `first` of the caller's `all` samples, as a mini-batch of `batch` for the device; the
 * rest repeats the first one. *out is x itself where the layouts are the same. Numbers must be finite. */
sp_status spi_take_batch(sp_net *net, const float *x, size_t all, size_t first, size_t n, size_t batch,
                         const float **out, sp_error *err);
/* That x has the shape of n samples. */
sp_status spi_check_input(const sp_net *net, const float *x, size_t count, size_t n, sp_error *err);
sp_status spi_check_batch(const sp_net *net, const float *x, size_t count, size_t n, sp_error *err);
/* The network between steps: nothing else is running, no backward pass is owed (it is dropped). */
sp_status spi_begin_step(sp_net *net, bool training, sp_error *err);

/* A data set that reads through the caller's function. data is copied. */
sp_status spi_data_open(const sp_net *net, const sp_data *data, const char *name, sp_dataset **out,
                        sp_error *err);

#endif
