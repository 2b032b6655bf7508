/* Threads of the program's own. */
#ifndef SP_BASE_THREAD_H
#define SP_BASE_THREAD_H

#include <pthread.h>
#include <stdint.h>

/* pthread_create for a thread that takes no signals: Ctrl-C is for the thread that trains. 0, or the error.
 */
int sp_thread_start(pthread_t *thread, void *(*work)(void *), void *arg);

/* Stack of a thread whose creator asks for no size, as drivers for CPUs do: what `ulimit -s` says, or the
 * system's own choice. 0: unknown. */
uint64_t sp_thread_stack_bytes(void);

#endif
