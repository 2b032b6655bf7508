# sp_folder(NAME [PROGRAM] SOURCES ... [DEPENDS ...] [LIBRARIES ...])
# One static library per folder of host/, so that the dependency rule of docs/ARCHITECTURE.md is what the linker sees.
# PROGRAM: a part of the program spikeport, not of libspikeport.
function(sp_folder name)
    cmake_parse_arguments(A "PROGRAM" "" "SOURCES;DEPENDS;LIBRARIES" ${ARGN})
    add_library(sp_${name} STATIC ${A_SOURCES})
    target_include_directories(sp_${name} PUBLIC
        $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/host>
        $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/host/include>)
    target_compile_definitions(sp_${name} PUBLIC CL_TARGET_OPENCL_VERSION=120 _POSIX_C_SOURCE=200809L)
    target_link_libraries(sp_${name} PRIVATE $<BUILD_INTERFACE:sp_warnings>)
    foreach(d ${A_DEPENDS})
        target_link_libraries(sp_${name} PUBLIC sp_${d})
    endforeach()
    target_link_libraries(sp_${name} PUBLIC ${A_LIBRARIES} m)
    if(NOT A_PROGRAM)
        set_property(GLOBAL APPEND PROPERTY SP_FOLDERS sp_${name})
    endif()
endfunction()
