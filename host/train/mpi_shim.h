/* What the program takes from an MPI library: a shared object for each implementation (Open MPI and MPICH
 * have different ABIs), built from mpi_shim.c where its headers are found and loaded at run time, so that
 * neither program nor libspikeport links MPI. Every function gives 0 or an MPI error code. One thread calls,
 * but for `leave`. */
#ifndef SP_TRAIN_MPI_SHIM_H
#define SP_TRAIN_MPI_SHIM_H

#include <stdint.h>

#define SP_MPI_SHIM_SYMBOL "spikeport_mpi_shim"
enum { SP_MPI_SHIM_ABI = 3 };

typedef struct sp_mpi_shim {
    int abi;
    /* Starts MPI. local_rank: among those on the same machine. *call: the name of the MPI function that was
     * called last. */
    int (*open)(int *rank, int *size, int *local_rank, char *library, int library_size, const char **call);
    int (*send)(const void *data, int bytes, int to, int tag, intptr_t *request);
    int (*receive)(void *data, int bytes, int from, int tag, intptr_t *request);
    int (*test)(intptr_t *request, int *done);
    int (*probe)(int tag, int *from); /* *from: a rank whose message with this tag has come, -1 none */
    void (*text)(int code, char *out, int size);
    int (*close)(void); /* when no message is on its way */
    /* Where `close` fails or does not come back: tells the launcher that this process ends in order, so that
     * it does not end the others and its exit code is that of the processes. Any thread. */
    void (*leave)(void);
    void (*abort)(int code); /* ends every rank */
} sp_mpi_shim;

#endif
