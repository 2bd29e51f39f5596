#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "refusion/refusion.hpp"

// Pictures in memory, and as binary Netpbm files (.pgm, .ppm): enough for examples without an image library.
// With OpenCV, a cv::Mat `m` of 8 bits is seen as an image without a copy:
//   refusion::Image<const std::uint8_t>{m.data, m.rows, m.cols, m.channels(), std::ptrdiff_t(m.step[0]),
//                                       m.channels(), 1}
namespace example {

struct Picture {
    std::ptrdiff_t height = 0;
    std::ptrdiff_t width = 0;
    std::ptrdiff_t channels = 1;  // 1 (gray) or 3 (BGR)
    std::vector<std::uint8_t> bytes;

    Picture(std::ptrdiff_t height, std::ptrdiff_t width, std::ptrdiff_t channels)
        : height(height),
          width(width),
          channels(channels),
          bytes(static_cast<std::size_t>(height * width * channels)) {}

    refusion::Image<const std::uint8_t> view() const {
        return {bytes.data(), height, width, channels, width * channels, channels, 1};
    }
    refusion::Image<std::uint8_t> view() {
        return {bytes.data(), height, width, channels, width * channels, channels, 1};
    }

    // Netpbm has red first.
    void swap_red_and_blue() {
        for (std::size_t i = 0; channels == 3 && i + 2 < bytes.size(); i += 3) {
            std::swap(bytes[i], bytes[i + 2]);
        }
    }
};

inline Picture read_picture(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    const auto refuse = [&path](const char* problem) { throw std::runtime_error(path + ": " + problem); };
    if (!file) {
        refuse("cannot be opened");
    }
    const auto number = [&file, &refuse] {
        while ((file >> std::ws).peek() == '#') {
            std::string comment;
            std::getline(file, comment);
        }
        std::ptrdiff_t value = 0;
        if (!(file >> value) || value < 1 || value > 65535) {
            refuse("has no size and depth as Netpbm files have");
        }
        return value;
    };
    std::string magic;
    file >> magic;
    if (magic != "P5" && magic != "P6") {
        refuse("is no binary Netpbm file (P5 or P6); convert it, for instance with `convert IN OUT.ppm`");
    }
    const std::ptrdiff_t width = number(), height = number();
    if (number() != 255) {
        refuse("does not have 8 bits a channel");
    }
    file.get();  // the one blank after the depth
    Picture picture(height, width, magic == "P5" ? 1 : 3);
    file.read(reinterpret_cast<char*>(picture.bytes.data()),
              static_cast<std::streamsize>(picture.bytes.size()));
    if (!file) {
        refuse("ends too early");
    }
    picture.swap_red_and_blue();
    return picture;
}

inline void write_picture(const std::string& path, Picture picture) {
    picture.swap_red_and_blue();
    std::ofstream file(path, std::ios::binary);
    file << (picture.channels == 1 ? "P5" : "P6") << '\n'
         << picture.width << ' ' << picture.height << "\n255\n";
    file.write(reinterpret_cast<const char*>(picture.bytes.data()),
               static_cast<std::streamsize>(picture.bytes.size()));
    if (!file.flush()) {
        throw std::runtime_error(path + ": cannot be written");
    }
}

// The colour of the result comes from the sources that have any.
inline refusion::Chroma chroma_of(const Picture& a, const Picture& b) {
    const bool a_is_gray = refusion::is_gray(a.view()), b_is_gray = refusion::is_gray(b.view());
    if (a_is_gray) {
        return b_is_gray ? refusion::Chroma::kNone : refusion::Chroma::kB;
    }
    return b_is_gray ? refusion::Chroma::kA : refusion::Chroma::kBoth;
}

}  // namespace example
