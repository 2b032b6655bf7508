/* OpenCL devices: list, choose, open. One context and one in-order queue per opened device. No SNN words
 * here. */
#ifndef SP_CL_DEVICE_H
#define SP_CL_DEVICE_H

#include <CL/cl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "spikeport/status.h"

typedef enum { SP_DEVICE_CPU, SP_DEVICE_GPU, SP_DEVICE_ACCELERATOR, SP_DEVICE_OTHER } sp_device_type;

/* Quirk flags, set by the table in quirks.inc (match rule, flag, evidence). */
#define SP_QUIRKS(X)                                                                                         \
    X(HAS_PROGRAM_CACHE, "the driver keeps compiled programs on disk by itself")                             \
    X(NO_BINARY_QUERY, "asking for program binaries compiles everything again")                              \
    X(LOCAL_MEMORY_IS_GLOBAL, "local memory is ordinary memory: no gain from staging")                       \
    X(NO_RELAXED_MATH, "relaxed math gives wrong numbers")                                                   \
    X(CLBLAST_DIRECT, "CLBlast's direct GEMM kernel is the faster one")                                      \
    X(SLOW_SIMULATOR, "an interpreter: keep shapes small")                                                   \
    X(WRITE_IN_PART, "a checker that loses track of buffers written in part: written by a kernel")           \
    X(INLINE_ASSEMBLY, "kernels run in this process and may hold assembly of its processor")                 \
    X(GRAPHICS_ON_CPU, "a graphics driver that computes on the CPU: chosen after drivers made for CPUs")     \
    X(COMPILES_EACH_LOCAL_SIZE, "a kernel is compiled again for each local size: few are used")              \
    X(READS_ALL_BUILTINS, "the compiler reads 18,000 lines of declarations with every program")              \
    X(GPU_OF_AMD, "tunables start with what `vendor: amd` says")                                             \
    X(GPU_OF_INTEL, "tunables start with what `vendor: intel` says")                                         \
    X(GPU_OF_NVIDIA, "tunables start with what `vendor: nvidia` says")                                       \
    X(NARROW_CPU, "a CPU whose vectors hold fewer than 16 floats: tunables start with what `vendor: "        \
                  "narrow` says")
enum {
#define SP_QUIRK_BIT(name, text) SP_QUIRK_BIT_##name,
    SP_QUIRKS(SP_QUIRK_BIT)
#undef SP_QUIRK_BIT
#define SP_QUIRK_ENUM(name, text) SP_QUIRK_##name = 1 << SP_QUIRK_BIT_##name,
        SP_QUIRKS(SP_QUIRK_ENUM)
#undef SP_QUIRK_ENUM
};

/* Units of GPUs that multiply matrices of bf16, by the instructions and the lanes that a kernel has to name
 * (plugins/gpu_matrix). */
typedef enum {
    SP_MATRIX_NONE,
    SP_MATRIX_NVIDIA,
    SP_MATRIX_RDNA3,
    SP_MATRIX_RDNA4,
    SP_MATRIX_CDNA,
    SP_MATRIX_INTEL8,
    SP_MATRIX_INTEL16,
    SP_N_MATRIX_UNITS
} sp_matrix_unit;

typedef struct sp_device_info {
    int index;                        /* position in the list, platform by platform */
    int platform_index, device_index; /* "platform:device", empty platforms counted */
    cl_platform_id platform_id;
    cl_device_id device_id;
    char platform[128], name[256], vendor[128], version[128], driver[128], c_version[64];
    char *extensions; /* owned by the list */
    sp_device_type type;
    int cl_major, cl_minor;
    bool binaries_only; /* asked for with binaries alone, see sp_device_options */
    bool available, compiler_available, fp64, fp16, little_endian;
    bool avx512_bf16;      /* a CPU with AVX-512 and its products of bf16, for kernels in this process */
    bool amx_bf16;         /* a CPU with AMX tiles, which kernels in this process may use */
    bool amx_emulated;     /* amx_bf16, because a test has preloaded an emulation: correct, but slow */
    sp_matrix_unit matrix; /* a GPU whose driver is known to take the instructions of its matrix unit */
    uint32_t compute_units, clock_mhz, base_align_bytes;
    size_t max_work_group, max_work_item[3];
    uint64_t global_bytes, max_alloc_bytes, local_bytes;
    uint64_t private_bytes; /* of a work-item on a CPU: it lies on the stack of a thread; 0: no limit known */
    uint32_t quirks;        /* SP_QUIRK_* */
    char unanswered[112];   /* which question about it failed and how; "": none */
} sp_device_info;

typedef struct sp_device_list {
    sp_device_info *items;
    size_t n, n_platforms;
} sp_device_list;

/* All devices of all platforms. An empty list is not an error. Release with sp_device_list_fini. [setup] */
sp_status sp_device_list_init(sp_device_list *list, sp_error *err);
/* Vendor and version of the OpenCL loader, as "OCL Icd free software 2.3.1"; "unknown" where it does not
 * tell. */
void sp_device_loader(char *out, size_t size);
void sp_device_list_fini(sp_device_list *list);

/* Chooses by selector: NULL or "auto" (gpu, then accelerator, then cpu; most compute units), an index "0",
 * "platform:device" as "0:1", a type (gpu, cpu, accelerator) or a part of the device or platform name, any
 * case. A name that fits several takes the first and says so. NULL takes SPIKEPORT_DEVICE first. A device
 * that cannot run kernels (too old, no compiler) is never chosen. `why` receives the reason in words. No
 * match: SP_E_DEVICE, with the list of what there is and hints (OCL_ICD_VENDORS, RUSTICL_ENABLE, missing ICD
 * packages). */
sp_status sp_device_choose(const sp_device_list *list, const char *selector, size_t *chosen, char *why,
                           size_t why_size, sp_error *err);

/* Why a device cannot run kernels, or NULL when it can. */
const char *sp_device_unusable(const sp_device_info *info);

/* The device of a process that is number `local` of those on its machine, as a selector by number: of the
 * devices that are like the chosen one (platform, type, name) that with this number, counted round. A
 * selector that is a number stays. */
sp_status sp_device_of_local_rank(const char *selector, int local, char number[16], sp_error *err);

/* Whether it has an extension, or a feature by its name in `needs:`. */
bool sp_device_has(const sp_device_info *info, const char *name);
/* The names of features: amx_bf16, avx512_bf16, those of matrix units; NULL after the last. */
const char *sp_device_feature_name(size_t i);
const char *sp_matrix_unit_name(sp_matrix_unit unit); /* "matrix_nvidia" */

/* Names of the quirks that are set, comma separated. */
void sp_device_quirk_names(uint32_t quirks, char *out, size_t out_size);
/* What the table (or the probe) says about one quirk that is set; NULL when it is not. */
const char *sp_device_quirk_evidence(const sp_device_info *info, uint32_t quirk);
const char *sp_device_type_name(sp_device_type type); /* "cpu", "gpu", "accelerator", "other" */

typedef struct sp_device_options {
    bool profiling;     /* queue with profiling events */
    bool sync_debug;    /* finish after every enqueue, so that the kernel that failed is named; also set by
                           SPIKEPORT_SYNC_DEBUG=1 */
    bool binaries_only; /* programs come as binaries: no compiler is needed and none is asked, OpenCL 1.0 will
                           do */
    int part,
        parts;    /* parts > 1: sub-device number `part` of so many with equal shares of the compute units */
    bool records; /* programs are being compiled for use elsewhere: no variant that compiles by itself */
    const char *as_type; /* "accelerator": kernels are chosen as for this type; NULL: the device's own */
} sp_device_options;

/* An opened device. Fields may be read; change nothing. */
typedef struct sp_device {
    sp_device_info info; /* extensions string copied */
    sp_device_options options;
    char why[256]; /* reason of the choice */
    bool is_named; /* another one would have been chosen without a selector */
    cl_context context;
    cl_command_queue queue;                    /* in-order */
    struct sp_program_table *programs;         /* built in this process, see program.h */
    struct sp_profiler *profiler;              /* NULL when profiling is off */
    bool is_part;                              /* info.device_id is a sub-device of its own */
    cl_mem staging;                            /* only with the quirk WRITE_IN_PART, see staging.c */
    uint64_t live_bytes, peak_bytes, n_allocs; /* device memory through sp_device_alloc */
    uint64_t n_launches, n_builds, n_cached;   /* builds from source; programs that the disk cache had */
    uint64_t n_reread;                         /* builds that needed all declarations, see builtins.c */
    bool compiler_hangs;                       /* a build ran out of time: no other is tried */
    uint64_t n_binaries;                       /* programs from offline binaries */
} sp_device;

/* Lists, chooses and opens. Destroy releases everything and nulls the pointer. [setup] [one-thread] */
sp_status sp_device_open(const char *selector, const sp_device_options *options, sp_device **out,
                         sp_error *err);
void sp_device_close(sp_device **dev);

/* Device buffer; counted. host may be NULL. [setup] */
sp_status sp_device_alloc(sp_device *dev, uint64_t bytes, const char *what, cl_mem *out, sp_error *err);
void sp_device_free(sp_device *dev, cl_mem *mem);

/* A range in a buffer: what every kernel argument is bound to. */
typedef struct sp_range {
    cl_mem mem;
    uint64_t at_bytes; /* offset, a multiple of 4 */
} sp_range;

sp_status sp_device_write(sp_device *dev, sp_range to, const void *from, size_t bytes, bool blocking,
                          sp_error *err);
/* Fills a range of a multiple of 4 bytes with zeros, without waiting where the device can do it. */
sp_status sp_device_clear(sp_device *dev, sp_range to, size_t bytes, sp_error *err);
sp_status sp_device_read(sp_device *dev, sp_range from, void *to, size_t bytes, sp_error *err); /* blocking */
/* A range as memory of the host, until it is unmapped: worth while where that is the device's memory itself.
 */
bool sp_device_maps(const sp_device *dev);
sp_status sp_device_map(sp_device *dev, sp_range range, size_t bytes, bool write, void **out, sp_error *err);
sp_status sp_device_unmap(sp_device *dev, cl_mem mem, void *at, sp_error *err);
sp_status sp_device_finish(sp_device *dev, sp_error *err); /* err NULL: a failure is a warning in the log */
sp_status sp_device_flush(sp_device *dev, sp_error *err);  /* what is enqueued starts; does not wait */

/* Enqueues a kernel whose arguments are set. `name` is for messages. local NULL lets the driver choose.
 * Counts it; with sync_debug it finishes and names the kernel on failure; with profiling it records the time
 * under name. [hot] */
sp_status sp_device_enqueue(sp_device *dev, cl_kernel kernel, const char *name, cl_uint dims,
                            const size_t *global, const size_t *local, sp_error *err);

/* For commands that a library enqueues by itself: begin, give *event to the last of them (or leave it NULL),
 * end. Without profiling event is NULL and nothing happens. [hot] */
typedef struct sp_device_span {
    cl_event *event;
    size_t row;
    uint64_t start_ns;
} sp_device_span;
sp_device_span sp_device_span_begin(sp_device *dev, const char *name);
void sp_device_span_end(sp_device *dev, sp_device_span span);

/* Profiling: device time by name, gathered from events. Call after finish. */
typedef struct sp_profile_row {
    char name[96];
    uint64_t calls;
    double seconds;
} sp_profile_row;
size_t sp_device_profile(sp_device *dev, const sp_profile_row **rows); /* 0 when profiling is off */
void sp_device_profile_reset(sp_device *dev);

/* Whether the same call may well succeed another time: memory or the device was not there. */
bool sp_cl_error_is_passing(int code);
/* "CL_OUT_OF_RESOURCES" for -5, also CLBlast's ranges; never NULL. */
const char *sp_cl_error_name(int code);

#endif
