/* Loading MPI, and the end of all ranks when one fails. */
#include "train/ranks.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/paths.h"
#include "train/ranks_internal.h"

enum { ANSWER_S = 10, FINALIZE_S = 10 };

/* What the launchers set: mpirun of Open MPI, slurm's srun --mpi=pmix, and mpiexec of MPICH, which srun
 * --mpi=pmi2 is like. mpich: see ranks.h. */
static const struct {
    const char *size, *rank, *shim, *package;
    bool mpich;
} launchers[] = {
    {"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "openmpi", "libopenmpi-dev", false},
    {"SLURM_STEP_NUM_TASKS", "PMIX_RANK", "openmpi", "libopenmpi-dev", false},
    {"PMI_SIZE", "PMI_RANK", "mpich", "libmpich-dev", true},
};

static size_t find_launcher(int *size, int *rank)
{
    enum { N = sizeof launchers / sizeof *launchers };
    *size = 1, *rank = 0;
    for (size_t i = 0; i < N; i++) {
        const char *n = getenv(launchers[i].size), *k = getenv(launchers[i].rank);
        if (n && k && atoi(n) > 1) {
            *size = atoi(n), *rank = atoi(k);
            return i;
        }
    }
    return N;
}

int sp_ranks_launched(int *rank)
{
    int size;
    find_launcher(&size, rank);
    return size;
}

/* ---- starting ---- */

static sp_status load(const char *name, const char *package, const sp_mpi_shim **out, sp_error *err)
{
    char *folder = sp_own_library("mpi"), *path = folder ? sp_format("%s/%s.so", folder, name) : NULL;
    sp_status st = path ? SP_OK
                        : SP_FAIL(err, SP_E_FAILED,
                                  "the folder of this installation is not known; set "
                                  "SPIKEPORT_PREFIX");
    if (st == SP_OK && !sp_path_exists(path))
        st = SP_FAIL(err, SP_E_FAILED,
                     "a launcher of %s has started several processes, but this spikeport was built without "
                     "support for it: %s is missing. Install the package %s and build again, or start one "
                     "process",
                     name, path, package);
    /* the library's own plugins look for its symbols among the global ones */
    void *handle = st == SP_OK ? dlopen(path, RTLD_NOW | RTLD_GLOBAL) : NULL;
    if (st == SP_OK && !handle)
        st = SP_FAIL(err, SP_E_FAILED, "MPI cannot be loaded: %s", dlerror());
    *out = handle ? dlsym(handle, SP_MPI_SHIM_SYMBOL) : NULL;
    if (st == SP_OK && (!*out || (*out)->abi != SP_MPI_SHIM_ABI))
        st = SP_FAIL(err, SP_E_FAILED, "%s is of another version of spikeport; install both again", path);
    sp_free(path);
    sp_free(folder);
    return st;
}

sp_status spi_ranks_call_failed(const sp_ranks *r, const char *call, int code, sp_error *err)
{
    char text[256];
    r->in->mpi->text(code, text, sizeof text);
    return SP_FAIL(err, SP_E_FAILED, "%s failed: %s", call, text);
}

/* Until the names of hosts have been exchanged only this rank's is known. */
const char *spi_ranks_host(const sp_ranks *r, int rank)
{
    return r->hosts[rank][0] ? r->hosts[rank] : "not known";
}

static sp_status start(sp_ranks *r, size_t launcher, int launched, sp_error *err)
{
    const char *call = "";
    SP_TRY(spi_guard_start(r, r->in->print, err));
    if (r->mpich) /* before anything that takes time */
        sp_log(SP_LOG_INFO, "rank %d (host %s): process %d", r->rank, spi_guard_host(), (int)getpid());
    SP_TRY(load(launchers[launcher].shim, launchers[launcher].package, &r->in->mpi, err));
    spi_guard_begin("its start (MPI_Init and what follows)", r->timeout_s);
    int code = r->in->mpi->open(&r->rank, &r->size, &r->local_rank, r->library, sizeof r->library, &call);
    spi_guard_end();
    if (code)
        return spi_ranks_call_failed(r, call, code, err);
    if (r->size != launched)
        return SP_FAIL(err, SP_E_FAILED,
                       "the launcher has started %d processes, as %s says, but %s sees %d; use the mpirun of "
                       "that library (for srun: --mpi=pmix or --mpi=pmi2), or unset the variable if it is a "
                       "leftover",
                       launched, launchers[launcher].size, r->library, r->size);
    r->hosts = sp_alloc_array((size_t)r->size, sizeof *r->hosts);
    r->in->parts = sp_alloc_array((size_t)r->size, 2 * SP_RANKS_TABLES * sizeof *r->in->parts);
    if (!r->hosts || !r->in->parts)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for the ranks");
    snprintf(r->hosts[r->rank], sizeof *r->hosts, "%s", spi_guard_host());
    return sp_ranks_gather(r, "the names of hosts", &(sp_ranks_table){r->hosts, sizeof *r->hosts, NULL}, 1,
                           err);
}

static void free_ranks(sp_ranks *r)
{
    spi_guard_forget();
    if (r->in) {
        sp_free(r->in->pending);
        sp_free(r->in->parts);
        sp_free(r->in->words);
    }
    sp_free(r->in);
    sp_free(r->hosts);
    sp_free(r);
}

sp_status sp_ranks_open(double timeout_s, void (*print)(const sp_error *err), sp_ranks **out, sp_error *err)
{
    int size, rank;
    size_t launcher = find_launcher(&size, &rank);
    *out = NULL;
    if (size < 2)
        return SP_OK;
    sp_ranks *r = sp_alloc(sizeof *r);
    struct sp_ranks_state *in = sp_alloc(sizeof *in);
    if (!r || !in) {
        sp_free(r);
        sp_free(in);
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for the ranks");
    }
    in->print = print;
    *r = (sp_ranks){
        .rank = rank, .size = size, .mpich = launchers[launcher].mpich, .timeout_s = timeout_s, .in = in};
    sp_status st = start(r, launcher, size, err);
    if (st == SP_OK) {
        *out = r;
        return SP_OK;
    }
    free_ranks(r);
    spi_guard_begin("its end", ANSWER_S);
    return sp_error_prefix(err, st, "rank %d (host %s): ", rank, spi_guard_host());
}

/* ---- the end ---- */

/* When every rank has reached the end all is written. The second meeting is for the messages of the first,
 * which have come when it is over; nothing depends on its own. */
sp_status sp_ranks_close(sp_ranks **pr, int exit_code, sp_error *err)
{
    sp_ranks *r = *pr;
    sp_error unused;
    uint64_t here = 0;
    if (!r)
        return SP_OK;
    SP_TRY(sp_ranks_sum(r, "the end", &here, 1, err));
    r->timeout_s = FINALIZE_S;
    sp_ranks_sum(r, "the messages of the end", &here, 1, &unused);
    spi_guard_begin_finalize(FINALIZE_S, exit_code, r->in->mpi->leave);
    int code = r->in->mpi->close();
    spi_guard_end();
    if (code) {
        r->in->mpi->leave();
        sp_log(SP_LOG_WARNING, "rank %d (host %s): MPI_Finalize failed; training has ended, all is written",
               r->rank, spi_guard_host());
    }
    free_ranks(r);
    *pr = NULL;
    return SP_OK;
}

/* Rank 0 prints and ends all; when it has not done so in time, it does not answer. */
static void tell_rank_0(sp_ranks *r, const sp_error *err)
{
    spi_failure *f = &r->in->failure;
    intptr_t request;
    int done = 0;
    f->status = err->status;
    snprintf(f->text, sizeof f->text, "%s", err->text);
    if (r->in->mpi->send(f, sizeof *f, 0, SPI_TAG_FAILED, &request))
        return;
    for (int i = 0; i < (ANSWER_S + r->rank) * 20; i++) {
        if (!done && r->in->mpi->test(&request, &done))
            return;
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    }
}

void sp_ranks_end(sp_ranks *r, sp_error *err)
{
    spi_guard_begin("the end of all ranks", 2 * ANSWER_S + r->rank);
    bool known = strncmp(err->text, "rank ", 5) == 0;
    if (!known) // else it has come from another rank
        sp_error_prefix(err, err->status, "rank %d (host %s): ", r->rank, spi_guard_host());
    if (r->rank != 0)
        tell_rank_0(r, err);
    r->in->print(err);
    fflush(NULL);
    /* a launcher that is told to end all may drop what it has not passed on yet */
    nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
    r->in->mpi->abort(sp_status_exit_code(err->status));
    _exit(sp_status_exit_code(err->status));
}
