#pragma once

// REFUSION_TARGET_CLONES lists the variants; CMake defines it where the compiler and the loader can do it.
// Contraction to fused multiply-adds is off, so that all variants give the same bits.
#if defined(REFUSION_TARGET_CLONES)
#define REFUSION_MULTIVERSION __attribute__((target_clones(REFUSION_TARGET_CLONES)))
#else
#define REFUSION_MULTIVERSION
#endif
#define REFUSION_RESTRICT __restrict
