# libspikeport: the folders of host/ and the embedded kernels as one shared library that exports spikeport.h only; with
# a CMake package and a pkg-config file.
get_property(folders GLOBAL PROPERTY SP_FOLDERS)
set(objects "")
foreach(folder ${folders} sp_kernels)
    list(APPEND objects $<TARGET_OBJECTS:${folder}>)
endforeach()
add_library(spikeport_library SHARED ${objects})
add_library(spikeport::spikeport ALIAS spikeport_library)
set_target_properties(spikeport_library PROPERTIES OUTPUT_NAME spikeport EXPORT_NAME spikeport LINKER_LANGUAGE C
    VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR} LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib)
target_sources(spikeport_library PUBLIC FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR}/host/include FILES
    ${PROJECT_SOURCE_DIR}/host/include/spikeport/spikeport.h
    ${PROJECT_SOURCE_DIR}/host/include/spikeport/log.h
    ${PROJECT_SOURCE_DIR}/host/include/spikeport/status.h
    ${PROJECT_SOURCE_DIR}/host/include/spikeport/version.h
    ${PROJECT_SOURCE_DIR}/host/include/spikeport/plugin.h)
foreach(folder ${folders})
    # what each folder links from outside, without the folders themselves
    get_target_property(libraries ${folder} LINK_LIBRARIES)
    list(FILTER libraries EXCLUDE REGEX "^sp_|^\\$<BUILD_INTERFACE:sp_")
    target_link_libraries(spikeport_library PRIVATE ${libraries})
endforeach()
if(NOT SPIKEPORT_SANITIZE)
    target_link_options(spikeport_library PRIVATE -Wl,-z,defs)
endif()

include(CMakePackageConfigHelpers)
set(package ${CMAKE_INSTALL_LIBDIR}/cmake/spikeport)
install(TARGETS spikeport_library EXPORT spikeportTargets
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library NAMELINK_COMPONENT dev
    FILE_SET HEADERS COMPONENT dev)
install(EXPORT spikeportTargets NAMESPACE spikeport:: DESTINATION ${package} FILE spikeportConfig.cmake COMPONENT dev)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/spikeportConfigVersion.cmake COMPATIBILITY SameMajorVersion)
install(FILES ${PROJECT_BINARY_DIR}/spikeportConfigVersion.cmake DESTINATION ${package} COMPONENT dev)
file(RELATIVE_PATH PC_TO_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(${PROJECT_SOURCE_DIR}/cmake/spikeport.pc.in ${PROJECT_BINARY_DIR}/spikeport.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/spikeport.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT dev)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/recipes ${PROJECT_SOURCE_DIR}/wisdom DESTINATION ${CMAKE_INSTALL_DATADIR}/spikeport COMPONENT library)
