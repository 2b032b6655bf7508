/* What a run of a plan changes and training goes on from: running statistics of batch norms, and the spike
 * counters of the training plan. Read before runs that only look, written back after them. */
#ifndef SP_TRAIN_KEPT_STATE_H
#define SP_TRAIN_KEPT_STATE_H

#include "train/session.h"

typedef struct sp_kept_state {
    float *statistics;
    uint32_t *counters; /* [node][64] */
} sp_kept_state;

sp_status sp_kept_state_init(const sp_session *s, sp_kept_state *k, sp_error *err);
void sp_kept_state_fini(sp_kept_state *k);
sp_status sp_kept_state_read(sp_kept_state *k, sp_session *s, sp_error *err);
sp_status sp_kept_state_write(const sp_kept_state *k, sp_session *s, sp_error *err);

#endif
