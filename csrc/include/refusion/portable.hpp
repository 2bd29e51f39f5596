#pragma once

// Functions that the CPU kernels, the CUDA kernels and the host both compile.
#if defined(__CUDACC__)
#define REFUSION_INLINE __host__ __device__ __forceinline__
#elif defined(__GNUC__)
// A helper that is not inlined into a multi-versioned kernel would be compiled for the baseline alone.
#define REFUSION_INLINE inline __attribute__((always_inline))
#else
#define REFUSION_INLINE inline
#endif

// Before a loop whose indices must be known at compile time, for what it indexes to stay in registers. Host
// compilers do not know it.
#if defined(__CUDA_ARCH__)
#define REFUSION_UNROLL _Pragma("unroll")
#else
#define REFUSION_UNROLL
#endif
