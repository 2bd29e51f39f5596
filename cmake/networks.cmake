# The networks on the CPU. Their kernels are written with the vector extensions of GCC and Clang; without them the
# module is built without networks, and ONNX Runtime runs these.
if(MSVC)
  return()
endif()
include(cmake/kernels.cmake)
target_sources(refusion_ops PRIVATE
  csrc/cpu/instruction_set.cpp
  csrc/cpu/lite/guided.cpp
  csrc/cpu/lite/network.cpp
  csrc/cpu/network/block_pass.cpp
  csrc/cpu/network/end_passes.cpp
  csrc/cpu/network/feature_map.cpp
  csrc/cpu/network/fusion_network.cpp
  csrc/cpu/network/gram_pass.cpp
  csrc/cpu/network/layers.cpp
  csrc/cpu/network/pass.cpp
  csrc/cpu/network/scratch.cpp
  csrc/cpu/state_dict.cpp)
target_compile_definitions(refusion_ops PUBLIC REFUSION_NETWORKS)
refusion_add_kernels(refusion_ops csrc/cpu/lite/kernels.cpp)
if(REFUSION_BFLOAT16)
  set(bfloat16 avx512_bf16)
  set_property(SOURCE csrc/cpu/instruction_set.cpp csrc/cpu/network/fusion_network.cpp APPEND PROPERTY
    COMPILE_DEFINITIONS REFUSION_BFLOAT16)
endif()
refusion_add_kernels(refusion_ops csrc/cpu/network/kernels.cpp ${bfloat16})
