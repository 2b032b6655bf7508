/* gemm/1 through CLBlast: what the three files of this plugin share. */
#ifndef GEMM_CLBLAST_H
#define GEMM_CLBLAST_H

#include <clblast_c.h>

#include "spikeport/plugin.h"

/* c = op(a) op(b) [+ c], row-major. */
typedef struct gemm_shape {
    size_t m, n, k;
    int ta, tb, acc;
} gemm_shape;

/* One call on a queue. temp NULL: CLBlast makes its temporary memory itself. */
CLBlastStatusCode gemm_call(const gemm_shape *s, sp_plugin_range a, sp_plugin_range b, sp_plugin_range c,
                            cl_command_queue queue, cl_event *event, cl_mem temp);

/* Name of a code of CLBlast, which mixes OpenCL's numbers with its own. */
const char *gemm_code_name(int code);

/* Makes CLBlast safe on the device, once per process and device: chooses kernels, calls them under a lock
 * (the first use of CLBlast is not thread-safe), and compares their results with products computed here.
 * Other threads wait. SP_OK, or the reason why the device must not use it. [setup] */
int32_t gemm_make_safe(const sp_plugin_cl *cl, const sp_plugin_log *log, const sp_plugin_host *host,
                       sp_plugin_error *err);
void gemm_forget_devices(void);

/* Sets of parameters that the tuner tries (tune SET of the .meta file): 0 is what CLBlast's database says, or
 * what gemm_make_safe chose. CLBlast keeps parameters by device for the whole process and cannot give the
 * database's back once they are overridden: a call with set 0 then runs with a plain set. */
enum { GEMM_SETS = 11 };
/* Takes the lock and makes the set the device's; gemm_release gives the lock back. *fallback: 0 was asked for
 * and is gone. [hot] */
int32_t gemm_acquire(const sp_plugin_cl *cl, int set, int *fallback, sp_plugin_error *err);
void gemm_release(void);

/* Runs small products, and large ones too when asked to (CLBlast's indirect kernel, used above a size that
 * only its database knows), against sums in double. SP_OK or a reason. */
int32_t gemm_self_test(const sp_plugin_cl *cl, int large, sp_plugin_error *err);

int32_t gemm_fail(sp_plugin_error *err, int cl_code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
