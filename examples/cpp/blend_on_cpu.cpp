// Pre- and post-processing on the CPU around the simplest of networks, the mean of both sources:
//   blend_on_cpu A.ppm B.ppm OUT.ppm
// A runtime of your choice (ONNX Runtime, OpenVINO...) takes the place of `mean`.
#include <exception>
#include <iostream>
#include <vector>

#include "picture.hpp"
#include "refusion/refusion.hpp"

namespace {

std::vector<float> mean(const std::vector<float>& sources) {
    const std::size_t pixels = sources.size() / 2;
    std::vector<float> fused(pixels);
    for (std::size_t i = 0; i < pixels; ++i) {
        fused[i] = 0.5f * (sources[i] + sources[pixels + i]);
    }
    return fused;
}

void run(const char* path_a, const char* path_b, const char* path_out) {
    const example::Picture a = example::read_picture(path_a), b = example::read_picture(path_b);
    const std::ptrdiff_t height = a.height, width = a.width, pixels = height * width;

    std::vector<float> sources(static_cast<std::size_t>(2 * pixels));
    refusion::preprocess(a.view(), b.view(), {sources.data(), height, width, 2, width, 1, pixels});

    const std::vector<float> fused = mean(sources);

    const refusion::Image<const float> plane{fused.data(), height, width, 1, width, 1, 0};
    auto [low, high] = refusion::value_range(plane);
    if (!(low < high)) {  // a picture of one level is left as it is
        low = 0.0f;
        high = 1.0f;
    }
    const refusion::Chroma chroma = example::chroma_of(a, b);
    example::Picture out(height, width, chroma == refusion::Chroma::kNone ? 1 : 3);
    refusion::postprocess(plane, a.view(), b.view(), chroma, low, high, out.view());
    example::write_picture(path_out, out);
}

}  // namespace

int main(int count, char** arguments) {
    if (count != 4) {
        std::cerr << "usage: " << arguments[0] << " A.ppm B.ppm OUT.ppm\n";
        return 2;
    }
    try {
        run(arguments[1], arguments[2], arguments[3]);
    } catch (const std::exception& error) {
        std::cerr << "error: " << error.what() << '\n';
        return 1;
    }
    return 0;
}
