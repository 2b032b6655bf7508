/* For LD_PRELOAD: counts the calls of MPI that the program makes, and makes some of them fail, wait, or end
 * the process.
 *
 * SPIKEPORT_MPI_FAULT=RANK:CALL:N:KIND: what happens to the N-th call of CALL on that rank (*: to every one);
 * KIND is fail, kill, or the seconds that it waits first.
 *
 * SPIKEPORT_MPI_COUNTS=FILE: at the end, a line "CALL N" for each call, in FILE.RANK.
 *
 * It is built once for each MPI, as mpi_shim.c is, without linking it: the program has loaded MPI by then. */
#define _POSIX_C_SOURCE 200809L
#include <mpi.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CALLS = 32 };

static struct {
    const char *name;
    long n;
} counts[CALLS];

static int rank(void)
{
    const char *s = getenv("OMPI_COMM_WORLD_RANK");
    s = s ? s : getenv("PMI_RANK");
    return s ? atoi(s) : -1;
}

static long count(const char *name)
{
    int i = 0;
    while (i + 1 < CALLS && counts[i].name && strcmp(counts[i].name, name) != 0)
        i++;
    counts[i].name = name;
    return ++counts[i].n;
}

/* Whether this call is to fail. */
static int struck(const char *name)
{
    const char *fault = getenv("SPIKEPORT_MPI_FAULT");
    const long n = count(name);
    char call[40], number[20], kind[20];
    int on;
    if (!fault || sscanf(fault, "%d:%39[^:]:%19[^:]:%19s", &on, call, number, kind) != 4 || on != rank() ||
        strcmp(call, name) != 0 || (*number != '*' && atol(number) != n))
        return 0;
    if (strcmp(kind, "fail") == 0)
        return 1;
    if (strcmp(kind, "kill") == 0)
        kill(getpid(), SIGKILL);
    const double s = atof(kind);
    nanosleep(&(struct timespec){(time_t)s, (long)((s - (double)(time_t)s) * 1e9)}, NULL);
    return 0;
}

__attribute__((destructor)) static void tell(void)
{
    const char *to = getenv("SPIKEPORT_MPI_COUNTS");
    char path[512];
    if (!to || !counts[0].name)
        return;
    snprintf(path, sizeof path, "%s.%d", to, rank());
    FILE *f = fopen(path, "w");
    for (int i = 0; f && i < CALLS && counts[i].name; i++)
        fprintf(f, "%s %ld\n", counts[i].name, counts[i].n);
    if (f)
        fclose(f);
}

#define INTERPOSE(name, parameters, arguments)                                                               \
    int MPI_##name parameters                                                                                \
    {                                                                                                        \
        return struck(#name) ? MPI_ERR_OTHER : PMPI_##name arguments;                                        \
    }
INTERPOSE(Init_thread, (int *c, char ***v, int want, int *got), (c, v, want, got))
INTERPOSE(Comm_set_errhandler, (MPI_Comm c, MPI_Errhandler e), (c, e))
INTERPOSE(Comm_dup, (MPI_Comm c, MPI_Comm *out), (c, out))
INTERPOSE(Comm_rank, (MPI_Comm c, int *r), (c, r))
INTERPOSE(Comm_size, (MPI_Comm c, int *n), (c, n))
INTERPOSE(Comm_split_type, (MPI_Comm c, int type, int key, MPI_Info i, MPI_Comm *out), (c, type, key, i, out))
INTERPOSE(Comm_free, (MPI_Comm * c), (c))
INTERPOSE(Get_library_version, (char *text, int *n), (text, n))
INTERPOSE(Isend, (const void *x, int n, MPI_Datatype t, int to, int tag, MPI_Comm c, MPI_Request *r),
          (x, n, t, to, tag, c, r))
INTERPOSE(Irecv, (void *x, int n, MPI_Datatype t, int from, int tag, MPI_Comm c, MPI_Request *r),
          (x, n, t, from, tag, c, r))
INTERPOSE(Test, (MPI_Request * r, int *done, MPI_Status *s), (r, done, s))
INTERPOSE(Iprobe, (int from, int tag, MPI_Comm c, int *found, MPI_Status *s), (from, tag, c, found, s))
INTERPOSE(Finalize, (void), ())
INTERPOSE(Abort, (MPI_Comm c, int code), (c, code))
