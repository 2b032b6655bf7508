/* A team: sessions of one recipe on several devices (or parts of one) that share each mini-batch. Every
 * member runs its share of the samples; gradients are summed on the host in the order of the members and
 * averaged; the first member's optimizer updates, and its weights go to the others. Batch norms see a share
 * only, and running statistics are the first member's. */
#ifndef SP_TRAIN_TEAM_H
#define SP_TRAIN_TEAM_H

#include "train/session.h"

typedef struct sp_team sp_team;

/* members[0] is the one that is evaluated and saved; all opened with `shares` = n. They stay the caller's.
 * [setup] */
sp_status sp_team_create(sp_session *const *members, size_t n, sp_team **out, sp_error *err);
void sp_team_destroy(sp_team **t);

/* The first member's weights to the others: after they were loaded. */
sp_status sp_team_share_weights(sp_team *t, sp_error *err);

/* As sp_exec_run, _results, _gradients_finite, _update and _spikes of one plan, for a whole mini-batch. [hot]
 */
sp_status sp_team_run(sp_team *t, const sp_exec_batch *batch, sp_error *err);
sp_status sp_team_results(sp_team *t, float *loss, uint32_t *correct, sp_error *err);
sp_status sp_team_gradients_finite(sp_team *t, bool *finite, sp_error *err);
sp_status sp_team_update(sp_team *t, double lr, int64_t n, sp_error *err);
sp_status sp_team_clear_spikes(sp_team *t, sp_error *err);
sp_status sp_team_spikes(sp_team *t, uint64_t *spikes, sp_error *err); /* the sum over the members */
sp_status sp_team_find_nonfinite(sp_team *t, const sp_exec_batch *batch, char *where, size_t where_size,
                                 sp_error *err);
void sp_team_finish(sp_team *t);

#endif
