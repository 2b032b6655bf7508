/* Which matrix unit a GPU has. Kernels name its instructions (plugins/gpu_matrix), so a device that is not
 * known to have them counts as one without: the vendor's own driver and the generation are asked for. No GPU
 * was at hand to try it on. */
#include "cl/internal.h"

#include <string.h>

/* Of the extensions cl_nv_device_attribute_query, cl_amd_device_attribute_query,
 * cl_intel_required_subgroup_size. */
enum {
    COMPUTE_CAPABILITY_MAJOR_NV = 0x4000,
    WAVEFRONT_WIDTH_AMD = 0x4043,
    SUB_GROUP_SIZES_INTEL = 0x4108,
    MOST_SIZES = 16
};

static const char *const names[SP_N_MATRIX_UNITS] = {"none",          "matrix_nvidia", "matrix_rdna3",
                                                     "matrix_rdna4",  "matrix_cdna",   "matrix_intel8",
                                                     "matrix_intel16"};

const char *sp_matrix_unit_name(sp_matrix_unit unit)
{
    return names[unit];
}

static bool starts(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* AMD's drivers call a device by its instruction set: gfx1100, gfx90a:sramecc+:xnack-. */
static sp_matrix_unit of_amd(const char *name, size_t lanes)
{
    if (lanes == 32 && starts(name, "gfx11"))
        return SP_MATRIX_RDNA3;
    if (lanes == 32 && starts(name, "gfx120"))
        return SP_MATRIX_RDNA4;
    if (lanes == 64 && (starts(name, "gfx90a") || starts(name, "gfx94") || starts(name, "gfx950")))
        return SP_MATRIX_CDNA;
    return SP_MATRIX_NONE;
}

static sp_matrix_unit of_intel(const sp_device_info *info, size_t lanes)
{
    if (!sp_device_has(info, "cl_intel_subgroup_matrix_multiply_accumulate") ||
        !sp_device_has(info, "cl_intel_required_subgroup_size"))
        return SP_MATRIX_NONE;
    return lanes == 8 ? SP_MATRIX_INTEL8 : lanes == 16 ? SP_MATRIX_INTEL16 : SP_MATRIX_NONE;
}

sp_matrix_unit sp_matrix_of(const sp_device_info *info, size_t number)
{
    if (info->quirks & SP_QUIRK_GPU_OF_NVIDIA)
        return number >= 8 ? SP_MATRIX_NVIDIA : SP_MATRIX_NONE;
    if (info->quirks & SP_QUIRK_GPU_OF_AMD)
        return of_amd(info->name, number);
    return info->quirks & SP_QUIRK_GPU_OF_INTEL ? of_intel(info, number) : SP_MATRIX_NONE;
}

sp_matrix_unit sp_matrix_find(const sp_device_info *info)
{
    const bool intel = info->quirks & SP_QUIRK_GPU_OF_INTEL;
    cl_uint number = 0;
    size_t sizes[MOST_SIZES] = {0}, bytes = 0, least = 0;
    if (info->quirks & SP_QUIRK_GPU_OF_NVIDIA)
        clGetDeviceInfo(info->device_id, COMPUTE_CAPABILITY_MAJOR_NV, sizeof number, &number, NULL);
    else if (info->quirks & SP_QUIRK_GPU_OF_AMD)
        clGetDeviceInfo(info->device_id, WAVEFRONT_WIDTH_AMD, sizeof number, &number, NULL);
    else if (intel && clGetDeviceInfo(info->device_id, SUB_GROUP_SIZES_INTEL, sizeof sizes, sizes, &bytes) !=
                          CL_SUCCESS)
        bytes = 0;
    for (size_t i = 0; i < bytes / sizeof *sizes && i < MOST_SIZES; i++)
        least = least && least < sizes[i] ? least : sizes[i];
    return sp_matrix_of(info, intel ? least : number);
}
