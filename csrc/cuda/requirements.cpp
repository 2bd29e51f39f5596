#include "requirements.hpp"

#include <cmath>
#include <stdexcept>
#include <string>

namespace refusion {
namespace cuda {
namespace {

[[noreturn]] void refuse(const std::string& what, const std::string& expected, const std::string& found) {
    throw std::invalid_argument(what + " must be " + expected + ", not " + found);
}

std::string size_text(std::ptrdiff_t height, std::ptrdiff_t width) {
    return std::to_string(width) + "x" + std::to_string(height);
}

void require_size_of(const CudaImage& image, const char* name, const CudaPlane& plane) {
    if (image.height != plane.height || image.width != plane.width) {
        refuse(name, "of the size of the network's planes, " + size_text(plane.height, plane.width),
               size_text(image.height, image.width));
    }
}

}  // namespace

void require_size(std::ptrdiff_t height, std::ptrdiff_t width, const char* name) {
    if (height < 1 || width < 1 || height > kMaxCudaPixels / width) {
        refuse(name, "1x1 to " + std::to_string(kMaxCudaPixels) + " pixels", size_text(height, width));
    }
}

void require_plane(const CudaPlane& plane, const char* name) {
    require_size(plane.height, plane.width, name);
    const std::size_t bytes = plane.value == CudaValue::kHalf ? 2 : 4;
    if (plane.pointer == 0 || plane.pointer % bytes != 0) {
        refuse(name, "an address that is a multiple of " + std::to_string(bytes),
               std::to_string(plane.pointer));
    }
}

void require_source(const CudaImage& image, const char* name, const CudaPlane& plane) {
    require_valid(image, name);
    require_size_of(image, name, plane);
}

void require_warp(const CudaWarp& warp) {
    if (warp.nodes == 0 || warp.nodes % 8 != 0) {
        refuse("the warp's nodes", "at an address that is a multiple of 8", std::to_string(warp.nodes));
    }
    const FadeBox& box = warp.box;
    if (!(box.left < box.right && box.top < box.bottom)) {
        refuse("the warp's box", "left < right and top < bottom",
               "(" + std::to_string(box.left) + ", " + std::to_string(box.top) + ", " +
                   std::to_string(box.right) + ", " + std::to_string(box.bottom) + ")");
    }
}

void require_picture(const CudaImage& out, Chroma chroma, const CudaPlane& plane) {
    require_valid(out, "out");
    require_size_of(out, "out", plane);
    const int channels = chroma == Chroma::kNone ? 1 : 3;
    if (out.channels != channels) {
        refuse("out", "of " + std::to_string(channels) + " channel(s) for this chroma",
               "of " + std::to_string(out.channels));
    }
    if (out.has_levels()) {
        refuse("out", "8-bit without levels", "one with them");
    }
}

void require_aligned_state(std::uintptr_t state) {
    if (state % 16 != 0) {
        refuse("state", "aligned to 16 bytes", "at " + std::to_string(state));
    }
}

void require_state(std::uintptr_t state) {
    require_aligned_state(state);
    if (state == 0) {
        refuse("state", "a range state", "0");
    }
}

}  // namespace cuda

void require_valid(const CudaImage& image, const char* name) {
    const std::string owner = *name ? std::string(name) + ": " : std::string();
    if (image.channels != 1 && image.channels != 3) {
        cuda::refuse(owner + "channels", "1 (gray) or 3 (BGR)", std::to_string(image.channels));
    }
    if (image.bits != 8 && image.bits != 16) {
        cuda::refuse(owner + "bits", "8 or 16", std::to_string(image.bits));
    }
    cuda::require_size(image.height, image.width, (owner + "the size").c_str());
    const std::ptrdiff_t channel_bytes = image.bits / 8;
    if (image.pointer == 0 || image.pointer % static_cast<std::uintptr_t>(channel_bytes) != 0) {
        cuda::refuse(owner + "pointer", "an address that is a multiple of " + std::to_string(channel_bytes),
                     std::to_string(image.pointer));
    }
    const std::ptrdiff_t least = image.width * image.pixel_bytes();
    if (image.row_bytes != 0 && (image.row_bytes < least || image.row_bytes % channel_bytes != 0)) {
        cuda::refuse(owner + "row_bytes",
                     "0, or at least the " + std::to_string(least) + " of a row and a multiple of " +
                         std::to_string(channel_bytes),
                     std::to_string(image.row_bytes));
    }
    if (!(std::isfinite(image.low) && std::isfinite(image.high) && image.low < image.high)) {
        cuda::refuse(owner + "levels", "low < high, both finite",
                     "(" + std::to_string(image.low) + ", " + std::to_string(image.high) + ")");
    }
}

}  // namespace refusion
