/* A network of integers as files for hardware: memories, a C header, a manifest, and golden vectors. */
#ifndef SP_INTEGER_EXPORT_H
#define SP_INTEGER_EXPORT_H

#include "base/mem.h"
#include "integer/integer.h"

#define SP_HDL_FORMAT "spikeport-hdl/1"

/* What the layers did with chosen samples: numbers and spikes alike [sample][time step][h][w][c]. */
typedef struct sp_integer_golden {
    int32_t **in, **u, **out; /* [layers] */
    int64_t *samples;         /* numbers in the test data, from 1 */
    int32_t *labels;          /* their classes, -1 none */
    int32_t *outputs;         /* [sample][classes] */
    size_t n;
} sp_integer_golden;

/* Appends numbers, one in a line. Bits of a number: sp_integer_bits. */
void sp_integer_write_codes(sp_text *out, const int32_t *x, int64_t n, int bits);
/* Bits of numbers up to `most`, with a sign where they may be negative. */
int sp_integer_bits(int64_t most, bool is_signed);
int sp_integer_input_bits(const sp_integer *net, int layer);
bool sp_integer_input_signed(const sp_integer *net, int layer);
int sp_integer_sum_bits(const sp_integer *net, int layer);
int sp_integer_output_bits(const sp_integer *net, int layer); /* of a spike: 1 */
/* Cycles of a layer at a time step with `elements` multiply-accumulates at once: the engine of examples/hdl
 * has one. A bound: silent inputs are not skipped. */
int64_t sp_integer_cycles(const sp_integer_layer *l, int64_t elements);

/* Writes the folder, which must be missing, empty or an earlier export. The manifest is written last. */
sp_status sp_integer_export(const sp_integer *net, const char *folder, const char *name,
                            const sp_integer_golden *golden, sp_error *err);
sp_status sp_integer_export_check(const char *folder, sp_error *err);

#endif
