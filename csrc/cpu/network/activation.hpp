#pragma once

#include "../simd.hpp"

namespace refusion::REFUSION_ISA {

template <int kCount>
REFUSION_INLINE Vector polynomial(const float (&coefficients)[kCount], Vector x) {
    Vector sum = splat(coefficients[0]);
    REFUSION_UNROLL
    for (int i = 1; i < kCount; ++i) {
        sum = sum * x + coefficients[i];
    }
    return sum;
}

// x Phi(x), with Phi the normal distribution (the exact GELU, not its tanh form), to 2e-6: Phi(x) - 1/2 is
// odd, and x P(x^2) fits it on [-5, 5] to 4e-7 (least maximum, in powers of x^2 scaled to [-1, 1]).
REFUSION_INLINE Vector gelu(Vector x) {
    constexpr float kEnd = 5.0f;
    static constexpr float kCoefficients[] = {
        4.929693532e-04f,  -1.514154021e-03f, 2.001860645e-03f,  -2.915672492e-03f, 6.165429950e-03f,
        -1.097323187e-02f, 1.649765670e-02f,  -2.333673090e-02f, 3.142622858e-02f,  -4.043294862e-02f,
        5.152142048e-02f,  -7.029665262e-02f, 1.413637847e-01f};
    const Vector inside = minimum(maximum(x, splat(-kEnd)), splat(kEnd));
    const Vector p = polynomial(kCoefficients, inside * inside * (2.0f / (kEnd * kEnd)) - 1.0f);
    return x * (inside * p + 0.5f);
}

// 2^x for x in [-126, 126], relative error 2e-7.
REFUSION_INLINE Vector exp2(Vector x) {
    static constexpr float kCoefficients[] = {1.546534262e-04f,
                                              1.339531005e-03f,
                                              9.618039858e-03f,
                                              5.550340612e-02f,
                                              2.402265110e-01f,
                                              6.931472001e-01f,
                                              1.0f};
    const IntVector whole = __builtin_convertvector(x + (x < 0.0f ? splat(-0.5f) : splat(0.5f)), IntVector);
    const Vector fraction = x - __builtin_convertvector(whole, Vector);
    const IntVector exponent = (whole + 127) << 23;
    Vector power;
    __builtin_memcpy(&power, &exponent, sizeof(power));
    return polynomial(kCoefficients, fraction) * power;
}

// 1 / (1 + e^-x).
REFUSION_INLINE Vector sigmoid(Vector x) {
    constexpr float kLog2E = 1.4426950408889634f;
    const Vector inside = minimum(maximum(x, splat(-80.0f)), splat(80.0f));
    return 1.0f / (1.0f + exp2(inside * -kLog2E));
}

}  // namespace refusion::REFUSION_ISA
