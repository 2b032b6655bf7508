/* Inside train/: what ranks.c, ranks_exchange.c and ranks_guard.c share. */
#ifndef SP_TRAIN_RANKS_INTERNAL_H
#define SP_TRAIN_RANKS_INTERNAL_H

#include "train/mpi_shim.h"
#include "train/ranks.h"

enum { SPI_TAG_DATA = 1, SPI_TAG_FAILED = 2 };

typedef struct spi_pending {
    intptr_t request;
    const sp_ranks_part *part;
    bool send, done;
} spi_pending;

/* What a rank that fails sends to rank 0. */
typedef struct spi_failure {
    int status;
    char text[sizeof((sp_error *)0)->text];
} spi_failure;

struct sp_ranks_state {
    const sp_mpi_shim *mpi;
    void (*print)(const sp_error *err);
    spi_failure failure; /* that goes to rank 0, or comes there */
    spi_pending *pending;
    size_t room;
    sp_ranks_part *parts; /* [2][size][SP_RANKS_TABLES] */
    uint64_t *words;
    size_t n_words;
};

sp_status spi_ranks_call_failed(const sp_ranks *r, const char *call, int code, sp_error *err);
const char *spi_ranks_host(const sp_ranks *r, int rank);

/* The thread that ends this process, with a message, where MPI does not come back from `call` (a literal) in
 * time. When the launcher has gone it asks for a stop as the launcher's signal would, and ends the process
 * where that takes too long. */
sp_status spi_guard_start(const sp_ranks *r, void (*print)(const sp_error *err), sp_error *err);
void spi_guard_forget(void); /* the ranks that it was started with */
const char *spi_guard_host(void);
void spi_guard_begin(const char *call, double seconds);
/* MPI_Finalize: where it does not come back, rank 0 warns, `leave` tells the launcher, and the process ends
 * with this code. */
void spi_guard_begin_finalize(double seconds, int code, void (*leave)(void));
void spi_guard_end(void);

#endif
