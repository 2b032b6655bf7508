/* What a convolution becomes where it is lowered to matrix products: im2col or col2im and gemm over chunks of
 * images. */
#ifndef SP_OP_LOWERED_H
#define SP_OP_LOWERED_H

#include "op/op.h"

/* Images of a chunk: their patches stay below 64 MiB. patch_elems: of one image. */
int64_t sp_lowered_images(int64_t images, int64_t patch_elems);

/* [m][n] = [m][k] x [k][n]; ta, tb: the factor is stored transposed; acc: added to what is there. */
sp_op_call sp_gemm_call(int64_t m, int64_t n, int64_t k, int ta, int tb, int acc);

/* A call and how often it comes. */
typedef struct sp_lowered_part {
    sp_op_call call;
    int64_t times;
} sp_lowered_part;
enum { SP_LOWERED_MAX_PARTS = 5 };

/* The parts of conv.forward, conv.backward_input and conv.backward_weight; 0 for other ops. A bias comes
 * first, then pairs: the patches of so many images and their product. */
size_t sp_op_lowered(const sp_op_call *call, sp_lowered_part out[SP_LOWERED_MAX_PARTS]);

#endif
