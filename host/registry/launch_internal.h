/* The parts of a launch, shared by launch.c, launch_program.c and launch_bind.c. */
#ifndef SP_REGISTRY_LAUNCH_INTERNAL_H
#define SP_REGISTRY_LAUNCH_INTERNAL_H

#include "base/mem.h"
#include "registry/launch.h"
#include "registry/library.h"
#include "registry/package.h"

enum { SP_ARG_WORK = -1 }; /* in place of a buffer's index: the workspace */

/* Kernel arguments of one buffer: its pointer and its offset. */
typedef struct sp_range_arg {
    int buffer; /* index in the op's buffers, or SP_ARG_WORK */
    cl_uint mem_arg, at_arg;
    bool writes; /* not const */
    bool bound;  /* mem and at_bytes are what the kernel has */
    sp_range range;
} sp_range_arg;

/* Kernel argument of a dynamic scalar. */
typedef struct sp_dynamic_arg {
    const char *name;
    cl_uint arg;
    size_t offset;    /* in sp_dynamic */
    size_t arg_bytes; /* 4, or 8 for long and ulong */
    bool bound;
    uint32_t bits; /* value that the kernel has */
} sp_dynamic_arg;

typedef struct sp_launch_pass {
    cl_kernel kernel; /* this launch's own: argument state is not shared */
    cl_uint dims;
    size_t global[3], local[3];
    bool has_local, empty; /* empty: no work-items for this shape */
    sp_range_arg ranges[SP_OP_MAX_BUFFERS + 1];
    int n_ranges;
    sp_dynamic_arg dynamics[6];
    int n_dynamics;
} sp_launch_pass;

struct sp_launch {
    sp_device *dev;
    const sp_variant *variant;
    sp_op_call call;
    int64_t tune_values[SP_VARIANT_MAX_TUNES]; /* what the program was built with */
    const sp_packed_program *packed;           /* its description where it came as a binary, else NULL */
    uint64_t workspace_bytes;
    sp_launch_pass passes[SP_VARIANT_MAX_PASSES];
    int n_passes;
    sp_library_variant *library; /* instead of passes */
};

/* The built program of l's variant for its call; from the registry's package where there is one. */
sp_status sp_launch_program(sp_registry *reg, sp_launch *l, cl_program *out, sp_error *err);

/* The texts of the program one after the other, and its options. The caller frees both, on failure too. */
sp_status sp_launch_source(const sp_registry *reg, const sp_launch *l, sp_text *text, sp_text *options,
                           sp_error *err);
/* Hash of both: what a program compiled ahead of time is found by. */
sp_status sp_launch_key(const sp_registry *reg, const sp_launch *l, char key[17], sp_error *err);

/* Where something stands in the file of a variant, for messages (place.c): "path:line", the path alone where
 * line is 0. */
enum { SP_PLACE_SIZE = 320 };
void sp_variant_place(const sp_variant *v, int line, char out[SP_PLACE_SIZE]);
/* Line of an argument of a pass's kernel, NULL: of the kernel itself. Where macros hide them, the next best:
 * the kernel's, that of its metadata; 0: unknown. */
int sp_variant_code_line(const sp_variant *v, const sp_pass *pass, const char *argument);
/* What the text of a file shows of a kernel that its program does not have: it stands under an #if, or
 * without
 * __kernel, or another one has nearly the same name. */
typedef enum { SP_KERNEL_UNKNOWN, SP_KERNEL_HIDDEN, SP_KERNEL_UNMARKED, SP_KERNEL_NEAR } sp_kernel_hint;
/* out: the name of that other one. */
sp_kernel_hint sp_variant_near_kernel(const sp_variant *v, const char *name, char *out, size_t size);

/* Looks every argument of the pass's kernel (number `index` of the variant) up in the contract, sets the
 * static scalars, and notes the others. */
sp_status sp_launch_bind(sp_launch *l, sp_launch_pass *pass, int index, sp_error *err);

#endif
