//@ plugin: gpu_elementwise 1.0.0
//@ abi:    1
//@ all:    device: gpu
//@ op:     add/1
//@ kernel: add__vec4
//@ global: ceildiv(M*C, 4)
//@ bake:   C
//@ score:  50
//@ about:  four elements a work-item

/* y = a + b. y may be the memory of a. Neighbouring items have neighbouring vectors; buffers begin at multiples of 16 bytes. */
__kernel void add__vec4(SP_REF(float, a), SP_IN(float, b), SP_IO(float, y), int M)
{
    SP_AT(a);
    SP_AT(b);
    SP_AT(y);
    const ulong i = get_global_id(0), n = (ulong)M * C;
    if (C % 4 == 0 || i * 4 + 4 <= n)
        ((__global float4 *)y)[i] = ((__global const float4 *)a)[i] + ((__global const float4 *)b)[i];
    else
        for (ulong j = i * 4; j < n; j++)
            y[j] = a[j] + b[j];
}
