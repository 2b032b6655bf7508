/* Compiled programs on disk, for drivers that keep none themselves. A file is believed only when its length,
 * its key and its checksum are right and the driver takes it; whatever else, the program is built from source
 * again. */
#include "cl/internal.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/cache.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/scope.h"
#include "base/sha256.h"

#define FORMAT "spikeport program 1"

typedef struct header {
    char format[24];
    uint64_t bytes;
    unsigned char key[32], sum[32];
} header;

bool sp_cache_wanted(const sp_device *dev)
{
    const char *set = sp_setting("SPIKEPORT_PROGRAM_CACHE");
    if (set && strcmp(set, "on") == 0)
        return true;
    if (set && strcmp(set, "off") == 0)
        return false;
    return !(dev->info.quirks &
             (SP_QUIRK_HAS_PROGRAM_CACHE | SP_QUIRK_NO_BINARY_QUERY | SP_QUIRK_SLOW_SIMULATOR));
}

/* The plugin's version is in the source: its //@ lines are part of it. */
static void make_key(const sp_device *dev, const char *text, const char *options, unsigned char key[32])
{
    const char *parts[] = {FORMAT,
                           dev->info.platform,
                           dev->info.name,
                           dev->info.vendor,
                           dev->info.version,
                           dev->info.driver,
                           dev->info.c_version,
                           options,
                           text};
    sp_sha256 h;
    sp_sha256_init(&h);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        sp_sha256_add(&h, parts[i], strlen(parts[i]) + 1);
    sp_sha256_finish(&h, key);
}

static char *path_of(const unsigned char key[32])
{
    char hex[65];
    for (int i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", key[i]);
    char *folder = sp_cache_folder(), *path = folder ? sp_format("%s/programs/%s", folder, hex) : NULL;
    sp_free(folder);
    return path;
}

static void warn_once(const char *why)
{
    static atomic_flag warned = ATOMIC_FLAG_INIT;
    if (!atomic_flag_test_and_set(&warned))
        sp_log(SP_LOG_WARNING,
               "%s; compiled programs are not kept, every start compiles again (set SPIKEPORT_CACHE_DIR "
               "to a folder that can be written, or SPIKEPORT_PROGRAM_CACHE=off)",
               why);
}

/* The payload of a file that is what it says; NULL otherwise. */
static unsigned char *read_entry(const char *path, const unsigned char key[32], size_t *bytes)
{
    header h;
    struct stat info;
    unsigned char sum[32], *data = NULL;
    sp_sha256 hash;
    FILE *f = sp_cache_open(path);
    if (!f)
        return NULL;
    bool good = fstat(fileno(f), &info) == 0 && fread(&h, sizeof h, 1, f) == 1 &&
                memcmp(h.format, FORMAT, sizeof FORMAT) == 0 && memcmp(h.key, key, 32) == 0 && h.bytes > 0 &&
                (uint64_t)info.st_size == sizeof h + h.bytes && (data = sp_alloc(h.bytes)) != NULL &&
                fread(data, 1, h.bytes, f) == h.bytes;
    fclose(f);
    if (good) {
        sp_sha256_init(&hash);
        sp_sha256_add(&hash, data, h.bytes);
        sp_sha256_finish(&hash, sum);
        good = memcmp(sum, h.sum, 32) == 0;
    }
    if (!good) {
        sp_log(SP_LOG_DEBUG, "%s is damaged; the program is built anew", path);
        sp_free(data);
        return NULL;
    }
    *bytes = h.bytes;
    return data;
}

/* Arguments are bound by name, and some drivers forget the names in a binary. */
static bool knows_names(cl_program program)
{
    cl_uint n = 0, args;
    char name[128];
    if (clCreateKernelsInProgram(program, 0, NULL, &n) != CL_SUCCESS || n == 0)
        return false;
    cl_kernel *kernels = sp_alloc_array(n, sizeof *kernels);
    bool good = kernels && clCreateKernelsInProgram(program, n, kernels, NULL) == CL_SUCCESS;
    for (cl_uint i = 0; good && i < n; i++) {
        good = clGetKernelInfo(kernels[i], CL_KERNEL_NUM_ARGS, sizeof args, &args, NULL) == CL_SUCCESS &&
               (args == 0 ||
                clGetKernelArgInfo(kernels[i], 0, CL_KERNEL_ARG_NAME, sizeof name, name, NULL) == CL_SUCCESS);
        for (cl_uint k = 0; !good && k < n; k++)
            clReleaseKernel(kernels[k]);
    }
    for (cl_uint k = 0; good && k < n; k++)
        clReleaseKernel(kernels[k]);
    sp_free(kernels);
    return good;
}

static cl_program make(sp_device *dev, const unsigned char *data, size_t bytes, const char *options,
                       const char *label)
{
    cl_int status = CL_SUCCESS, code;
    sp_error err = {0};
    cl_program program =
        clCreateProgramWithBinary(dev->context, 1, &dev->info.device_id, &bytes, &data, &status, &code);
    if (!program)
        return NULL;
    if (code == CL_SUCCESS && status == CL_SUCCESS) {
        if (sp_build_program(dev, program, options, label, &code, &err) != SP_OK)
            return NULL; // it hangs: the program is the compiler's now
        if (code == CL_SUCCESS && knows_names(program))
            return program;
    }
    clReleaseProgram(program);
    return NULL;
}

cl_program sp_cache_load(sp_device *dev, const char *label, const char *text, const char *options)
{
    unsigned char key[32];
    size_t bytes;
    make_key(dev, text, options, key);
    char *path = path_of(key);
    unsigned char *data = path ? read_entry(path, key, &bytes) : NULL;
    cl_program program = data ? make(dev, data, bytes, options, label) : NULL;
    if (data && !program)
        sp_log(SP_LOG_DEBUG, "%s: the driver does not take the kept program of %s; it is built anew", path,
               label);
    dev->n_cached += program != NULL;
    sp_free(data);
    sp_free(path);
    return program;
}

/* The driver's binary of the one device; NULL when it gives none. */
static unsigned char *binary_of(cl_program program, size_t *bytes)
{
    unsigned char *data = NULL;
    *bytes = 0;
    knows_names(program); // Mali compiles at clCreateKernel: a binary fetched earlier has nothing in it
    if (clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof *bytes, bytes, NULL) != CL_SUCCESS ||
        *bytes == 0 || !(data = sp_alloc(*bytes)))
        return NULL;
    if (clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof data, &data, NULL) != CL_SUCCESS) {
        sp_free(data);
        return NULL;
    }
    return data;
}

void sp_cache_store(sp_device *dev, cl_program program, const char *text, const char *options)
{
    header h = {.format = FORMAT};
    size_t bytes;
    sp_sha256 hash;
    make_key(dev, text, options, h.key);
    char *path = path_of(h.key);
    unsigned char *data = path ? binary_of(program, &bytes) : NULL;
    if (data) {
        h.bytes = bytes;
        sp_sha256_init(&hash);
        sp_sha256_add(&hash, data, bytes);
        sp_sha256_finish(&hash, h.sum);
        const sp_bytes parts[] = {{&h, sizeof h}, {data, bytes}};
        sp_error why = {0};
        if (sp_folder_make_of(path, 0700, &why) != SP_OK || sp_file_replace(path, parts, 2, &why) != SP_OK)
            warn_once(why.text);
    }
    sp_free(data);
    sp_free(path);
}
