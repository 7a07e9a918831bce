# freeDiameter has no pkg-config file. Its headers are system headers: they do not compile without
# warnings under our flags.
include_guard(GLOBAL)
include(GNUInstallDirs)
find_path(FREEDIAMETER_INCLUDE freeDiameter/libfdcore.h REQUIRED)
find_library(FREEDIAMETER_PROTO fdproto REQUIRED)
find_library(FREEDIAMETER_CORE fdcore REQUIRED)

foreach(part proto core)
  string(TOUPPER ${part} PART)
  add_library(FreeDiameter::${part} UNKNOWN IMPORTED GLOBAL)
  set_target_properties(FreeDiameter::${part} PROPERTIES
    IMPORTED_LOCATION ${FREEDIAMETER_${PART}}
    INTERFACE_SYSTEM_INCLUDE_DIRECTORIES ${FREEDIAMETER_INCLUDE})
endforeach()
set_target_properties(FreeDiameter::core PROPERTIES INTERFACE_LINK_LIBRARIES FreeDiameter::proto)

# epc_fdx(NAME SOURCES ... LIBS ... [STOCK] [TEST]): a freeDiameter extension in fdx/NAME.fdx.
# TEST: belongs to the tests and is not installed.
# STOCK: is loaded by stock freeDiameterd too, which has no sanitizer runtime to offer.
function(epc_fdx name)
  cmake_parse_arguments(F "STOCK;TEST" "" "SOURCES;LIBS" ${ARGN})
  add_library(${name} MODULE ${F_SOURCES})
  set_target_properties(${name} PROPERTIES PREFIX "" SUFFIX ".fdx"
    C_VISIBILITY_PRESET hidden
    LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fdx)
  # Macros of its headers use GNU extensions, which Clang reports where they are expanded.
  target_compile_options(${name} PRIVATE
    $<$<C_COMPILER_ID:Clang>:-Wno-gnu-conditional-omitted-operand>)
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/dict)
  target_link_libraries(${name} PRIVATE FreeDiameter::core ${F_LIBS})
  if(F_STOCK AND EPC_SANITIZE)
    target_compile_options(${name} PRIVATE -fno-sanitize=all)
    target_link_options(${name} PRIVATE -fno-sanitize=all)
  endif()
  if(NOT F_TEST)
    install(TARGETS ${name} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/freeDiameter)
  endif()
endfunction()
