/* A second process that compiles and checks kernels, so that the first run on a device takes about half as
 * long on two cores: drivers compile one program at a time in a process. It is forked before OpenCL is
 * loaded, waits until a kernel turns up that nobody has checked yet, and then plans the same work from its
 * end. What it finds reaches this process through the files that all processes share: the driver's cache of
 * programs, or spikeport's, and conformance.jsonl. */
#ifndef SP_CHECK_HELPER_H
#define SP_CHECK_HELPER_H

#include <stdbool.h>

#include "cl/device.h"

/* True in the new process, once it is wanted; what it has to do ends in sp_helper_exit. False in this one,
 * also where there is no second process: other threads run already, this computer has one processor, or
 * SPIKEPORT_COMPILE_HELPER=off. [setup] */
bool sp_helper_fork(void);
_Noreturn void sp_helper_exit(void);

/* A kernel has to be checked: the helper begins, if the device is a CPU or a GPU. True in both processes
 * while two are at work. */
bool sp_helper_wake(const sp_device *dev);
/* In the helper, between two kernels: ends it where the other process no longer waits for it. */
void sp_helper_go_on(void);
/* No more kernels will be compiled. The helper ends with the kernel at which it is. */
void sp_helper_dismiss(void);
/* Waits until it has ended, so that nobody writes into a cache folder behind the end of the program. */
void sp_helper_wait(void);

#endif
