/* Raising and passing on errors inside the library. */
#ifndef SP_BASE_ERROR_H
#define SP_BASE_ERROR_H

#include "spikeport/status.h"

/* Fills *err (may be NULL) and returns status, so that `return SP_FAIL(err, SP_E_DATA, "...", ...)` reads
 * well. */
sp_status sp_error_set(sp_error *err, sp_status status, int cl_code, const char *file, int line,
                       const char *fmt, ...) __attribute__((format(printf, 6, 7)));

/* Puts text in front of an error that is already set: "while loading a.yaml: " + old text. Returns err's
 * status. */
sp_status sp_error_prefix(sp_error *err, sp_status status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Gives an error that is set another status, which is returned. */
sp_status sp_error_as(sp_error *err, sp_status status);

#define SP_FAIL(err, status, ...)  sp_error_set((err), (status), 0, __FILE__, __LINE__, __VA_ARGS__)
#define SP_FAIL_CL(err, code, ...) sp_error_set((err), SP_E_OPENCL, (code), __FILE__, __LINE__, __VA_ARGS__)

/* Returns the status of expr if it is not SP_OK. */
#define SP_TRY(expr)                                                                                         \
    do {                                                                                                     \
        sp_status sp_try_ = (expr);                                                                          \
        if (sp_try_ != SP_OK)                                                                                \
            return sp_try_;                                                                                  \
    } while (0)

/* Same, but jumps to `done:`; needs a local `sp_status st`. */
#define SP_TRY_GOTO(expr)                                                                                    \
    do {                                                                                                     \
        st = (expr);                                                                                         \
        if (st != SP_OK)                                                                                     \
            goto done;                                                                                       \
    } while (0)

#endif
