/* Which of CLBlast's kernels a device gets, and whether it gets CLBlast at all. Known faults defended
 * against:
 *  - the first use in a process fills a table without a lock: all first calls happen here, under one;
 *  - before 1.6.3, parameter sets with GEMMK=1 and MWG != NWG give wrong results or crash (CLBlast issue
 * 543). Its database has them for some Intel devices: Intel GPUs get a plain GEMMK=0 set with an old CLBlast,
 * other devices if the self-test fails. The header tells the version; a newer library may lie under it, hence
 * the test in any case;
 *  - on CPUs the indirect kernel is slower than the direct one and takes long to build: its threshold is set
 * out of reach. */
#include "gemm_clblast.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { MAX_DEVICES = 16 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    cl_device_id device;
    int32_t status;
    sp_plugin_error why;
    int set;          /* that the device has now; 0 none was chosen yet */
} known[MAX_DEVICES]; /* guarded by lock */
static int n_known;

static CLBlastStatusCode force_direct_kernel(cl_device_id device)
{
    const char *name = "XGEMM_MIN_INDIRECT_SIZE";
    const size_t value = 1000000; /* the cube root of the smallest m n k that takes the indirect kernel */
    return CLBlastOverrideParameters(device, "GemmRoutine", CLBlastPrecisionSingle, 1, &name, &value);
}

static CLBlastStatusCode force_plain_indirect_kernel(cl_device_id device)
{
    const char *names[] = {"GEMMK", "KREG", "KWG", "KWI", "MDIMA", "MDIMC", "MWG", "NDIMB",
                           "NDIMC", "NWG",  "SA",  "SB",  "STRM",  "STRN",  "VWM", "VWN"};
    const size_t values[] = {0, 1, 16, 2, 8, 8, 32, 8, 8, 32, 0, 0, 0, 0, 1, 1};
    return CLBlastOverrideParameters(device, "Xgemm", CLBlastPrecisionSingle, sizeof values / sizeof *values,
                                     names, values);
}

static int has_gemmk1_fault(const sp_plugin_cl *cl)
{
#if CLBLAST_VERSION_MAJOR * 10000 + CLBLAST_VERSION_MINOR * 100 + CLBLAST_VERSION_PATCH < 10603
    return strstr(cl->vendor, "Intel") != NULL;
#else
    (void)cl;
    return 0;
#endif
}

static int32_t choose_and_test(const sp_plugin_cl *cl, const sp_plugin_log *log, const sp_plugin_host *host,
                               sp_plugin_error *err)
{
    int cpu = cl->device_type == 0, plain = !cpu && has_gemmk1_fault(cl);
    CLBlastStatusCode code = CLBlastSuccess;
    if (cpu)
        code = force_direct_kernel(cl->device);
    else if (plain)
        code = force_plain_indirect_kernel(cl->device);
    if (code != CLBlastSuccess)
        return gemm_fail(err, code, "CLBlast refuses parameters for %s: %s", cl->name, gemm_code_name(code));
    int large = !cpu && !(cl->flags & SP_PLUGIN_CL_SIMULATOR);
    int32_t st = gemm_self_test(cl, large, err);
    if (st == SP_OK || cpu || plain)
        return st;
    char text[sizeof err->text + 128];
    snprintf(text, sizeof text, "CLBlast fails its self-test on %s (%s); trying plain parameters", cl->name,
             err->text);
    if (log)
        log->write(host, 1, text);
    if (force_plain_indirect_kernel(cl->device) != CLBlastSuccess)
        return st;
    return gemm_self_test(cl, large, err);
}

int32_t gemm_make_safe(const sp_plugin_cl *cl, const sp_plugin_log *log, const sp_plugin_host *host,
                       sp_plugin_error *err)
{
    pthread_mutex_lock(&lock);
    int i = 0;
    while (i < n_known && known[i].device != cl->device)
        i++;
    int32_t st;
    if (i < n_known) {
        st = known[i].status;
        if (st != SP_OK)
            *err = known[i].why;
    } else {
        st = choose_and_test(cl, log, host, err);
        if (n_known < MAX_DEVICES) {
            known[n_known].device = cl->device;
            known[n_known].status = st;
            known[n_known++].why = *err;
        }
    }
    pthread_mutex_unlock(&lock);
    return st;
}

/* ---- sets to choose from ---- */

/* Direct kernel: one launch, any shape. WGD, KWID, MDIMAD, MDIMCD, NDIMBD, NDIMCD, PADA, PADB, VWMD, VWND. */
static const char *const direct_names[] = {"WGD",    "KWID", "MDIMAD", "MDIMCD", "NDIMBD",
                                           "NDIMCD", "PADA", "PADB",   "VWMD",   "VWND"};
static const size_t direct_sets[][10] = {{8, 2, 8, 8, 8, 8, 1, 1, 1, 1},
                                         {16, 2, 8, 8, 8, 8, 1, 1, 1, 1},
                                         {32, 2, 16, 16, 8, 8, 1, 1, 2, 2},
                                         {64, 2, 16, 16, 16, 16, 1, 1, 4, 4}};
/* Indirect kernel: padded and transposed copies, then tiles of MWG x NWG. */
static const char *const tile_names[] = {"GEMMK", "KREG", "KWG", "KWI", "MDIMA", "MDIMC", "MWG", "NDIMB",
                                         "NDIMC", "NWG",  "SA",  "SB",  "STRM",  "STRN",  "VWM", "VWN"};
static const size_t tile_sets[][16] = {{0, 1, 16, 2, 8, 8, 32, 8, 8, 32, 0, 0, 0, 0, 1, 1},
                                       {0, 1, 16, 2, 8, 8, 64, 8, 8, 64, 1, 1, 0, 0, 4, 4},
                                       {0, 1, 16, 2, 16, 16, 64, 16, 16, 64, 1, 1, 0, 0, 2, 2},
                                       {0, 1, 16, 2, 16, 16, 128, 16, 16, 64, 1, 1, 0, 0, 4, 2},
                                       {0, 1, 16, 2, 16, 16, 128, 16, 16, 128, 1, 1, 0, 0, 4, 4},
                                       {0, 1, 32, 2, 8, 8, 64, 8, 8, 64, 0, 0, 0, 0, 4, 4}};
enum { N_DIRECT = sizeof direct_sets / sizeof *direct_sets, N_TILES = sizeof tile_sets / sizeof *tile_sets };
enum { PLAIN_SET = 2 }; /* direct, 16 x 16: fits every device */
_Static_assert(1 + N_DIRECT + N_TILES == GEMM_SETS, "the .meta file offers SET = 0 to GEMM_SETS - 1");

static CLBlastStatusCode apply(cl_device_id device, int set)
{
    int direct = set <= N_DIRECT;
    const char *routine = "XGEMM_MIN_INDIRECT_SIZE";
    const size_t least = direct ? 1000000 : 0;
    CLBlastStatusCode code =
        CLBlastOverrideParameters(device, "GemmRoutine", CLBlastPrecisionSingle, 1, &routine, &least);
    if (code != CLBlastSuccess)
        return code;
    /* CLBlast declares its arrays without const and changes nothing in them. */
    if (direct)
        return CLBlastOverrideParameters(device, "XgemmDirect", CLBlastPrecisionSingle, 10,
                                         (const char **)(uintptr_t)direct_names, direct_sets[set - 1]);
    return CLBlastOverrideParameters(device, "Xgemm", CLBlastPrecisionSingle, 16,
                                     (const char **)(uintptr_t)tile_names, tile_sets[set - 1 - N_DIRECT]);
}

int32_t gemm_acquire(const sp_plugin_cl *cl, int set, int *fallback, sp_plugin_error *err)
{
    pthread_mutex_lock(&lock);
    int i = 0;
    while (i < n_known && known[i].device != cl->device)
        i++;
    *fallback = set == 0 && i < n_known && known[i].set != 0;
    if (*fallback)
        set = PLAIN_SET;
    if (set == 0 || (i < n_known && known[i].set == set))
        return SP_OK;
    CLBlastStatusCode code = i < n_known ? apply(cl->device, set) : CLBlastUnexpectedError;
    if (code == CLBlastSuccess) {
        known[i].set = set;
        return SP_OK;
    }
    gemm_release();
    return gemm_fail(err, code, "CLBlast refuses its parameters of set %d for %s: %s", set, cl->name,
                     gemm_code_name(code));
}

void gemm_release(void)
{
    pthread_mutex_unlock(&lock);
}

void gemm_forget_devices(void)
{
    pthread_mutex_lock(&lock);
    n_known = 0;
    pthread_mutex_unlock(&lock);
}
