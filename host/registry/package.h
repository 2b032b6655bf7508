/* Programs compiled ahead of time: a folder with kernels as files, their binaries and manifest.json. A plan
 * that is made while a package records fills it; a plan that is made while a package serves takes kernels
 * from its binaries alone. */
#ifndef SP_REGISTRY_PACKAGE_H
#define SP_REGISTRY_PACKAGE_H

#include "registry/launch.h"

typedef struct sp_package sp_package;

typedef enum { SP_TARGET_OFFLINE, SP_TARGET_INTEL_FPGA, SP_TARGET_AMD_FPGA } sp_target;
const char *sp_target_name(sp_target t); /* "offline", "intel-fpga", "amd-fpga" */

/* ---- making: set reg->recorder, make plans, write ---- */
sp_status sp_package_create(sp_package **out, sp_error *err);
sp_status sp_package_record_choice(sp_package *p, const sp_op_call *call, const sp_variant *v, sp_error *err);
sp_status sp_package_record_launch(sp_package *p, sp_registry *reg, const sp_launch *l, sp_error *err);
/* `about` says what the plan is for; the digest is sp_plan_digest's. */
sp_status sp_package_record_plan(sp_package *p, uint64_t digest, const char *about, sp_error *err);

typedef struct sp_package_options {
    const char *folder; /* made when missing */
    sp_target target;
    const char *runs_on; /* part of the name or platform of the device that is to run it; NULL: this device
                            and driver (offline), the vendor's platform (FPGA) */
    const char *version; /* of spikeport */
} sp_package_options;
typedef struct sp_package_totals {
    size_t programs, kernels, calls, plans;
    uint64_t binary_bytes; /* 0 for FPGA targets: the build script makes those */
} sp_package_totals;
/* Kernels as self-contained OpenCL C, binaries (offline) or a build script (FPGA), and at last the manifest.
 */
sp_status sp_package_write(sp_package *p, sp_device *dev, const sp_package_options *o,
                           sp_package_totals *totals, sp_error *err);

/* ---- running: set reg->package; the registry destroys it ---- */
/* Reads the manifest and compares format and device. */
sp_status sp_package_open(const char *folder, const sp_device *dev, sp_package **out, sp_error *err);
void sp_package_destroy(sp_package **p);
bool sp_package_has(const sp_package *p, const sp_op_call *call); /* a program for it */
sp_status sp_package_choose(const sp_package *p, const sp_registry *reg, const sp_op_call *call,
                            sp_variant **out, sp_error *err);
/* A plan must be one of those that were recorded. */
sp_status sp_package_check_plan(const sp_package *p, uint64_t digest, sp_error *err);

/* What binary programs cannot be asked about: argument names and types. */
typedef struct sp_packed_arg {
    char name[96], type[96];
    bool global, constant, restricted;
} sp_packed_arg;

typedef struct sp_packed_kernel {
    char *function, *name; /* in the plugin's file; in the package, where it is unique */
    sp_packed_arg *args;
    cl_uint n_args;
} sp_packed_kernel;

typedef struct sp_packed_program {
    char key[17]; /* of source and options, as the running program knows them */
    char *op, *variant, *options, *text, *source, *binary;
    sp_packed_kernel kernels[SP_VARIANT_MAX_PASSES];
    int n_kernels;
} sp_packed_program;

/* The program with this key, its binary loaded; an error names the file and the reason. */
sp_status sp_package_program(sp_package *p, sp_device *dev, const sp_variant *v, const sp_op_call *call,
                             const char *key, const sp_packed_program **packed, cl_program *program,
                             sp_error *err);

#endif
