/* Inside train/: what ranks.c and ranks_exchange.c share. */
#ifndef SP_TRAIN_RANKS_INTERNAL_H
#define SP_TRAIN_RANKS_INTERNAL_H

#include "train/mpi_shim.h"
#include "train/ranks.h"

enum { SPI_TAG_DATA = 1, SPI_TAG_FAILED = 2 };

typedef struct spi_pending {
    intptr_t request;
    const sp_ranks_part *part;
    bool done;
} spi_pending;

struct sp_ranks_state {
    const sp_mpi_shim *mpi;
    spi_pending *pending;
    size_t room;
    sp_ranks_part *parts; /* [2][size][SP_RANKS_TABLES] */
    uint64_t *words;
    size_t n_words;
};

/* What a rank that fails sends to rank 0. */
typedef struct spi_failure {
    int status;
    char text[sizeof((sp_error *)0)->text];
} spi_failure;

sp_status spi_ranks_call_failed(const sp_ranks *r, const char *call, int code, sp_error *err);

#endif
