/* A layer under the OpenCL loader that emulates another device on top of the real one, refuses what that
 * device would refuse, makes calls fail on demand, and counts objects. What the files of this folder share;
 * docs/TESTING.md says how to use it. */
#ifndef TESTS_LAYER_LAYER_H
#define TESTS_LAYER_LAYER_H

#define CL_USE_DEPRECATED_OPENCL_1_0_APIS
#define CL_USE_DEPRECATED_OPENCL_1_1_APIS
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS
#define CL_USE_DEPRECATED_OPENCL_2_0_APIS
#define CL_USE_DEPRECATED_OPENCL_2_1_APIS
#define CL_USE_DEPRECATED_OPENCL_2_2_APIS
#undef CL_TARGET_OPENCL_VERSION // the folders of host/ stay at 1.2
#define CL_TARGET_OPENCL_VERSION 300
#include <CL/cl.h>
#include <CL/cl_layer.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/yaml.h"

/* The driver underneath. */
extern cl_icd_dispatch driver;

/* What is wrong with the layer's own settings ends the process: a layer that is not on must not look like a
 * test that passes. */
void layer_die(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* ---- profile.c: the device that is emulated ---- */

/* Rules that are enforced and no single answer of clGetDeviceInfo; 0 or NULL where the profile is silent. */
typedef struct layer_rules {
    bool on; /* there is a profile */
    bool compiler,
        refuse_at_create; /* sources: taken; refused by clCreateProgramWithSource instead of clBuildProgram */
    bool idle_kernels, idle_transfers; /* what is enqueued does nothing, and says that it went well */
    bool fp64, out_of_order, profiling, arg_info, binaries, sub_groups;
    int64_t max_work_group, kernel_max_work_group, preferred_multiple, max_work_item[3];
    int64_t max_alloc_bytes, global_bytes, local_bytes, constant_bytes, base_align_bits, host_align_bytes;
    int cl_major, cl_minor;
    const char *extensions; /* NULL: the driver's own */
    const char *spills;     /* kernels built with an option that begins so do not have enough registers */
    sp_yaml *refuse;        /* names of calls that this vendor does not offer */
} layer_rules;
extern layer_rules rules;

/* Reads SPIKEPORT_LAYER_PROFILE and SPIKEPORT_LAYER_SET. */
void profile_load(void);
/* In place of a command of a device that does nothing. */
cl_int do_nothing(cl_command_queue q, cl_uint n, const cl_event *waits, cl_event *event);
/* The profile's value of a key, or NULL; keys of the platform are under "platform". */
const sp_yaml *profile_get(const char *key);
const sp_yaml *profile_platform(const char *key);
bool profile_refuses(const char *call);
bool profile_has_extension(const char *name);

/* ---- what the wrappers of the other files put into the table ---- */

void describe_install(cl_icd_dispatch *table); /* describe.c: questions */
void program_install(cl_icd_dispatch *table);  /* program.c: contexts, queues, programs, kernels */
void memory_install(cl_icd_dispatch *table);   /* memory.c: buffers and transfers */
void launch_install(cl_icd_dispatch *table);   /* launch.c: kernels in the queue, waiting */

/* ---- fault.c: the n-th call fails, and objects are counted ---- */

typedef enum {
    FAULT_CREATE,
    FAULT_ALLOC,
    FAULT_BUILD,
    FAULT_ARG,
    FAULT_ENQUEUE,
    FAULT_WRITE,
    FAULT_READ,
    FAULT_FINISH,
    FAULT_INFO,
    FAULT_ANY,
    N_FAULTS
} fault_kind;
typedef enum {
    OBJECT_CONTEXT,
    OBJECT_QUEUE,
    OBJECT_BUFFER,
    OBJECT_PROGRAM,
    OBJECT_KERNEL,
    OBJECT_EVENT,
    N_OBJECTS
} object_kind;

/* Reads SPIKEPORT_LAYER_FAULT and SPIKEPORT_LAYER_REPORT. */
void fault_load(void);
/* Called first in every wrapper: the code to fail with, or CL_SUCCESS. */
cl_int fault_now(fault_kind kind, const char *call);
/* References that the program holds: created and retained +1, released -1. */
void count_object(object_kind kind, int by);
/* The profile refused a call: counted, and said on stderr with SPIKEPORT_LAYER_VERBOSE=1. */
cl_int refuse(cl_int code, const char *call, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void count_unaligned_host(void);

/* For calls that return an object: stores the code where the caller wants it. */
static inline void *give_code(cl_int *where, cl_int code)
{
    if (where)
        *where = code;
    return NULL;
}

#endif
