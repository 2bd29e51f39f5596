# find_package(refusion) afterwards gives the target refusion::refusion_ops.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

install(TARGETS refusion_ops EXPORT refusionTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY csrc/include/refusion DESTINATION include)
set(config_folder ${CMAKE_INSTALL_LIBDIR}/cmake/refusion)
install(EXPORT refusionTargets NAMESPACE refusion:: DESTINATION ${config_folder})
configure_package_config_file(cmake/refusionConfig.cmake.in refusionConfig.cmake
  INSTALL_DESTINATION ${config_folder})
write_basic_package_version_file(refusionConfigVersion.cmake
  VERSION ${package_version} COMPATIBILITY SameMinorVersion)
install(FILES
  "${CMAKE_CURRENT_BINARY_DIR}/refusionConfig.cmake"
  "${CMAKE_CURRENT_BINARY_DIR}/refusionConfigVersion.cmake"
  DESTINATION ${config_folder})
