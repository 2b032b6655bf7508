//@ plugin: reference 1.0.0
//@ abi:    1
//@ op:     optimizer.adamw/2
//@ kernel: optimizer_adamw__naive
//@ global: M
//@ score:  0
//@ about:  decoupled weight decay (L2: added to the gradient), then Adam's step; one work-item one parameter
__kernel void optimizer_adamw__naive(SP_IO(float, w), SP_IN(float, g), SP_IO(float, m), SP_IO(float, v),
                                     float lr, float beta1, float beta2, float eps, float weight_decay,
                                     float bias1, float bias2)
{
    SP_AT(w);
    SP_AT(g);
    SP_AT(m);
    SP_AT(v);
    const size_t i = get_global_id(0);
    const float e = L2 ? fma(weight_decay, w[i], g[i]) : g[i];
    const float m_new = beta1 * m[i] + (1.0f - beta1) * e;
    const float v_new = beta2 * v[i] + (1.0f - beta2) * e * e;
    m[i] = m_new;
    v[i] = v_new;
    w[i] = w[i] * (L2 ? 1.0f : 1.0f - lr * weight_decay) - lr * (m_new / bias1) / (sqrt(v_new / bias2) + eps);
}
