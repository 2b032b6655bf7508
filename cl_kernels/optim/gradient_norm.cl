//@ plugin: reference 1.0.0
//@ abi:    1
//@ include: compensated.clh
//@ op:        gradient.norm/1
//@ define:    GROUPS = 256
//@ workspace: GROUPS*64
//@ kernel:    gradient_norm__strips
//@ global:    64, GROUPS
//@ kernel:    gradient_norm__finish
//@ global:    1
//@ score:     0
//@ about:     squares by 64 columns and groups of rows of 64, then all of those sums, in a fixed order

__kernel void gradient_norm__strips(SP_IN(float, g), SP_OUT(float, work), const int M)
{
    SP_AT(g);
    SP_AT(work);
    const ulong c = get_global_id(0), rows = ((ulong)M + 63) / 64, group = (rows + GROUPS - 1) / GROUPS;
    const ulong end = min((get_global_id(1) + 1) * group, rows);
    float sum = 0.0f, lost = 0.0f;
    for (ulong row = get_global_id(1) * group; row < end; row++) {
        const ulong i = row * 64 + c;
        const float x = i < (ulong)M ? g[i] : 0.0f;
        add_to(&sum, &lost, x * x);
    }
    work[get_global_id(1) * 64 + c] = sum;
}

__kernel void gradient_norm__finish(SP_IN(float, work), SP_OUT(float, norm))
{
    SP_AT(work);
    SP_AT(norm);
    norm[0] = sqrt(sum_in_order(work, 64 * GROUPS));
}
