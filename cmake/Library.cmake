# dehvf_library(folder deps...): every .cpp below the folder as an OBJECT library dehvf_<folder>.
# OBJECT, because kernels, devices and operators register themselves in static constructors, and a static
# library drops object files that nothing calls. Executables link DEHVF_OBJECTS directly for the same reason.
function(dehvf_library folder)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.cpp)
  if(NOT sources)
    return()
  endif()
  add_library(dehvf_${folder} OBJECT ${sources})
  target_include_directories(dehvf_${folder} PUBLIC ${CMAKE_SOURCE_DIR})
  target_compile_options(dehvf_${folder} PRIVATE ${DEHVF_CXX_OPTIONS})
  target_compile_definitions(dehvf_${folder} PUBLIC EIGEN_DONT_PARALLELIZE)
  target_link_libraries(dehvf_${folder} PUBLIC Threads::Threads ${ARGN})
  set_property(GLOBAL APPEND PROPERTY DEHVF_OBJECTS dehvf_${folder})
endfunction()

# dehvf_executable(name sources...): linked with every folder.
function(dehvf_executable name)
  add_executable(${name} ${ARGN})
  get_property(objects GLOBAL PROPERTY DEHVF_OBJECTS)
  target_compile_options(${name} PRIVATE ${DEHVF_CXX_OPTIONS} ${DEHVF_LIGHT_OPTIONS})
  target_link_libraries(${name} PRIVATE ${objects})
endfunction()
