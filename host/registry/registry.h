/* Plugins: variants of ops and fragments, read from `//@` metadata; built-in ones and outside ones by one
 * loader. */
#ifndef SP_REGISTRY_REGISTRY_H
#define SP_REGISTRY_REGISTRY_H

#include "cl/program.h"
#include "op/op.h"

enum {
    SP_VARIANT_MAX_PASSES = 12,
    SP_VARIANT_MAX_TUNES = 8,
    SP_VARIANT_MAX_VENDOR_TUNES = 12,
    SP_VARIANT_MAX_BAKES = SP_OP_MAX_INTS
};

typedef enum {
    SP_VARIANT_KERNEL,  /* one or more kernels (passes) of one .cl file */
    SP_VARIANT_LIBRARY, /* shared object beside a .meta file */
    SP_VARIANT_LOWER    /* metadata only: the plan replaces the op by other ops (im2col + gemm) */
} sp_variant_kind;

typedef enum {
    SP_ORIGIN_REFERENCE,
    SP_ORIGIN_BUILTIN,
    SP_ORIGIN_OUTSIDE
} sp_origin; /* cl_kernels/, plugins/, path */

typedef struct sp_pass {
    char *kernel;               /* entry function */
    char *global[3], *local[3]; /* expressions, NULL where not given; local all NULL: the driver chooses */
    int dims;
    struct {
        int kernel, global, local;
    } lines; /* in the file; 0: unknown */
} sp_pass;

typedef struct sp_tune {
    char *name;
    int64_t values[16];
    int n_values; /* values[0] is the default */
} sp_tune;

/* "//@ vendor: amd TM = 8": the default on the devices of one vendor. */
typedef struct sp_vendor_tune {
    const char *vendor;
    uint32_t quirk; /* SP_QUIRK_GPU_OF_..., SP_QUIRK_NARROW_CPU */
    int tune;
    int64_t value;
} sp_vendor_tune;

/* "//@ let: NAME = EXPRESSION", for what is said about conditions. */
typedef struct sp_let {
    char *name, *written;
    char *value; /* with the names of other lets replaced by what they stand for */
} sp_let;

typedef struct sp_variant {
    char *plugin, *version; /* "//@ plugin: lif_vec4 1.0.0" */
    char *id;               /* "<plugin>:<first kernel>", "<plugin>:<library>" or "<plugin>:lower" */
    const sp_op *op;
    sp_variant_kind kind;
    sp_origin origin;
    sp_pass passes[SP_VARIANT_MAX_PASSES];
    int n_passes;
    sp_tune tunes[SP_VARIANT_MAX_TUNES];
    int n_tunes;
    sp_vendor_tune vendor_tunes[SP_VARIANT_MAX_VENDOR_TUNES];
    int n_vendor_tunes;
    char *bake[SP_VARIANT_MAX_BAKES]; /* ints given as -D instead of arguments; "*" bakes all static ints */
    int n_bakes;
    char *defines; /* extra "-DVW=4 ..." */
    char *when;    /* expression or NULL: shapes, flags, tunes, device limits (wg, local_bytes, ...) */
    int when_line, workspace_line, registers_line; /* 0: unknown, or there is none */
    char *when_written;                            /* before the names of `lets` in it were replaced */
    sp_let *lets;
    int n_lets;
    char *needs_device;     /* space separated device types it is meant for, NULL all */
    char *needs_extensions; /* space separated, NULL none */
    char *registers;        /* expression that grows with the registers of a work-item, NULL unknown */
    char *workspace;        /* expression: 4-byte elements of the argument `work`, NULL none */
    char *library;          /* file name without path, for SP_VARIANT_LIBRARY */
    char *about, *path;     /* path of the file, "builtin:..." for embedded ones */
    const char *source;     /* text of the .cl with what it includes in front, owned by the registry */
    const char *own;        /* in source: where the file itself begins, NULL where it includes nothing */
    int64_t score;          /* reference kernels have 0 */
    double tolerance;       /* <= the op's; 0 with exact set means bit-equal */
    bool bf16;              /* compute: bf16; for calls with the flag BF16 alone; tolerance is its own */
    bool approximate;       /* tolerance is its own, larger than the op's */
    char *by_name;          /* why it runs only where it is forced by name, NULL: it may be chosen */
    int64_t group_limit;    /* groups of so many items were refused on the device; 0 none */
    char *refused; /* reason found on a device at run time (build failure, wrong result); NULL none */
} sp_variant;

typedef enum { SP_FRAGMENT_NEURON, SP_FRAGMENT_SURROGATE } sp_fragment_kind;
/* What a neuron model has beyond u ("//@ uses: aux threshold learn"): a second state, a threshold that
 * follows it, a learnable scalar. 0: the six functions of docs/PLUGIN_HOWTO.md are all. */
enum { SP_USES_AUX = 1, SP_USES_THRESHOLD = 2, SP_USES_LEARN = 4 };

typedef struct sp_fragment {
    char *plugin, *version, *name, *about, *path;
    sp_fragment_kind kind;
    sp_origin origin;
    const char *source;
    double width_default; /* surrogate: "//@ param: width = 1.0" */
    int uses;             /* neuron: SP_USES_ bits */
    char *refused;
} sp_fragment;

typedef struct sp_refusal { /* a file that was not taken, and why */
    char *path, *reason;
} sp_refusal;

typedef struct sp_registry {
    sp_variant **variants; /* sorted by op id, then score descending, then id */
    size_t n_variants;
    sp_fragment **fragments;
    size_t n_fragments;
    sp_refusal *refusals;
    size_t n_refusals;
    /* forced choices: "conv.forward" -> "cpu_conv:..." or plugin name; from --plugin op=variant */
    struct sp_forced {
        char *op, *variant;
    } * forced;
    size_t n_forced;
    /* asked before a variant is chosen, and before a fragment of an outside plugin is used: SP_OK to trust
     * it. Set by the session (sp_check_install). */
    sp_status (*trust)(void *ctx, sp_device *dev, sp_variant *v, const sp_op_call *call, sp_error *err);
    sp_status (*trust_fragment)(void *ctx, sp_device *dev, sp_fragment *f, sp_error *err);
    void *trust_ctx;
    /* programs compiled ahead of time, see package.h */
    struct sp_package *package;      /* serves: kernels come from its binaries alone; owned */
    struct sp_package *recorder;     /* records what plans choose and launch; not owned */
    struct sp_wisdom *wisdom;        /* what was measured on the device, wisdom.h; NULL: the score decides */
    struct sp_registry_store *store; /* owned texts and handles */
} sp_registry;

/* Loads the built-in files, then those in the folders of `paths` (colon separated), then
 * SPIKEPORT_PLUGIN_PATH. A bad file is recorded in refusals and never stops the load. [setup] */
sp_status sp_registry_create(const char *paths, sp_registry **out, sp_error *err);
void sp_registry_destroy(sp_registry **reg);

/* "--plugin conv.forward=cpu_conv": op id or family, variant id or plugin name or "reference". Unknown names
 * are SP_E_USAGE with the nearest. op "*" with "reference" forces the reference kernels everywhere. */
sp_status sp_registry_force(sp_registry *reg, const char *op_equals_variant, sp_error *err);
/* Whether v is a kernel that the i-th forced choice stands for, where another one does not overrule it. */
bool sp_registry_is_forced(const sp_registry *reg, size_t i, const sp_variant *v);
/* Warns of forced choices that others overrule: of two for one op, the last given counts. */
void sp_registry_say_forced(const sp_registry *reg);

const sp_fragment *sp_fragment_find(const sp_registry *reg, sp_fragment_kind kind, const char *name);
/* Names of all fragments of a kind; for error messages. Array is the registry's. */
size_t sp_fragment_names(const sp_registry *reg, sp_fragment_kind kind, const char **names, size_t max);

/* One candidate of a selection and what became of it: "chosen: highest score", "rejected: O % 16 == 0 is
 * false (O=10)", "lower score". Of a condition, the reason has the part that does not hold. */
enum { SP_REASON_SIZE = sizeof((sp_error *)0)->text + 16 }; /* "refused: " and what an error says */
typedef struct sp_candidate {
    sp_variant *variant;
    bool chosen, applicable;
    char reason[SP_REASON_SIZE];
} sp_candidate;

/* Chooses the variant for a call: forced, else filter (device, when, trust), then wisdom, then score, then
 * id. A forced choice that does not fit is an error. `why` gets the reason of the choice. Refused candidates
 * are logged once. [setup] */
sp_status sp_select(sp_registry *reg, sp_device *dev, const sp_op_call *call, sp_variant **out, char *why,
                    size_t why_size, sp_error *err);
/* Whether two calls take the place of the ops `apart`, which do the same in more passes: where both have
 * something better than the reference kernel or are forced, unless what is forced is one of `apart`. A
 * package decides as when it was made. */
bool sp_select_fuses(sp_registry *reg, sp_device *dev, const sp_op_call *const fused[2],
                     const char *const apart[2]);
/* Whether a variant that computes in bf16 could take the call on dev. */
bool sp_select_has_bf16(const sp_registry *reg, const sp_device *dev, const sp_op_call *call);
/* Every candidate with its reason, best first; returns how many (at most max). */
size_t sp_select_explain(sp_registry *reg, sp_device *dev, const sp_op_call *call, sp_candidate *out,
                         size_t max);

/* The flag of a call that makes a buffer half which v cannot read so; NULL where it can. A file whose own
 * text says neither the flag nor SP_AT_U or SP_AT_XH, which every kernel for it needs, was written without a
 * thought of half and sees float32 only. */
const char *sp_variant_lacks_half(const sp_variant *v, const sp_op_call *call);
/* The call as v computes it: the flag BF16 is a permission that other variants do not take. */
sp_op_call sp_variant_call(const sp_variant *v, const sp_op_call *call);
/* Whether an int of the op is given to the variant's program as -D. */
bool sp_variant_bakes(const sp_variant *v, const char *name);
/* Whether the device has what `needs:` names; else the reason. */
bool sp_variant_needs_met(const sp_variant *v, const sp_device *dev, char *reason, size_t size);
/* What a variant's results depend on: its text, conditions, the shared object's bytes, the common header of
 * kernels. */
uint64_t sp_variant_hash(const sp_variant *v);
uint64_t sp_fragment_hash(const sp_fragment *f);
/* Whether v may serve the call on dev with these values of its tunables (NULL: the defaults), where what is
 * forced by name may be for another type of device or run by name alone; else the reason. */
bool sp_select_admits(const sp_registry *reg, const sp_device *dev, const sp_variant *v,
                      const sp_op_call *call, const int64_t *tune_values, char *reason, size_t size);

/* Whether `device:` names the device's type; what it says is where v is fast. */
bool sp_variant_is_meant_for(const sp_variant *v, const sp_device *dev);
/* The part of it that is about where v is right, not about where it is fast, allowed or refused: what it
 * needs, half buffers, `when`. What the check tries is what this lets through. */
bool sp_variant_can_run(const sp_variant *v, const sp_device *dev, const sp_op_call *call,
                        const int64_t *tune_values, char *reason, size_t size);

/* Takes a variant out of the choice for the life of the registry (its build or its check failed); logs it
 * once as a warning. A second reason changes nothing. [setup] */
void sp_variant_refuse(sp_variant *v, const char *reason);
/* Places of the values of v's tunables: the next combination, the first tunable fastest; all 0 are the
 * defaults. False: it was the last. */
bool sp_variant_next_tunes(const sp_variant *v, int at[SP_VARIANT_MAX_TUNES]);
/* Makes a value the default of a tunable. False: v has no such tunable, or it has no such value. */
bool sp_variant_prefer(sp_variant *v, const char *tune, int64_t value);
/* Where the driver takes smaller groups of this kernel than of others, or its registers do not suffice: makes
 * those values of its tunables the defaults that give the next smaller group, or the next fewer registers
 * (of those the most that `when` allows). Groups as large as one that was refused do not come back for the
 * sake of registers. False: there are none. */
typedef enum { SP_SHRINK_GROUPS, SP_SHRINK_REGISTERS } sp_shrink;
bool sp_variant_shrink(sp_variant *v, sp_shrink what, const sp_device *dev, const sp_op_call *call);
/* Makes what the metadata say of the device's vendor the defaults of the tunables, where a variant is meant
 * for such a device. Once, before the first choice. [setup] */
void sp_registry_suit(sp_registry *reg, const sp_device *dev);

/* Lookup for `when`, `global`, `workspace`: ints and flags of the call, tunes and defines of the variant,
 * device limits (wg, cu, local_bytes, private_bytes, fp16, fp64, gpu, cpu, accelerator). ctx is an
 * sp_variant_scope. */
typedef struct sp_variant_scope {
    const sp_variant *variant;
    const sp_op_call *call;
    const sp_device *dev;
    const int64_t *tune_values; /* NULL: defaults */
} sp_variant_scope;
int sp_variant_lookup(void *scope, const char *name, int64_t *value);
/* Whether `when` holds; false too where it cannot be evaluated: SP_E_PLUGIN with file and line. */
sp_status sp_variant_when(const sp_variant_scope *scope, bool *holds, sp_error *err);
/* Whether what only chooses can be evaluated: `when` and, where it holds, `registers`. In a run a variant of
 * which that is not so is passed over or taken as it is; its check fails. */
sp_status sp_variant_evaluates(const sp_variant_scope *scope, sp_error *err);
/* "rejected: O % 16 == 0 is false (O=10)": the first part of `when`, which must be false, that does not hold.
 */
void sp_variant_say_false(sp_variant_scope *scope, char *reason, size_t size);

#endif
