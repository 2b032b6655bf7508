/* Threads of the program's own. */
#ifndef SP_BASE_THREAD_H
#define SP_BASE_THREAD_H

#include <pthread.h>

/* pthread_create for a thread that takes no signals: Ctrl-C is for the thread that trains. 0, or the error.
 */
int sp_thread_start(pthread_t *thread, void *(*work)(void *), void *arg);

#endif
