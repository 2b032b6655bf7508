/* Whether the person wants the program to end. What fails meanwhile says nothing of what was tried: a signal
 * that reaches a driver, or a compiler that it has started, ends its work too. Nothing of that is kept. */
#ifndef SP_BASE_INTERRUPT_H
#define SP_BASE_INTERRUPT_H

#include <stdbool.h>

#include "spikeport/status.h"

/* Set to other than 0 by a signal handler. Without one nothing is ever interrupted. [setup] */
void sp_interrupt_by(const volatile int *flag);
bool sp_interrupted(void);
/* A failure (st is not SP_OK) of `what`, as in "while WHAT": SP_E_INTERRUPTED in its place where that is so.
 */
sp_status sp_interrupted_or(sp_status st, const char *what, sp_error *err);

#endif
