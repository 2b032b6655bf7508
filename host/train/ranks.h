/* Ranks: processes that an MPI launcher has started and that train one network together. MPI is loaded at run
 * time (mpi_shim.h), and only where a launcher has started more than one process. Every rank makes the same
 * calls in the same order; one thread. */
#ifndef SP_TRAIN_RANKS_H
#define SP_TRAIN_RANKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spikeport/status.h"

typedef struct sp_ranks {
    int rank, size, local_rank;
    char (*hosts)[64]; /* [size] */
    char library[64];  /* "Open MPI v4.1.4" */
    bool mpich;        /* its launcher names a killed process by its number alone, and makes its exit code
                          from those of all ranks */
    double timeout_s;  /* a rank that is waited for longer has failed */
    const volatile int *stop;  /* of this rank, from a signal; NULL: none */
    uint64_t wait_ns, sum_ns;  /* spent in waiting for the others, and in summing gradients (which holds some
                                  of the former), since sp_ranks_time_line */
    struct sp_ranks_state *in; /* of ranks.c */
} sp_ranks;

/* Processes that the launcher has started with this one, by its environment variables; 1: none. *rank: which
 * of them this is. */
int sp_ranks_launched(int *rank);

/* *out is NULL where this process trains alone. Otherwise MPI is started, which happens once in a process.
 * `print` writes the one message of a failure. No call of MPI may take longer than timeout_s: a thread then
 * ends this process, with a message that names rank, host and call. */
sp_status sp_ranks_open(double timeout_s, void (*print)(const sp_error *err), sp_ranks **out, sp_error *err);
/* Waits until every rank is here, and ends MPI; NULL is fine. Only where all ranks go on to it: after an
 * error, sp_ranks_end. exit_code: of this process, which ends with it here where MPI does not come back. */
sp_status sp_ranks_close(sp_ranks **r, int exit_code, sp_error *err);
/* For a rank that cannot go on: ends every rank with the exit code of err. One message is printed, on rank 0,
 * or on this rank where rank 0 does not answer; it names rank and host. Does not return. */
void sp_ranks_end(sp_ranks *r, sp_error *err) __attribute__((noreturn));

typedef struct sp_ranks_part {
    int rank; /* from or to which */
    void *data;
    size_t bytes;
} sp_ranks_part;

/* Sends and receives; returns when everything has come and gone. The parts between two ranks come in the
 * order in which they are sent. SP_E_FAILED where a rank does not answer in time, or has ended: it is named,
 * with `what` was waited for. [hot] */
sp_status sp_ranks_exchange(sp_ranks *r, const char *what, const sp_ranks_part *sends, size_t n_sends,
                            const sp_ranks_part *receives, size_t n_receives, sp_error *err);
/* A table with items of each rank; at[i]..at[i + 1] - 1 are rank i's, NULL: one item each. */
typedef struct sp_ranks_table {
    void *all;
    size_t item_bytes;
    const size_t *at; /* [size + 1] */
} sp_ranks_table;
enum { SP_RANKS_TABLES = 4 };
/* Fills in the items of the other ranks, of up to SP_RANKS_TABLES tables at once. r NULL: nothing happens.
 * [hot] */
sp_status sp_ranks_gather(sp_ranks *r, const char *what, const sp_ranks_table *tables, size_t n,
                          sp_error *err);
/* x: the sum over ranks; r NULL: x stays. [hot] */
sp_status sp_ranks_sum(sp_ranks *r, const char *what, uint64_t *x, size_t n, sp_error *err);
/* Rank 0's bytes to all. */
sp_status sp_ranks_share(sp_ranks *r, const char *what, void *data, size_t bytes, sp_error *err);
/* SP_E_MISMATCH where a rank's text is not that of rank 0: both values, cut to the first difference, and rank
 * and host. */
sp_status sp_ranks_agree(sp_ranks *r, const char *what, const char *text, sp_error *err);

/* Where the time of each rank goes. */
typedef struct sp_ranks_time {
    double *wait,
        *sum; /* [size] shares of the time since the last line: waiting for others, summing gradients */
    double *epoch_wait; /* [size] seconds */
} sp_ranks_time;
sp_status sp_ranks_time_init(sp_ranks_time *t, const sp_ranks *r, sp_error *err); /* sp_free(t->wait) */
void sp_ranks_time_start(sp_ranks *r); /* what was waited for so far does not count */
sp_status sp_ranks_time_line(sp_ranks *r, sp_ranks_time *t, double seconds, sp_error *err);
/* A warning on rank 0 where the others have waited for one rank. */
void sp_ranks_time_epoch(const sp_ranks *r, sp_ranks_time *t, int64_t epoch, double seconds);

#endif
