# The module refusion._C. Of pybind11 only the headers are needed, as PyTorch carries them too.
find_package(Python 3.10 REQUIRED COMPONENTS Interpreter Development.Module)
if(NOT REFUSION_PYBIND11_INCLUDE)
  execute_process(
    COMMAND "${Python_EXECUTABLE}" -c "import pybind11; print(pybind11.get_include())"
    OUTPUT_VARIABLE REFUSION_PYBIND11_INCLUDE OUTPUT_STRIP_TRAILING_WHITESPACE
    RESULT_VARIABLE pybind11_missing ERROR_QUIET)
  if(pybind11_missing)
    message(FATAL_ERROR "pybind11 is not installed for ${Python_EXECUTABLE}; run: "
                        "${Python_EXECUTABLE} -m pip install pybind11")
  endif()
endif()

Python_add_library(_C MODULE WITH_SOABI csrc/bindings.cpp csrc/bindings_cuda.cpp $<$<NOT:$<BOOL:${MSVC}>>:csrc/bindings_network.cpp>)
target_include_directories(_C PRIVATE csrc)
target_include_directories(_C SYSTEM PRIVATE "${REFUSION_PYBIND11_INCLUDE}")
target_link_libraries(_C PRIVATE refusion_ops)
target_compile_options(_C PRIVATE ${warnings})
set_target_properties(_C PROPERTIES
  CXX_EXTENSIONS OFF
  CXX_VISIBILITY_PRESET hidden
  VISIBILITY_INLINES_HIDDEN ON
  CUDA_RUNTIME_LIBRARY Static
  LIBRARY_OUTPUT_DIRECTORY "$<1:${REFUSION_OUTPUT_DIR}>")
set_target_properties(refusion_ops PROPERTIES
  CXX_VISIBILITY_PRESET hidden
  CUDA_VISIBILITY_PRESET hidden
  VISIBILITY_INLINES_HIDDEN ON)
if(CMAKE_SYSTEM_NAME STREQUAL Linux)
  target_link_options(_C PRIVATE $<$<CONFIG:Release>:-Wl,--strip-all>)
endif()
