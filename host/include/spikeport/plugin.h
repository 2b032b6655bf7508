/* The binary border between spikeport and a library plugin (a .meta file beside a shared object).
 * docs/PLUGIN_HOWTO.md tells when one is needed; most plugins are a .cl file and never see this header.
 *
 * The object exports one symbol, the const struct sp_plugin_entry. Rules of the border:
 *  - Plain C: fixed-width integers, float, double, pointers, functions. No bool, long, FILE or struct by
 * value.
 *  - Structs only grow at the end. Whoever reads a struct checks struct_size before a member that came later
 *    (SP_PLUGIN_HAS). `reserved` members are zero.
 *  - Who makes it frees it. Strings and descriptors belong to their side and live until deinit.
 *  - A variant owns no device memory that lasts (it asks for workspace), and in enqueue it never waits, reads
 * back or changes the queue. State of the library must be safe when two threads use two devices.
 *  - Return an sp_status (0 is success, negative fails) and say why in sp_plugin_error. A failure in create,
 * workspace or prepare drops the variant with that reason, and the next candidate is taken; one in enqueue
 * ends the run. [setup]: may allocate, build and block. [hot]: inside a training step, enqueues only. */
#ifndef SPIKEPORT_PLUGIN_H
#define SPIKEPORT_PLUGIN_H

#ifndef CL_TARGET_OPENCL_VERSION
#define CL_TARGET_OPENCL_VERSION 120
#endif
#include <CL/cl.h>
#include <stddef.h>
#include <stdint.h>

#include "spikeport/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The major number must be equal on both sides; the minor one grows when members are appended. */
#define SP_PLUGIN_ABI_MAJOR    1u
#define SP_PLUGIN_ABI_MINOR    1u
#define SP_PLUGIN_ENTRY_SYMBOL "sp_plugin_entry"

/* True when the struct that p points to is large enough to hold member. */
#define SP_PLUGIN_HAS(p, type, member) ((p)->struct_size >= offsetof(type, member) + sizeof((p)->member))

/* What went wrong, for a person: what, where, what to do. The caller gives it zeroed but for struct_size. */
typedef struct sp_plugin_error {
    uint32_t struct_size;
    int32_t cl_code; /* OpenCL or library code behind it, 0 none */
    char text[512];
} sp_plugin_error;

/* ---- what the host offers ---- */

typedef struct sp_plugin_host sp_plugin_host;
struct sp_plugin_host {
    uint32_t struct_size, abi_major, abi_minor, reserved;
    /* A service by id, NULL when this host has none of that name. Valid as long as the host struct. [setup]
     */
    const void *(*get_extension)(const sp_plugin_host *host, const char *id);
};

/* Messages for the person at the keyboard: level 0 error, 1 warning, 2 information, 3 debugging. [any-thread]
 */
#define SP_PLUGIN_EXT_LOG "spikeport.host.log/1"
typedef struct sp_plugin_log {
    uint32_t struct_size, reserved;
    void (*write)(const sp_plugin_host *host, int32_t level, const char *text);
} sp_plugin_log;

/* The device that the variant is made for. Absent (NULL) from the host given to init, which knows no device
 * yet. */
#define SP_PLUGIN_EXT_CL       "spikeport.host.cl/1"
#define SP_PLUGIN_CL_SIMULATOR 1u /* flags: an interpreter, keep self-tests small */
typedef struct sp_plugin_cl {
    uint32_t struct_size;
    int32_t device_type; /* 0 cpu, 1 gpu, 2 accelerator, 3 other */
    cl_context context;
    cl_device_id device;
    cl_command_queue queue; /* in-order */
    const char *platform, *name, *vendor, *driver;
    uint64_t max_work_group, local_bytes, max_alloc_bytes;
    uint32_t compute_units, flags;
} sp_plugin_cl;

/* ---- what a variant is made for and run with ---- */

/* One use of an op: names and values side by side, in the order of the contract (op_table.inc). */
typedef struct sp_plugin_call {
    uint32_t struct_size;
    uint32_t n_ints, n_floats, n_flags, n_buffers;
    uint32_t reserved;
    const char *op; /* "gemm/1" */
    const char *const *int_names;
    const int64_t *ints;
    const char *const *float_names;
    const double *floats;
    const char *const *flag_names;
    const int32_t *flags; /* 0 or 1 */
    const char *const *buffer_names;
    const int32_t *buffer_present;  /* 0 or 1 */
    const char *neuron, *surrogate; /* fragment names, NULL where the op takes none */
    /* Since 1.1: the "tune:" lines of the .meta block, with the values for this variant. */
    uint32_t n_tunes, reserved2;
    const char *const *tune_names;
    const int64_t *tune_values;
} sp_plugin_call;

/* A buffer and the place in it. */
typedef struct sp_plugin_range {
    cl_mem mem;        /* NULL where the buffer is absent */
    uint64_t at_elems; /* offset in 4-byte elements */
} sp_plugin_range;

typedef struct sp_plugin_launch {
    uint32_t struct_size, n_buffers;
    cl_command_queue queue;
    const sp_plugin_range *buffers; /* order of sp_plugin_call.buffer_names */
    sp_plugin_range work;           /* the bytes that workspace asked for */
    int32_t first, last, iteration, reserved;
    float lr, bias1, bias2, reserved2;
    cl_event *event; /* NULL, or where the event of the last command goes (the host releases it) */
} sp_plugin_launch;

/* ---- what the plugin offers ---- */

typedef struct sp_plugin_variant sp_plugin_variant;
struct sp_plugin_variant {
    uint32_t struct_size, reserved;
    void *data; /* the plugin's own */
    /* Bytes of device memory that enqueue needs. NULL: none. [setup] */
    int32_t (*workspace)(sp_plugin_variant *v, uint64_t *bytes, sp_plugin_error *err);
    /* Everything slow: building kernels, self-tests. Called once, before the first enqueue. NULL: nothing.
     * [setup] */
    int32_t (*prepare)(sp_plugin_variant *v, sp_plugin_error *err);
    /* [hot] */
    int32_t (*enqueue)(sp_plugin_variant *v, const sp_plugin_launch *launch, sp_plugin_error *err);
    void (*destroy)(sp_plugin_variant *v); /* [setup] */
    /* For members of later days; may be NULL. */
    const void *(*get_extension)(sp_plugin_variant *v, const char *id);
};

typedef struct sp_plugin_descriptor {
    uint32_t struct_size, reserved;
    const char *op;    /* "gemm/1": what create(i, ...) implements */
    const char *about; /* one line */
} sp_plugin_descriptor;

#define SP_PLUGIN_VARIANT_FACTORY "spikeport.variant-factory/1"
typedef struct sp_plugin_factory {
    uint32_t struct_size, reserved;
    uint32_t (*count)(void);
    const sp_plugin_descriptor *(*get_descriptor)(uint32_t i);
    /* Makes the variant that descriptor i tells of, for one call on the host's device. host outlives the
     * variant, call does not outlive create. *out is written on success only. [setup] */
    int32_t (*create)(uint32_t i, const sp_plugin_host *host, const sp_plugin_call *call,
                      sp_plugin_variant **out, sp_plugin_error *err);
} sp_plugin_factory;

typedef struct sp_plugin_interface {
    uint32_t struct_size, abi_major, abi_minor, reserved;
    /* Balanced by deinit; may come again after it. host lives until deinit. Quick: no device work. [setup] */
    int32_t (*init)(const sp_plugin_host *host, sp_plugin_error *err);
    void (*deinit)(void);
    /* The factory of that id, NULL when unknown. */
    const void *(*get_factory)(const char *id);
} sp_plugin_interface;

#if defined(__GNUC__)
#define SP_PLUGIN_EXPORT __attribute__((visibility("default")))
#else
#define SP_PLUGIN_EXPORT
#endif

/* The one symbol: `const sp_plugin_interface sp_plugin_entry = {.struct_size = sizeof sp_plugin_entry, ...};`
 */
SP_PLUGIN_EXPORT extern const sp_plugin_interface sp_plugin_entry;

#ifdef __cplusplus
}
#endif
#endif
