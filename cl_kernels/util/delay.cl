//@ plugin: reference 1.0.0
//@ abi:    1
//@ op:     delay/1
//@ kernel: delay__naive
//@ global: M*(X_BITS*ceildiv(C, 32) + (1 - X_BITS)*C)
//@ score:  0
//@ about:  one work-item per element, or per word of spikes
// y = kept; kept = x. y may be the memory of x: an element is read before it is written.

#if X_BITS
typedef uint item; // 32 channels
#else
typedef float item;
#endif

__kernel void delay__naive(SP_REF(item, x), SP_IO(item, kept), SP_IO(item, y))
{
    SP_AT(x);
    SP_AT(kept);
    SP_AT(y);
    const size_t i = get_global_id(0);
    const item now = x[i];
    y[i] = kept[i];
    kept[i] = now;
}
