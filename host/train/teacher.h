/* The teacher of local tandem learning: a trained network of relu or qcfs, whose forward pass before each
 * mini-batch gives the targets of the layers of another. docs/NUMERICS.md, "Local losses". */
#ifndef SP_TRAIN_TEACHER_H
#define SP_TRAIN_TEACHER_H

#include "train/session.h"

/* s->teacher: what the recipe names, as a session on the same device, for the same samples; so: as of `s`. It
 * stays NULL, with a message, where plans are only looked at and there is no such run yet. */
sp_status sp_teacher_open(sp_session *s, const sp_session_options *so, sp_error *err);
/* Evaluation whose loss nobody reads. */
void sp_teacher_plan_options(sp_plan_options *o);

#endif
