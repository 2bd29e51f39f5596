# refusion_add_kernels(TARGET SOURCE...): compiles SOURCE once for each instruction set of this processor family,
# each time with REFUSION_ISA set to its name, which the source uses as its namespace. Unlike function clones
# this lets whole templates use the wider registers. The choice is made at run time (csrc/cpu/instruction_set.hpp).
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$" AND NOT CMAKE_OSX_ARCHITECTURES MATCHES "arm64")
  set(refusion_instruction_sets avx512 avx2 baseline)
else()
  set(refusion_instruction_sets baseline)
endif()
set(refusion_flags_avx512
  -mavx512f -mavx512vl -mavx512bw -mavx512dq -mavx2 -mfma -mprefer-vector-width=512)
set(refusion_flags_avx512_bf16 ${refusion_flags_avx512} -mavx512bf16)
set(refusion_flags_avx2 -mavx2 -mfma)
set(refusion_flags_baseline "")

# GCC before 10 does not know it.
include(CheckCXXCompilerFlag)
if("avx512" IN_LIST refusion_instruction_sets)
  check_cxx_compiler_flag(-mavx512bf16 REFUSION_BFLOAT16)
endif()

# Further arguments are more instruction sets to compile it for.
function(refusion_add_kernels target source)
  get_filename_component(name "${source}" NAME_WE)
  get_filename_component(folder "${source}" DIRECTORY)
  string(REPLACE "/" "_" folder "${folder}")
  foreach(instruction_set IN LISTS refusion_instruction_sets ARGN)
    set(objects "${folder}_${name}_${instruction_set}")
    add_library(${objects} OBJECT "${source}")
    target_include_directories(${objects} PRIVATE csrc/include)
    target_compile_features(${objects} PRIVATE cxx_std_17)
    # Contraction on: multiply-adds are what these instruction sets are for. Each gives its own last bits.
    target_compile_options(${objects} PRIVATE
      ${warnings} -O3 -ffp-contract=fast -fno-math-errno -fno-trapping-math ${refusion_flags_${instruction_set}})
    target_compile_definitions(${objects} PRIVATE REFUSION_ISA=${instruction_set})
    set_target_properties(${objects} PROPERTIES
      CXX_EXTENSIONS OFF
      CXX_VISIBILITY_PRESET hidden
      VISIBILITY_INLINES_HIDDEN ON
      POSITION_INDEPENDENT_CODE ON)
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:${objects}>)
  endforeach()
endfunction()
