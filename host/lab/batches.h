/* Mini-batches of a recipe's data, in the order of training, for tools that run their own step on each. */
#ifndef SP_LAB_BATCHES_H
#define SP_LAB_BATCHES_H

#include "data/loader.h"
#include "train/session.h"

/* One mini-batch, ready to be run; e->backprop is the caller's. */
typedef sp_status (*sp_batch_step)(void *ctx, sp_exec_batch *e, const sp_batch *b, sp_error *err);

/* So many mini-batches of the session's training data; epochs follow one another. stop may be NULL. */
sp_status sp_batches_run(sp_session *s, const sp_dataset *ds, int64_t n, const volatile int *stop,
                         sp_batch_step step, void *ctx, sp_error *err);

#endif
