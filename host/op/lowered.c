/* The calls of a lowered convolution: plan/rewrite.c makes steps of them, check/ knows what they cost. */
#include "op/lowered.h"

#include <string.h>

#include "base/size.h"

int64_t sp_lowered_images(int64_t images, int64_t patch_elems)
{
    int64_t n = (INT64_C(64) << 20) / (patch_elems > 0 ? 4 * patch_elems : 1);
    return n < 1 ? 1 : n > images ? images : n;
}

static sp_op_call patches(const char *op, const sp_op_call *conv, int64_t images)
{
    sp_op_call c = sp_op_call_make(op);
    for (int i = 0; i < SP_OP_MAX_INTS && c.op->ints[i]; i++)
        c.ints[i] = sp_call_int(conv, c.op->ints[i]);
    sp_call_set_int(&c, "N", images);
    for (int i = 0; i < SP_OP_MAX_FLAGS && c.op->flags[i]; i++)
        if (strcmp(c.op->flags[i], "X_BITS") == 0)
            c.flags[i] = sp_call_flag(conv, "X_BITS");
    return c;
}

sp_op_call sp_gemm_call(int64_t m, int64_t n, int64_t k, int ta, int tb, int acc)
{
    sp_op_call c = sp_op_call_make("gemm/1");
    sp_call_set_int(&c, "M", m), sp_call_set_int(&c, "N", n), sp_call_set_int(&c, "K", k);
    sp_call_set_flag(&c, "TA", ta), sp_call_set_flag(&c, "TB", tb), sp_call_set_flag(&c, "ACC", acc);
    return c;
}

static size_t add(sp_lowered_part *out, size_t n, sp_op_call call, int64_t times)
{
    out[n] = (sp_lowered_part){call, times};
    return n + 1;
}

size_t sp_op_lowered(const sp_op_call *call, sp_lowered_part out[SP_LOWERED_MAX_PARTS])
{
    bool forward = strncmp(call->op->id, "conv.forward/", 13) == 0;
    bool input = strncmp(call->op->id, "conv.backward_input/", 20) == 0;
    bool weight = strncmp(call->op->id, "conv.backward_weight/", 21) == 0;
    size_t n = 0;
    if (!forward && !input && !weight)
        return 0;
    int64_t images = sp_call_int(call, "N"), o = sp_call_int(call, "O"), rows, k, bytes;
    if (!SP_SIZE_MUL(&rows, sp_call_int(call, "HO"), sp_call_int(call, "WO")) ||
        !SP_SIZE_MUL(&k, sp_call_int(call, "KH"), sp_call_int(call, "KW"), sp_call_int(call, "C")) ||
        !SP_SIZE_MUL(&bytes, images, rows, k, 4))
        return 0;
    int64_t chunk = sp_lowered_images(images, rows * k), rest = images % chunk;
    bool bias = forward && sp_call_flag(call, "BIAS");
    if (bias) {
        sp_op_call b = sp_op_call_make("bias.broadcast/1");
        sp_call_set_int(&b, "M", images * rows), sp_call_set_int(&b, "C", o);
        n = add(out, n, b, 1);
    }
    for (int part = 0; part < 2; part++) {
        int64_t each = part ? rest : chunk, times = part ? 1 : images / chunk;
        if (!each || !times)
            continue;
        n = add(out, n, patches(input ? "col2im/1" : "im2col/1", call, each), times);
        n = add(out, n,
                forward ? sp_gemm_call(each * rows, o, k, 0, 0, bias)
                : input ? sp_gemm_call(each * rows, k, o, 0, 1, 0)
                        : sp_gemm_call(k, o, each * rows, 1, 0, 1),
                times);
    }
    return n;
}
