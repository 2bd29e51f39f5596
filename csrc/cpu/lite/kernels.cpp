// Compiled once per instruction set: see cmake/kernels.cmake. Plain loops, which the compilers turn into
// vectors.
#include "kernels.hpp"

#if defined(__clang__)
#define REFUSION_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define REFUSION_INDEPENDENT _Pragma("GCC ivdep")
#endif

namespace refusion::lite::REFUSION_ISA {
namespace {

constexpr float kRidge = 1e-4f;
constexpr float kMidGray = 0.5f;
constexpr float kDetail = 0.13f;

inline std::ptrdiff_t smaller(std::ptrdiff_t a, std::ptrdiff_t b) { return a < b ? a : b; }
inline std::ptrdiff_t larger(std::ptrdiff_t a, std::ptrdiff_t b) { return a > b ? a : b; }

void pool(const float* const* rows, std::ptrdiff_t width, float* line, float* out) {
    constexpr float share = 1.0f / (kStride * kStride);
    const std::ptrdiff_t pixels = (width + kStride - 1) / kStride;
    REFUSION_INDEPENDENT
    for (std::ptrdiff_t x = 0; x < width; ++x) {
        line[x] = (rows[0][x] + rows[1][x]) + (rows[2][x] + rows[3][x]);
    }
    for (std::ptrdiff_t x = width; x < pixels * kStride; ++x) {
        line[x] = line[width - 1];
    }
    REFUSION_INDEPENDENT
    for (std::ptrdiff_t x = 0; x < pixels; ++x) {
        const float* four = line + kStride * x;
        out[x] = ((four[0] + four[1]) + (four[2] + four[3])) * share;
    }
}

// Sums over the windows' columns of a line that has kRadius zeros at either end.
void sum_columns(const float* line, std::ptrdiff_t pixels, float* out) {
    REFUSION_INDEPENDENT
    for (std::ptrdiff_t x = 0; x < pixels; ++x) {
        float sum = line[x];
        for (std::ptrdiff_t i = 1; i <= 2 * kRadius; ++i) {
            sum += line[x + i];
        }
        out[x] = sum;
    }
}

void clear_ends(float* line, std::ptrdiff_t pixels) {
    for (std::ptrdiff_t i = 0; i < kRadius; ++i) {
        line[i] = line[kRadius + pixels + i] = 0.0f;
    }
}

// Sums over the windows' columns of what `value` gives for each pixel.
template <class Value>
void sum_values(Value value, std::ptrdiff_t pixels, float* line, float* out) {
    float* inside = line + kRadius;
    REFUSION_INDEPENDENT
    for (std::ptrdiff_t x = 0; x < pixels; ++x) {
        inside[x] = value(x);
    }
    sum_columns(line, pixels, out);
}

void sum_moments(const float* const* planes, std::ptrdiff_t pixels, float* line, float* const* out) {
    // Around mid gray: variances are differences of means of squares, which are the more exact the smaller.
    const auto a = [p = planes[0]](std::ptrdiff_t x) { return p[x] - kMidGray; };
    const auto b = [p = planes[1]](std::ptrdiff_t x) { return p[x] - kMidGray; };
    const auto fused = [p = planes[2]](std::ptrdiff_t x) { return p[x] - kMidGray; };
    const auto product = [](auto first, auto second) {
        return [=](std::ptrdiff_t x) { return first(x) * second(x); };
    };
    clear_ends(line, pixels);
    sum_values(a, pixels, line, out[0]);
    sum_values(b, pixels, line, out[1]);
    sum_values(fused, pixels, line, out[2]);
    sum_values(product(a, a), pixels, line, out[3]);
    sum_values(product(a, b), pixels, line, out[4]);
    sum_values(product(b, b), pixels, line, out[5]);
    sum_values(product(a, fused), pixels, line, out[6]);
    sum_values(product(b, fused), pixels, line, out[7]);
}

// 1 / (pixels of the window around each column that are in the picture), for windows of `rows` rows.
void inverse_counts(std::ptrdiff_t pixels, int rows, float* out) {
    for (std::ptrdiff_t x = 0; x < pixels; ++x) {
        const std::ptrdiff_t columns = smaller(x + kRadius, pixels - 1) - larger(x - kRadius, 0) + 1;
        out[x] = 1.0f / static_cast<float>(columns * rows);
    }
}

void add_rows(const float* const* const* rows, int count, int plane, std::ptrdiff_t pixels,
              const float* factors, float* out) {
    REFUSION_INDEPENDENT
    for (std::ptrdiff_t x = 0; x < pixels; ++x) {
        out[x] = rows[0][plane][x];
    }
    for (int i = 1; i < count; ++i) {
        const float* row = rows[i][plane];
        REFUSION_INDEPENDENT
        for (std::ptrdiff_t x = 0; x < pixels; ++x) {
            out[x] += row[x];
        }
    }
    REFUSION_INDEPENDENT
    for (std::ptrdiff_t x = 0; x < pixels; ++x) {
        out[x] *= factors[x];
    }
}

void fit(const float* const* const* rows, int count, std::ptrdiff_t pixels, float* line,
         float* const* scratch, float* const* out) {
    inverse_counts(pixels, count, line);
    for (int moment = 0; moment < kMoments; ++moment) {
        add_rows(rows, count, moment, pixels, line, scratch[moment]);
    }
    float *const a = scratch[0], *const b = scratch[1], *const fused = scratch[2];
    const float *const raw_aa = scratch[3], *const raw_ab = scratch[4], *const raw_bb = scratch[5],
                       *const raw_af = scratch[6], *const raw_bf = scratch[7];
    REFUSION_INDEPENDENT
    for (std::ptrdiff_t x = 0; x < pixels; ++x) {
        const float aa = raw_aa[x] - a[x] * a[x] + kRidge;
        const float bb = raw_bb[x] - b[x] * b[x] + kRidge;
        const float ab = raw_ab[x] - a[x] * b[x];
        const float af = raw_af[x] - a[x] * fused[x] + kRidge / 2;
        const float bf = raw_bf[x] - b[x] * fused[x] + kRidge / 2;
        const float inverse = 1.0f / (aa * bb - ab * ab);
        const float of_a = (af * bb - bf * ab) * inverse;
        const float of_b = (bf * aa - af * ab) * inverse;
        fused[x] += kMidGray * (1.0f - of_a - of_b) - of_a * a[x] - of_b * b[x];
        a[x] = of_a;
        b[x] = of_b;
    }
    clear_ends(line, pixels);
    float* const fits[kCoefficients] = {fused, a, b};
    for (int i = 0; i < kCoefficients; ++i) {
        sum_values([fit = fits[i]](std::ptrdiff_t x) { return fit[x]; }, pixels, line, out[i]);
    }
}

void average(const float* const* const* rows, int count, std::ptrdiff_t pixels, float* const* out) {
    // The last plane holds the counts until its own turn.
    float* const factors = out[kCoefficients];
    inverse_counts(pixels, count, factors);
    for (int plane = 0; plane < kCoefficients; ++plane) {
        add_rows(rows, count, plane, pixels, factors, out[plane]);
    }
}

// One plane, between the centres of small pixels, which lie at 1.5 + 4 i.
void enlarge(const float* above, const float* below, float share, std::ptrdiff_t pixels, float* line,
             float* out) {
    float* const middle = line + 1;
    REFUSION_INDEPENDENT
    for (std::ptrdiff_t x = 0; x < pixels; ++x) {
        middle[x] = above[x] + share * (below[x] - above[x]);
    }
    line[0] = middle[0];
    middle[pixels] = middle[pixels - 1];
    REFUSION_INDEPENDENT
    for (std::ptrdiff_t x = 0; x < pixels; ++x) {
        const float left = middle[x - 1], at = middle[x], right = middle[x + 1];
        out[kStride * x] = at + 0.375f * (left - at);
        out[kStride * x + 1] = at + 0.125f * (left - at);
        out[kStride * x + 2] = at + 0.125f * (right - at);
        out[kStride * x + 3] = at + 0.375f * (right - at);
    }
}

void apply(const float* const* above, const float* const* below, float share, std::ptrdiff_t pixels,
           const float* a, const float* b, std::ptrdiff_t width, float* line, float* out) {
    float* const rest = line + pixels + 2;
    float* const of_a = rest + pixels * kStride;
    float* const of_b = of_a + pixels * kStride;
    enlarge(above[0], below[0], share, pixels, line, rest);
    enlarge(above[1], below[1], share, pixels, line, of_a);
    enlarge(above[2], below[2], share, pixels, line, of_b);
    REFUSION_INDEPENDENT
    for (std::ptrdiff_t x = 0; x < width; ++x) {
        out[x] = rest[x] + of_a[x] * a[x] + of_b[x] * b[x];
    }
}

void sharpen(const float* const* rows, std::ptrdiff_t width, float* line, float* out) {
    float* const middle = line + 1;
    REFUSION_INDEPENDENT
    for (std::ptrdiff_t x = 0; x < width; ++x) {
        middle[x] = (rows[0][x] + rows[2][x]) + 2.0f * rows[1][x];
    }
    line[0] = middle[0];
    middle[width] = middle[width - 1];
    REFUSION_INDEPENDENT
    for (std::ptrdiff_t x = 0; x < width; ++x) {
        const float blurred = ((middle[x - 1] + middle[x + 1]) + 2.0f * middle[x]) * (1.0f / 16.0f);
        const float value = rows[1][x] + kDetail * (rows[1][x] - blurred);
        const float above_zero = value > 0.0f ? value : 0.0f;
        out[x] = above_zero < 1.0f ? above_zero : 1.0f;
    }
}

}  // namespace

const Kernels kLiteKernels = {&pool, &sum_moments, &fit, &average, &apply, &sharpen};

}  // namespace refusion::lite::REFUSION_ISA
