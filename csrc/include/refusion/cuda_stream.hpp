#pragma once

#include <stdexcept>

// CUDA's own types behind its handles, so that users of these headers need none of CUDA's.
struct CUevent_st;
struct CUgraphExec_st;
struct CUstream_st;

namespace refusion {

using CudaStream = CUstream_st*;  // cudaStream_t

// A call of CUDA failed, or there is no CUDA; the message holds the call and CUDA's own words.
class CudaError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

}  // namespace refusion
