//@ plugin: reference 1.0.0
//@ abi:    1
//@ op:     dropout.mask/2
//@ kernel: dropout_mask__naive
//@ global: ceildiv(C, 32), M
//@ score:  0
//@ about:  Philox4x32-10, the numbers of host/base/rng.c; one work-item one word of the mask
//
// Element e = (m / rows) C + c takes word e % 4 of block e / 4: key = (seed, 0), counter = (block low, block
// high, stream, iteration), with STEP time_step 2^20 ^ stream in the place of stream. It is dropped where the
// word is below floor(p 2^32). Integers only: every device draws the same mask.
inline uint4 philox(uint4 c, uint2 key)
{
    for (int i = 0; i < 10; i++) {
        const uint hi0 = mul_hi(0xD2511F53u, c.x), lo0 = 0xD2511F53u * c.x;
        const uint hi1 = mul_hi(0xCD9E8D57u, c.z), lo1 = 0xCD9E8D57u * c.z;
        c = (uint4)(hi1 ^ c.y ^ key.x, lo1, hi0 ^ c.w ^ key.y, lo0);
        key += (uint2)(0x9E3779B9u, 0xBB67AE85u);
    }
    return c;
}

__kernel void dropout_mask__naive(SP_OUT(uint, mask), int C, int rows, int seed, int stream, int iteration,
                                  int time_step, float p)
{
    SP_AT(mask);
#if STEP
    stream ^= time_step << 20;
#endif
    const int word = (int)get_global_id(0);
    const ulong m = get_global_id(1);
    const uint threshold = convert_uint_sat(p * 4294967296.0f); // exact: a power of two
    const int end = min(C, word * 32 + 32);
    uint bits = 0;

    for (int c = word * 32; c < end; c++) {
        const ulong e = m / (ulong)rows * (ulong)C + (ulong)c, block = e / 4;
        const uint4 r = philox((uint4)((uint)block, (uint)(block >> 32), (uint)stream, (uint)iteration),
                               (uint2)((uint)seed, 0u));
        // A bit for each of the four: an array would take memory on NVIDIA, and a chain of ?: misleads Oclgrind 21.10.
        const uint kept = (r.x >= threshold) | (r.y >= threshold) << 1 | (r.z >= threshold) << 2 | (r.w >= threshold) << 3;
        bits |= (kept >> (uint)(e % 4) & 1u) << (c & 31);
    }
    mask[m * (ulong)SP_WORDS(C) + (ulong)word] = bits;
}

//@ op:     dropout.apply/1
//@ kernel: dropout_apply__naive
//@ global: C, M
//@ score:  0
//@ about:  y = x / (1 - p) where kept, else 0; one work-item one element
__kernel void dropout_apply__naive(SP_REF(sp_x, x), SP_IN(uint, mask), SP_IO(float, y), int C, float p)
{
    SP_AT(x);
    SP_AT(mask);
    SP_AT(y);
    const ulong m = get_global_id(1);
    const int c = (int)get_global_id(0);
    const float in = SP_X(x, m, c, C);
    y[m * (ulong)C + (ulong)c] = sp_bit(mask, m, c, C) > 0.0f ? in / (1.0f - p) : 0.0f;
}
