#include "refusion/warp_kernels.hpp"

#include "multiversion.hpp"
#include "refusion/colour.hpp"
#include "refusion/sampling.hpp"

namespace refusion::kernels {
namespace {

// Of a padded plane, four planes: the pixels, those to the right, those below. Said in this way, compilers
// vectorise the loops that sample them.
struct Corners {
    const float* here;
    const float* right;
    const float* below;
    const float* below_right;
};

REFUSION_INLINE Corners corners_of(const PaddedPlane& plane) {
    const float* const below = plane.data + plane.row_stride;
    return {plane.data, plane.data + 1, below, below + 1};
}

REFUSION_INLINE float sample(const Corners& corners, std::ptrdiff_t at, float right, float down) {
    const float above = between(corners.here[at], corners.right[at], right);
    return between(above, between(corners.below[at], corners.below_right[at], right), down);
}

}  // namespace

REFUSION_MULTIVERSION
void between_rows(const float* REFUSION_RESTRICT upper, const float* REFUSION_RESTRICT lower, float down,
                  std::ptrdiff_t count, float* REFUSION_RESTRICT out) {
    for (std::ptrdiff_t i = 0; i < count; ++i) {
        out[i] = between(upper[i], lower[i], down);
    }
}

REFUSION_MULTIVERSION
void places_of_cells(const float* REFUSION_RESTRICT nodes, std::ptrdiff_t cells,
                     Places& REFUSION_RESTRICT out) {
    constexpr float kPerStep = 1.0f / static_cast<float>(kWarpStep);
    for (std::ptrdiff_t cell = 0; cell < cells; ++cell) {
        const float u = nodes[2 * cell], v = nodes[2 * cell + 1];
        const float du = nodes[2 * cell + 2] - u, dv = nodes[2 * cell + 3] - v;
        for (std::ptrdiff_t i = 0; i < kWarpStep; ++i) {
            out.u[kWarpStep * cell + i] = u + static_cast<float>(i) * kPerStep * du;
            out.v[kWarpStep * cell + i] = v + static_cast<float>(i) * kPerStep * dv;
        }
    }
}

REFUSION_MULTIVERSION
void aim(const Places& REFUSION_RESTRICT places, std::ptrdiff_t n, const PaddedPlane& plane,
         const FadeBox& box, float per_pixel, Samples& REFUSION_RESTRICT out) {
    const PaddedPlane source = plane;
    const FadeBox fade = box;
    for (std::ptrdiff_t i = 0; i < n; ++i) {
        const float u = inside(places.u[i], source.last_x), v = inside(places.v[i], source.last_y);
        const auto x = static_cast<std::int32_t>(u), y = static_cast<std::int32_t>(v);
        out.index[i] = y * source.row_stride + x;
        out.right[i] = u - static_cast<float>(x);
        out.down[i] = v - static_cast<float>(y);
        const float across = share_between(places.u[i], fade.left, fade.right, per_pixel);
        const float along = share_between(places.v[i], fade.top, fade.bottom, per_pixel);
        out.share[i] = across < along ? across : along;
    }
}

REFUSION_MULTIVERSION
void show_faded(const PaddedPlane& plane, const Samples& REFUSION_RESTRICT samples, std::ptrdiff_t n,
                const float* REFUSION_RESTRICT instead, float* REFUSION_RESTRICT out) {
    const Corners corners = corners_of(plane);
    for (std::ptrdiff_t i = 0; i < n; ++i) {
        const float shown = sample(corners, samples.index[i], samples.right[i], samples.down[i]);
        out[i] = between(instead[i], shown, samples.share[i]);
    }
}

REFUSION_MULTIVERSION
void show_bytes(const PaddedPlane& plane, const Samples& REFUSION_RESTRICT samples, std::ptrdiff_t n,
                std::uint8_t* REFUSION_RESTRICT out) {
    const Corners corners = corners_of(plane);
    for (std::ptrdiff_t i = 0; i < n; ++i) {
        const float shown = sample(corners, samples.index[i], samples.right[i], samples.down[i]);
        out[i] = to_byte(samples.share[i] > 0.0f ? shown : 0.0f);
    }
}

REFUSION_MULTIVERSION
void levels(const std::uint8_t* REFUSION_RESTRICT values, std::ptrdiff_t n, float* REFUSION_RESTRICT out) {
    for (std::ptrdiff_t i = 0; i < n; ++i) {
        out[i] = static_cast<float>(values[i]);
    }
}

}  // namespace refusion::kernels
