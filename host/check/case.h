/* Inside of host/check: one call with inputs and expected outputs, the device memory it runs in, and the
 * verdict. */
#ifndef SP_CHECK_CASE_H
#define SP_CHECK_CASE_H

#include "check/check.h"

/* What an output holds before a launch: a quiet NaN, recognisable. An element that keeps it was not written.
 */
#define SP_CHECK_POISON      UINT32_C(0x7fc0dead)
#define SP_CHECK_POISON_HALF UINT32_C(0x7edd7edd) /* two NaN of 16 bits */

typedef struct sp_check_buffer {
    const char *name;
    bool present, bits, half;
    sp_access access;
    sp_type type;
    int64_t rows, cols, words; /* words: 4-byte elements; half: two elements a word */
    uint32_t *initial;         /* what the buffer holds before the launch */
    uint32_t *expected;        /* after the reference */
    uint32_t *got;             /* after the launch */
} sp_check_buffer;

typedef struct sp_check_case {
    sp_op_call call;
    uint64_t seed;
    int n_buffers;
    sp_check_buffer buffers[SP_OP_MAX_BUFFERS];
} sp_check_case;

/* Draws the inputs (a function of seed and call alone); then runs the reference. `expected` stays as drawn
 * where the op has no reference. */
sp_status sp_check_case_draw(sp_check_case *c, const sp_op_call *call, uint64_t seed, sp_error *err);
void sp_check_case_expect(sp_check_case *c);
/* Both. */
sp_status sp_check_case_init(sp_check_case *c, const sp_op_call *call, uint64_t seed, sp_error *err);
void sp_check_case_fini(sp_check_case *c);

/* sp_call_describe, and the dynamic scalars. */
void sp_check_describe(const sp_op_call *call, char *out, size_t size);

/* What a failure is about, and what repeats it. */
typedef struct sp_check_repeat {
    const sp_device *dev;
    const sp_variant *variant;
    const sp_op_call *call;
    const int64_t *tunes; /* NULL: the defaults */
    uint64_t seed;
} sp_check_repeat;
/* Makes "<variant> for <op>: <what err says>. Repeat with `spikeport plugins check ...`" of err. Where there
 * is too little room, first the further lines of what err says give way, then the command, which is whole or
 * not there. Returns status. */
sp_status sp_check_blame(const sp_check_repeat *r, sp_status status, sp_error *err);
/* A call as --shape takes it: sp_check_describe, and the floats, on which kernels do not depend but results
 * do. */
void sp_check_describe_whole(const sp_op_call *call, char *out, size_t size);

/* Index of the input that output i may share memory with in this call; -1 none. */
int sp_check_alias_of(const sp_check_case *c, int i);

/* How one output compares with the reference. */
typedef struct sp_check_verdict {
    bool ok;
    double error; /* largest |got - expected| / largest |expected| */
    int64_t n_bad;
    char text[320]; /* the first difference, in words */
} sp_check_verdict;

/* Judges output i of c, whose got is filled; tolerance 0 asks for equal values. */
void sp_check_compare(const sp_check_case *c, int i, double tolerance, sp_check_verdict *out);

/* One device buffer that holds every buffer of a case between guard zones. Grows, never shrinks. */
typedef struct sp_check_arena {
    sp_device *dev;
    cl_mem mem;
    uint64_t capacity_words, words;
    uint32_t *image, *back;         /* what is written to the device, what is read back */
    uint64_t at[SP_OP_MAX_BUFFERS]; /* offset of each buffer, words */
    uint64_t work_at, work_words;
} sp_check_arena;

void sp_check_arena_init(sp_check_arena *a, sp_device *dev);
void sp_check_arena_fini(sp_check_arena *a);

/* Lays the case out (outputs over the inputs they may alias where shared is set), launches, fills `got` of
 * every present buffer, and checks guard zones and inputs: SP_E_MISMATCH says what was overwritten. */
sp_status sp_check_arena_run(sp_check_arena *a, sp_check_case *c, sp_launch *launch, bool shared,
                             sp_error *err);

/* A part of the samples (or rows) of a call whose C reference would take too long: the device computes all of
 * it, the reference these. */
typedef struct sp_check_part {
    sp_op_call call; /* of these samples alone */
    int64_t of, n;   /* how many of how many: the first, the last, and some between */
    int summed;      /* buffer that is 0 for all others, where outputs are sums over samples; -1: none */
} sp_check_part;
/* False where the call is compared whole, or cannot be compared at all. */
bool sp_check_part_of(const sp_op_call *call, sp_check_part *p);
/* few: the part of what was drawn for all, as a case of its own; `expected` of all is gone then. */
sp_status sp_check_part_draw(const sp_check_part *p, sp_check_case *all, sp_check_case *few, sp_error *err);
/* What a launch has made of it. SP_E_MISMATCH where an element, of any sample, was not written. */
sp_status sp_check_part_take(const sp_check_part *p, const sp_check_case *all, sp_check_case *few,
                             sp_error *err);

/* The call with its leading letter (samples or rows) halved while it is large and the variant still takes it:
 * what the C reference computes in reasonable time. Where that letter is baked into the program, the call
 * itself if it can be compared, in all or in a part of its samples. */
sp_op_call sp_check_shrink(const sp_variant *v, const sp_device *dev, const sp_op_call *call,
                           const int64_t *tune_values);
/* Where sizes are baked into the program but not the op's first one (samples, or rows), the quick shapes
 * would each be compiled for nothing: two samples of the call at hand are compiled to the program that the
 * run needs. False where that does not hold, or where the reference would take too long. */
bool sp_check_few_samples(const sp_variant *v, const sp_device *dev, const sp_op_call *call, sp_op_call *few);
/* The same where the first size is baked too: the call itself, or where that is too large, one of fewer
 * samples. */
bool sp_check_call_at_hand(const sp_variant *v, const sp_device *dev, const sp_op_call *call,
                           sp_op_call *tried);

#endif
