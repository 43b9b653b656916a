# Language level, warnings, one -march for the whole project (Eigen's alignment is part of its ABI), sanitizers.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)  # the same objects make programs and libdehvf_kernels.so
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O3 -DNDEBUG")
set(CMAKE_CXX_FLAGS_SANITIZE "-O1 -g1 -fno-omit-frame-pointer")

if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(DEHVF_MARCH -march=x86-64-v3 CACHE STRING "instruction set of the whole project")
endif()
set(DEHVF_WARNINGS -Wall -Wextra -Wno-missing-field-initializers -Werror)
# Contraction would let the compiler decide where to round; bits must not depend on inlining.
set(DEHVF_CXX_OPTIONS ${DEHVF_WARNINGS} ${DEHVF_MARCH} -ffp-contract=off)

if(DEHVF_SANITIZE)
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${DEHVF_SANITIZE}>
                      $<$<COMPILE_LANGUAGE:CXX>:-fno-sanitize-recover=all>)
  list(APPEND DEHVF_CXX_OPTIONS -Wno-maybe-uninitialized)  # instrumented code of std::function sets it off
  add_link_options(-fsanitize=${DEHVF_SANITIZE})
endif()

# For what stands around the work (the program, the benchmarks' and tests' own code): it runs for moments, and the
# optimiser and checks of undefined behaviour would take half of the time to build it.
set(DEHVF_LIGHT_OPTIONS $<$<CONFIG:Release>:-O1>)
if(DEHVF_SANITIZE MATCHES undefined)
  list(APPEND DEHVF_LIGHT_OPTIONS -fno-sanitize=undefined)
endif()

find_program(DEHVF_CCACHE ccache)
if(DEHVF_CCACHE)
  set(ENV{CCACHE_NOHASHDIR} 1)
  set(_launcher ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1
                CCACHE_SLOPPINESS=pch_defines,time_macros ${DEHVF_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${_launcher})
endif()
set(CMAKE_CUDA_COMPILER_LAUNCHER ${CMAKE_SOURCE_DIR}/cmake/ptxas_log ${_launcher})
find_program(DEHVF_MOLD mold)
if(DEHVF_MOLD)
  add_link_options(-fuse-ld=mold)
endif()
