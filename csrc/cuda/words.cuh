#pragma once

#include <cassert>
#include <cstdint>
#include <cstring>

#include "refusion/portable.hpp"

#if defined(__CUDACC__)
#include <cuda_fp16.h>
#endif

// Memory as the kernels see it: wide loads and stores, and FP16 that the host has too. Everything compiles
// with a plain C++ compiler, so that the kernels' bodies can be tested without a GPU.
namespace refusion::cuda {

REFUSION_INLINE std::uint32_t bits_of(float value) {
#if defined(__CUDA_ARCH__)
    return __float_as_uint(value);
#else
    std::uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
#endif
}

REFUSION_INLINE float float_of(std::uint32_t bits) {
#if defined(__CUDA_ARCH__)
    return __uint_as_float(bits);
#else
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
#endif
}

struct Half {
    std::uint16_t bits;
};

REFUSION_INLINE float to_float(float value) { return value; }

REFUSION_INLINE float to_float(Half value) {
#if defined(__CUDA_ARCH__)
    return __half2float(__ushort_as_half(value.bits));
#else
    // A factor moves the exponent to where float has it, subnormal numbers included.
    std::uint32_t bits = bits_of(float_of((value.bits & 0x7fffu) << 13) * 0x1p112f);
    if ((value.bits & 0x7c00u) == 0x7c00u) {  // infinite, or no number
        bits |= 0x7f800000u;
    }
    return float_of(bits | (value.bits & 0x8000u) << 16);
#endif
}

// Rounded to nearest, ties to even.
REFUSION_INLINE Half to_half(float value) {
#if defined(__CUDA_ARCH__)
    return {__half_as_ushort(__float2half_rn(value))};
#else
    const std::uint32_t sign = bits_of(value) >> 16 & 0x8000u, bits = bits_of(value) & 0x7fffffffu;
    std::uint32_t result;
    if (bits > 0x7f800000u) {
        result = 0x7fffu;
    } else if (bits >= 0x477ff000u) {  // rounds to more than 65504
        result = 0x7c00u;
    } else if (bits < 0x38800000u) {  // subnormal: next to 0.5 floats are as far apart as these
        result = bits_of(float_of(bits) + 0.5f) - 0x3f000000u;
    } else {
        result = (bits + 0xfffu + (bits >> 13 & 1u) - 0x38000000u) >> 13;
    }
    return {static_cast<std::uint16_t>(sign | result)};
#endif
}

REFUSION_INLINE void store(float* to, float value) { *to = value; }
REFUSION_INLINE void store(Half* to, float value) { *to = to_half(value); }

// Neighbouring words that one instruction moves.
template <int kWords>
struct alignas(4 * kWords) Words {
    std::uint32_t word[kWords];
};

// A piece of a row that one thread works on, in registers: indices must be known at compile time.
template <int kBytes>
struct Piece {
    static constexpr int kWide = kBytes % 16 == 0 ? 4 : 2;
    static constexpr int kMoves = kBytes / (4 * kWide);
    static constexpr int kAlignment = 4 * kWide;
    static_assert(kMoves * kAlignment == kBytes);

    Words<kWide> words[kMoves];

    REFUSION_INLINE void load(const void* from) {
        assert(reinterpret_cast<std::uintptr_t>(from) % kAlignment == 0);
        REFUSION_UNROLL
        for (int i = 0; i < kMoves; ++i) {
            words[i] = static_cast<const Words<kWide>*>(from)[i];
        }
    }

    REFUSION_INLINE void store(void* to) const {
        assert(reinterpret_cast<std::uintptr_t>(to) % kAlignment == 0);
        REFUSION_UNROLL
        for (int i = 0; i < kMoves; ++i) {
            static_cast<Words<kWide>*>(to)[i] = words[i];
        }
    }

    REFUSION_INLINE std::uint32_t& word(int index) { return words[index / kWide].word[index % kWide]; }
    REFUSION_INLINE std::uint32_t word(int index) const { return words[index / kWide].word[index % kWide]; }
    REFUSION_INLINE std::uint32_t byte(int index) const {
        return word(index / 4) >> (8 * (index % 4)) & 0xffu;
    }
    REFUSION_INLINE std::uint32_t two_bytes(int index) const {
        return word(index / 2) >> (16 * (index % 2)) & 0xffffu;
    }
};

// How many pixels one thread takes where memory is aligned: 8 of FP16 are 16 bytes.
constexpr int kPiecePixels = 8;

template <class Value>
using ValuePiece = Piece<kPiecePixels* static_cast<int>(sizeof(Value))>;

REFUSION_INLINE float value_at(const ValuePiece<float>& piece, int index) {
    return float_of(piece.word(index));
}
REFUSION_INLINE float value_at(const ValuePiece<Half>& piece, int index) {
    return to_float(Half{static_cast<std::uint16_t>(piece.two_bytes(index))});
}

// Sets the values at an even index and at the next.
REFUSION_INLINE void set_two(ValuePiece<float>& piece, int index, float first, float second) {
    piece.word(index) = bits_of(first);
    piece.word(index + 1) = bits_of(second);
}
REFUSION_INLINE void set_two(ValuePiece<Half>& piece, int index, float first, float second) {
    piece.word(index / 2) = to_half(first).bits | static_cast<std::uint32_t>(to_half(second).bits) << 16;
}

}  // namespace refusion::cuda
