# What `cmake --install` gives: the program with its assets, the headers of the ladder up to train/, one static library
# of everything but main(), the C library, and the files by which find_package(dehvf) finds them. Nothing installed
# names a folder of the machine that built it, but the program the source tree, where no assets lie beside it.
if(DEHVF_SANITIZE)
  return()
endif()
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/dehvf)
set(assets_folder ${CMAKE_INSTALL_DATADIR}/dehvf)

get_property(folders GLOBAL PROPERTY DEHVF_OBJECTS)
foreach(folder IN LISTS folders ITEMS dehvf_bench dehvf_cli dehvf_emulator)
  list(APPEND objects $<TARGET_OBJECTS:${folder}>)
endforeach()
add_library(dehvf_archive STATIC ${objects})
set_target_properties(dehvf_archive PROPERTIES OUTPUT_NAME dehvf EXPORT_NAME archive LINKER_LANGUAGE CXX)
target_link_libraries(dehvf_archive INTERFACE Threads::Threads nlohmann_json::nlohmann_json yaml-cpp PNG::PNG JPEG::JPEG
                      PkgConfig::sentencepiece PkgConfig::xxhash)
if(HAVE_CUDA)
  target_link_libraries(dehvf_archive INTERFACE CUDA::cudart)
endif()

# What others link. Operators and kernels register themselves: every object file has to come along.
add_library(dehvf_package INTERFACE)
set_target_properties(dehvf_package PROPERTIES EXPORT_NAME dehvf)
target_link_libraries(dehvf_package INTERFACE "$<LINK_LIBRARY:WHOLE_ARCHIVE,dehvf::archive>")
target_include_directories(dehvf_package INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/dehvf>)
target_compile_features(dehvf_package INTERFACE cxx_std_20)
target_compile_options(dehvf_package INTERFACE ${DEHVF_MARCH} -ffp-contract=off)
# Where the assets lie is known when others link.
target_compile_definitions(dehvf_package INTERFACE DEHVF_ASSETS="$<INSTALL_PREFIX>/${assets_folder}")
target_sources(dehvf_package INTERFACE $<INSTALL_INTERFACE:$<INSTALL_PREFIX>/${assets_folder}/assets.cpp>)
target_include_directories(dehvf_kernels INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/dehvf>)
set_target_properties(dehvf_kernels PROPERTIES EXPORT_NAME kernels)

install(TARGETS dehvf)
install(TARGETS dehvf_package dehvf_archive dehvf_kernels EXPORT dehvf_targets)
install(EXPORT dehvf_targets NAMESPACE dehvf:: FILE dehvfTargets.cmake DESTINATION ${package_folder})
configure_package_config_file(${CMAKE_SOURCE_DIR}/cmake/dehvfConfig.cmake.in ${CMAKE_BINARY_DIR}/dehvfConfig.cmake
                              INSTALL_DESTINATION ${package_folder})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/dehvfConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/dehvfConfig.cmake ${CMAKE_BINARY_DIR}/dehvfConfigVersion.cmake
        DESTINATION ${package_folder})

install(DIRECTORY core autograd layers models data train DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/dehvf
        FILES_MATCHING PATTERN "*.h" PATTERN "core/cpu" EXCLUDE PATTERN "data/pictures" EXCLUDE)
install(FILES cli/program.h cli/assets.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/dehvf/cli)
install(FILES cuda/c/dehvf_kernels.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/dehvf/cuda/c)
install(FILES cli/assets.cpp DESTINATION ${assets_folder})
install(DIRECTORY configs DESTINATION ${assets_folder})
install(DIRECTORY data/pictures DESTINATION ${assets_folder}/data)
install(DIRECTORY examples/toy DESTINATION ${assets_folder}/examples)
install(PROGRAMS scripts/plot.py DESTINATION ${assets_folder}/scripts)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
