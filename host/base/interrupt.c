/* The flag that a signal handler sets, for those who cannot be handed it. */
#include "base/interrupt.h"

#include <stddef.h>

#include "base/error.h"

static const volatile int *asked;

void sp_interrupt_by(const volatile int *flag)
{
    asked = flag;
}

bool sp_interrupted(void)
{
    return asked && *asked;
}

sp_status sp_interrupted_or(sp_status st, const char *what, sp_error *err)
{
    if (st == SP_OK || !sp_interrupted())
        return st;
    return SP_FAIL(err, SP_E_INTERRUPTED, "interrupted while %s", what);
}
