/* Starting parameters of a session. A CPU's memory is written by a thread, beside the compiler, which is one
 * thread in most drivers. */
#ifndef SP_TRAIN_STARTING_H
#define SP_TRAIN_STARTING_H

#include "train/session.h"

/* The parameters start from the recipe's seed. Until the end nobody else may use the model's memory. [setup]
 */
sp_status sp_starting_begin(sp_session *s, sp_error *err);
/* Waits until they are written. Once for each begin, after a failure too; err may be NULL. */
sp_status sp_starting_end(sp_session *s, sp_error *err);

#endif
