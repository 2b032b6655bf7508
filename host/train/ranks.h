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
    char (*hosts)[64];         /* [size] */
    char library[64];          /* "Open MPI v4.1.4" */
    double timeout_s;          /* a rank that is waited for longer has failed */
    const volatile int *stop;  /* of this rank, from a signal; NULL: none */
    uint64_t wait_ns;          /* spent in waiting for the others, since the caller cleared it */
    struct sp_ranks_state *in; /* of ranks.c */
} sp_ranks;

/* Processes that the launcher has started with this one, by its environment variables; 1: none. *rank: which
 * of them this is. */
int sp_ranks_launched(int *rank);

/* *out is NULL where this process trains alone. Otherwise MPI is started, which happens once in a process. */
sp_status sp_ranks_open(double timeout_s, sp_ranks **out, sp_error *err);
/* Waits until every rank is here, and ends MPI; NULL is fine. Only where all ranks go on to it: after an
 * error, sp_ranks_end. */
sp_status sp_ranks_close(sp_ranks **r, sp_error *err);
/* For a rank that cannot go on: ends every rank with the exit code of err. One message is printed, by `print`
 * on rank 0, or on this rank where rank 0 does not answer; it names rank and host. Does not return. */
void sp_ranks_end(sp_ranks *r, sp_error *err, void (*print)(const sp_error *err)) __attribute__((noreturn));

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
/* waited: [size], for each rank the share of `seconds`, its time since the last call, that it has waited for
 * others. */
sp_status sp_ranks_waited(sp_ranks *r, double seconds, double *waited, sp_error *err);
/* Rank 0's bytes to all. */
sp_status sp_ranks_share(sp_ranks *r, const char *what, void *data, size_t bytes, sp_error *err);
/* SP_E_MISMATCH where a rank's text is not that of rank 0: both values, cut to the first difference, and rank
 * and host. */
sp_status sp_ranks_agree(sp_ranks *r, const char *what, const char *text, sp_error *err);

#endif
