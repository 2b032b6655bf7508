//@ plugin: reference 1.0.0
//@ abi:    1
//@ op:     fill/1
//@ kernel: fill__naive
//@ global: M
//@ score:  0
//@ about:  one work-item per element
// y[i] = value.

__kernel void fill__naive(SP_OUT(float, y), const float value)
{
    SP_AT(y);
    y[get_global_id(0)] = value;
}
