// Fuses two pictures with an engine of refusion-export, all of it on the GPU:
//   fuse_with_tensorrt ENGINE.plan A.ppm B.ppm OUT.ppm
// A plan is machine code that TensorRT runs as it is: load none but your own, after comparing its hash with
// the sidecar's (README.md). Compiles with TensorRT 8.5 to 11 and with TensorRT for RTX.
#include <NvInferRuntime.h>

#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "picture.hpp"
#include "refusion/refusion.hpp"

namespace {

class Logger : public nvinfer1::ILogger {
  public:
    void log(Severity severity, const char* message) noexcept override {
        if (severity <= Severity::kWARNING) {
            std::cerr << "TensorRT: " << message << '\n';
        }
    }
};

// Engines may carry code for the host, which ours do not need. TensorRT 8.5 knows no such switch, nor such
// engines.
template <class Runtime>
auto refuse_host_code(Runtime& runtime, int) -> decltype(runtime.setEngineHostCodeAllowed(false)) {
    runtime.setEngineHostCodeAllowed(false);
}
template <class Runtime>
void refuse_host_code(Runtime&, long) {}

void require(bool holds, const std::string& otherwise) {
    if (!holds) {
        throw std::runtime_error(otherwise);
    }
}

class Engine {
  public:
    explicit Engine(const std::string& path) : runtime_(nvinfer1::createInferRuntime(logger_)) {
        require(runtime_ != nullptr, "TensorRT cannot start; see its messages above");
        refuse_host_code(*runtime_, 0);
        std::ifstream file(path, std::ios::binary);
        const std::vector<char> plan{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
        require(!plan.empty(), path + ": cannot be read");
        engine_.reset(runtime_->deserializeCudaEngine(plan.data(), plan.size()));
        require(engine_ != nullptr,
                path + ": was built for another TensorRT or GPU, or is damaged; export it again");
        context_.reset(engine_->createExecutionContext());
        require(context_ != nullptr, path + ": there is too little GPU memory to run it");
    }

    // Takes two planes in float, and gives one.
    void enqueue(std::ptrdiff_t height, std::ptrdiff_t width, const refusion::DeviceBuffer& sources,
                 const refusion::DeviceBuffer& fused, refusion::CudaStream stream) {
        using Length = std::remove_reference_t<decltype(nvinfer1::Dims{}.d[0])>;
        nvinfer1::Dims shape{};
        shape.nbDims = 4;
        shape.d[0] = 1;
        shape.d[1] = 2;
        shape.d[2] = static_cast<Length>(height);
        shape.d[3] = static_cast<Length>(width);
        require(context_->setInputShape("sources", shape),
                "the engine was not built for " + std::to_string(width) + "x" + std::to_string(height) +
                    "; export one whose shapes hold it");
        require(context_->setTensorAddress("sources", sources.get()) &&
                    context_->setTensorAddress("fused", fused.get()) && context_->enqueueV3(stream),
                "TensorRT could not run the engine; see its messages above");
    }

  private:
    // In the order in which they may not go.
    Logger logger_;
    std::unique_ptr<nvinfer1::IRuntime> runtime_;
    std::unique_ptr<nvinfer1::ICudaEngine> engine_;
    std::unique_ptr<nvinfer1::IExecutionContext> context_;
};

refusion::CudaImage on_device(const refusion::DeviceBuffer& memory, const example::Picture& picture) {
    refusion::CudaImage image;
    image.pointer = memory.pointer();
    image.height = picture.height;
    image.width = picture.width;
    image.channels = static_cast<int>(picture.channels);
    return image;
}

void run(const char* plan, const char* path_a, const char* path_b, const char* path_out) {
    const example::Picture a = example::read_picture(path_a), b = example::read_picture(path_b);
    const refusion::Chroma chroma = example::chroma_of(a, b);
    example::Picture out(a.height, a.width, chroma == refusion::Chroma::kNone ? 1 : 3);
    const std::size_t plane_bytes = static_cast<std::size_t>(a.height * a.width) * sizeof(float);

    // For a stream of frames, all of this is made once. Pinned memory then lets copies overlap with work, and
    // a CudaGraph launches pre-processing, network and post-processing as one.
    Engine engine(plan);
    const refusion::OwnedStream stream;
    const refusion::DeviceBuffer device_a(a.bytes.size()), device_b(b.bytes.size()),
        device_out(out.bytes.size());
    const refusion::DeviceBuffer sources(2 * plane_bytes), fused(plane_bytes);
    const refusion::DeviceBuffer range(refusion::cuda_range_state_bytes(a.height, a.width));
    const refusion::CudaPlane input{sources.pointer(), a.height, a.width, refusion::CudaValue::kFloat};
    const refusion::CudaPlane output{fused.pointer(), a.height, a.width, refusion::CudaValue::kFloat};
    refusion::cuda_reset_range(range.pointer(), a.height, a.width, stream.get());

    refusion::copy_async(device_a.get(), a.bytes.data(), a.bytes.size(), stream.get());
    refusion::copy_async(device_b.get(), b.bytes.data(), b.bytes.size(), stream.get());
    const refusion::CudaImage image_a = on_device(device_a, a), image_b = on_device(device_b, b);
    refusion::cuda_preprocess(image_a, image_b, input, stream.get());
    engine.enqueue(a.height, a.width, sources, fused, stream.get());
    refusion::cuda_update_range(output, range.pointer(), refusion::CudaRange::kImage, stream.get());
    refusion::cuda_postprocess(output, image_a, image_b, chroma, range.pointer(), on_device(device_out, out),
                               stream.get());
    refusion::copy_async(out.bytes.data(), device_out.get(), out.bytes.size(), stream.get());
    stream.synchronize();
    example::write_picture(path_out, out);
}

}  // namespace

int main(int count, char** arguments) {
    if (count != 5) {
        std::cerr << "usage: " << arguments[0] << " ENGINE.plan A.ppm B.ppm OUT.ppm\n";
        return 2;
    }
    try {
        run(arguments[1], arguments[2], arguments[3], arguments[4]);
    } catch (const std::exception& error) {
        std::cerr << "error: " << error.what() << '\n';
        return 1;
    }
    return 0;
}
