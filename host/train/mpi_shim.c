/* The one file that includes mpi.h: see mpi_shim.h. */
#include "train/mpi_shim.h"

#include <dlfcn.h>
#include <mpi.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Static_assert(sizeof(MPI_Request) <= sizeof(intptr_t), "a request is kept in an intptr_t");

static MPI_Comm all;

/* Calls an MPI function whose failure ends shim_open. */
#define TRY(name, ...)                                                                                       \
    do {                                                                                                     \
        *call = #name;                                                                                       \
        int code_ = name(__VA_ARGS__);                                                                       \
        if (code_ != MPI_SUCCESS)                                                                            \
            return code_;                                                                                    \
    } while (0)

static int shim_open(int *rank, int *size, int *local_rank, char *library, int library_size,
                     const char **call)
{
    char version[MPI_MAX_LIBRARY_VERSION_STRING];
    int length, provided;
    MPI_Comm local;
    TRY(MPI_Init_thread, NULL, NULL, MPI_THREAD_FUNNELED, &provided);
    TRY(MPI_Comm_set_errhandler, MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    TRY(MPI_Comm_dup, MPI_COMM_WORLD, &all);
    TRY(MPI_Comm_set_errhandler, all, MPI_ERRORS_RETURN);
    TRY(MPI_Comm_rank, all, rank);
    TRY(MPI_Comm_size, all, size);
    TRY(MPI_Comm_split_type, all, MPI_COMM_TYPE_SHARED, *rank, MPI_INFO_NULL, &local);
    TRY(MPI_Comm_rank, local, local_rank);
    TRY(MPI_Comm_free, &local);
    TRY(MPI_Get_library_version, version, &length);
    version[strcspn(version, ",\n")] = '\0';
    const int name = (int)strcspn(version, " "); /* "MPICH Version:<tab>4.0.2", "Open MPI v4.1.4" */
    const char *tab = strchr(version, '\t');
    snprintf(library, (size_t)library_size, "%.*s%s%s", name, version, tab ? " " : "",
             tab ? tab + 1 : version + name);
    return MPI_SUCCESS;
}

static int shim_send(const void *data, int bytes, int to, int tag, intptr_t *request)
{
    MPI_Request r;
    int code = MPI_Isend(data, bytes, MPI_BYTE, to, tag, all, &r);
    *request = 0;
    memcpy(request, &r, sizeof r);
    return code;
}

static int shim_receive(void *data, int bytes, int from, int tag, intptr_t *request)
{
    MPI_Request r;
    int code = MPI_Irecv(data, bytes, MPI_BYTE, from, tag, all, &r);
    *request = 0;
    memcpy(request, &r, sizeof r);
    return code;
}

static int shim_test(intptr_t *request, int *done)
{
    MPI_Request r;
    memcpy(&r, request, sizeof r);
    int code = MPI_Test(&r, done, MPI_STATUS_IGNORE);
    memcpy(request, &r, sizeof r);
    return code;
}

static int shim_probe(int tag, int *from)
{
    MPI_Status status;
    int found = 0, code = MPI_Iprobe(MPI_ANY_SOURCE, tag, all, &found, &status);
    *from = code == MPI_SUCCESS && found ? status.MPI_SOURCE : -1;
    return code;
}

/* Before MPI has started and after its end, Open MPI ends a process that asks for a text. */
static void shim_text(int code, char *out, int size)
{
    char text[MPI_MAX_ERROR_STRING];
    int length, started = 0, ended = 0;
    MPI_Initialized(&started);
    MPI_Finalized(&ended);
    if (!started || ended || MPI_Error_string(code, text, &length) != MPI_SUCCESS)
        snprintf(text, sizeof text, "MPI error %d", code);
    snprintf(out, (size_t)size, "%s", text);
}

#ifdef OPEN_MPI
/* Its launcher is told through PMIx, which the library has loaded. */
static void shim_leave(void)
{
    void *pmix = dlopen("libpmix.so.2", RTLD_LAZY | RTLD_NOLOAD);
    int (*finalize)(const void *info, size_t n) = NULL;
    if (pmix)
        *(void **)&finalize = dlsym(pmix, "PMIx_Finalize");
    if (finalize)
        finalize(NULL, 0);
}

static int shim_close(void)
{
    return MPI_Finalize();
}
#else
/* That of MPICH by a line of PMI-1, whose functions the library does not export. */
static void shim_leave(void)
{
    enum { ANSWER_MS = 1000 };
    static const char line[] = "cmd=finalize\n";
    const char *number = getenv("PMI_FD");
    struct pollfd launcher = {.fd = number ? atoi(number) : -1, .events = POLLIN};
    if (number && write(launcher.fd, line, sizeof line - 1) == sizeof line - 1)
        poll(&launcher, 1, ANSWER_MS);
}

/* MPI_Finalize of MPICH 4.0.2 over UCX with TCP now and then never returns, or ends the program and all other
 * ranks: one rank waits for its connections to be closed while the others wait for it where they answer
 * nothing. No message is on its way here, and the launcher is all that has to know. */
static int shim_close(void)
{
    if (!getenv("PMI_FD"))
        return MPI_Finalize();
    shim_leave();
    return MPI_SUCCESS;
}
#endif

static void shim_abort(int code)
{
    MPI_Abort(MPI_COMM_WORLD, code);
}

__attribute__((visibility("default"))) extern const sp_mpi_shim spikeport_mpi_shim;
const sp_mpi_shim spikeport_mpi_shim = {.abi = SP_MPI_SHIM_ABI,
                                        .open = shim_open,
                                        .send = shim_send,
                                        .receive = shim_receive,
                                        .test = shim_test,
                                        .probe = shim_probe,
                                        .text = shim_text,
                                        .close = shim_close,
                                        .leave = shim_leave,
                                        .abort = shim_abort};
