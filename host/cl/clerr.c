/* Names of OpenCL and CLBlast codes. CLBlast's ranges (-1007..-1024, -2039..-2050) overlap the extensions'
 * one; its meaning is given there, because the extensions in question (sharing with graphics interfaces) are
 * not used here. */
#include "cl/device.h"

#include <stddef.h>

// clang-format off
static const struct {
    int code;
    const char *name;
} names[] = {
#define CODE(name) {name, #name},
    CODE(CL_SUCCESS)
    CODE(CL_DEVICE_NOT_FOUND)
    CODE(CL_DEVICE_NOT_AVAILABLE)
    CODE(CL_COMPILER_NOT_AVAILABLE)
    CODE(CL_MEM_OBJECT_ALLOCATION_FAILURE)
    CODE(CL_OUT_OF_RESOURCES)
    CODE(CL_OUT_OF_HOST_MEMORY)
    CODE(CL_PROFILING_INFO_NOT_AVAILABLE)
    CODE(CL_MEM_COPY_OVERLAP)
    CODE(CL_IMAGE_FORMAT_MISMATCH)
    CODE(CL_IMAGE_FORMAT_NOT_SUPPORTED)
    CODE(CL_BUILD_PROGRAM_FAILURE)
    CODE(CL_MAP_FAILURE)
    CODE(CL_MISALIGNED_SUB_BUFFER_OFFSET)
    CODE(CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST)
    CODE(CL_COMPILE_PROGRAM_FAILURE)
    CODE(CL_LINKER_NOT_AVAILABLE)
    CODE(CL_LINK_PROGRAM_FAILURE)
    CODE(CL_DEVICE_PARTITION_FAILED)
    CODE(CL_KERNEL_ARG_INFO_NOT_AVAILABLE)
    CODE(CL_INVALID_VALUE)
    CODE(CL_INVALID_DEVICE_TYPE)
    CODE(CL_INVALID_PLATFORM)
    CODE(CL_INVALID_DEVICE)
    CODE(CL_INVALID_CONTEXT)
    CODE(CL_INVALID_QUEUE_PROPERTIES)
    CODE(CL_INVALID_COMMAND_QUEUE)
    CODE(CL_INVALID_HOST_PTR)
    CODE(CL_INVALID_MEM_OBJECT)
    CODE(CL_INVALID_IMAGE_FORMAT_DESCRIPTOR)
    CODE(CL_INVALID_IMAGE_SIZE)
    CODE(CL_INVALID_SAMPLER)
    CODE(CL_INVALID_BINARY)
    CODE(CL_INVALID_BUILD_OPTIONS)
    CODE(CL_INVALID_PROGRAM)
    CODE(CL_INVALID_PROGRAM_EXECUTABLE)
    CODE(CL_INVALID_KERNEL_NAME)
    CODE(CL_INVALID_KERNEL_DEFINITION)
    CODE(CL_INVALID_KERNEL)
    CODE(CL_INVALID_ARG_INDEX)
    CODE(CL_INVALID_ARG_VALUE)
    CODE(CL_INVALID_ARG_SIZE)
    CODE(CL_INVALID_KERNEL_ARGS)
    CODE(CL_INVALID_WORK_DIMENSION)
    CODE(CL_INVALID_WORK_GROUP_SIZE)
    CODE(CL_INVALID_WORK_ITEM_SIZE)
    CODE(CL_INVALID_GLOBAL_OFFSET)
    CODE(CL_INVALID_EVENT_WAIT_LIST)
    CODE(CL_INVALID_EVENT)
    CODE(CL_INVALID_OPERATION)
    CODE(CL_INVALID_GL_OBJECT)
    CODE(CL_INVALID_BUFFER_SIZE)
    CODE(CL_INVALID_MIP_LEVEL)
    CODE(CL_INVALID_GLOBAL_WORK_SIZE)
    CODE(CL_INVALID_PROPERTY)
    CODE(CL_INVALID_IMAGE_DESCRIPTOR)
    CODE(CL_INVALID_COMPILER_OPTIONS)
    CODE(CL_INVALID_LINKER_OPTIONS)
    CODE(CL_INVALID_DEVICE_PARTITION_COUNT)
#undef CODE
    {-1001, "CL_PLATFORM_NOT_FOUND_KHR"},
    {-1007, "CLBlastInsufficientMemoryY"},
    {-1008, "CLBlastInsufficientMemoryX"},
    {-1009, "CLBlastInsufficientMemoryC"},
    {-1010, "CLBlastInsufficientMemoryB"},
    {-1011, "CLBlastInsufficientMemoryA"},
    {-1012, "CLBlastInvalidIncrementY"},
    {-1013, "CLBlastInvalidIncrementX"},
    {-1014, "CLBlastInvalidLeadDimC"},
    {-1015, "CLBlastInvalidLeadDimB"},
    {-1016, "CLBlastInvalidLeadDimA"},
    {-1017, "CLBlastInvalidDimension"},
    {-1018, "CLBlastInvalidVectorY"},
    {-1019, "CLBlastInvalidVectorX"},
    {-1020, "CLBlastInvalidMatrixC"},
    {-1021, "CLBlastInvalidMatrixB"},
    {-1022, "CLBlastInvalidMatrixA"},
    {-1024, "CLBlastNotImplemented"},
    {-2039, "CLBlastUnexpectedError"},
    {-2040, "CLBlastUnknownError"},
    {-2041, "CLBlastDatabaseError"},
    {-2042, "CLBlastInsufficientMemoryScalar"},
    {-2043, "CLBlastInvalidVectorScalar"},
    {-2044, "CLBlastNoDoublePrecision"},
    {-2045, "CLBlastNoHalfPrecision"},
    {-2046, "CLBlastInvalidLocalMemUsage"},
    {-2047, "CLBlastMissingOverrideParameter"},
    {-2048, "CLBlastInvalidOverrideKernel"},
    {-2049, "CLBlastInvalidBatchCount"},
    {-2050, "CLBlastInsufficientMemoryTemp"},
};
// clang-format on

const char *sp_cl_error_name(int code)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].code == code)
            return names[i].name;
    return "an unknown OpenCL code";
}

bool sp_cl_error_is_passing(int code)
{
    return code == CL_DEVICE_NOT_AVAILABLE || code == CL_COMPILER_NOT_AVAILABLE ||
           code == CL_MEM_OBJECT_ALLOCATION_FAILURE || code == CL_OUT_OF_RESOURCES ||
           code == CL_OUT_OF_HOST_MEMORY;
}
