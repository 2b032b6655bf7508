/* Choosing among devices that exist only on paper. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cl/internal.h"

static sp_device_info make(int index, int platform, int device, sp_device_type type, uint32_t units,
                           const char *name, const char *platform_name)
{
    sp_device_info d = {.index = index,
                        .platform_index = platform,
                        .device_index = device,
                        .type = type,
                        .compute_units = units,
                        .cl_major = 1,
                        .cl_minor = 2,
                        .available = true,
                        .compiler_available = true,
                        .little_endian = true};
    snprintf(d.name, sizeof d.name, "%s", name);
    snprintf(d.platform, sizeof d.platform, "%s", platform_name);
    return d;
}

static sp_device_info items[5];
static sp_device_list list;

static void set_up(void)
{
    unsetenv("SPIKEPORT_DEVICE");
    unsetenv("OCL_ICD_VENDORS");
    items[0] = make(0, 0, 0, SP_DEVICE_CPU, 64, "pthread-skylake", "Portable Computing Language");
    items[1] = make(1, 2, 0, SP_DEVICE_GPU, 8, "Small Graphics", "Vendor A");
    items[2] = make(2, 2, 1, SP_DEVICE_GPU, 40,
                    "Large Graphics of a name with more than forty-eight characters", "Vendor A");
    items[3] = make(3, 3, 0, SP_DEVICE_ACCELERATOR, 1, "Board", "Vendor B");
    items[4] = make(4, 4, 0, SP_DEVICE_GPU, 99, "Old Graphics", "Vendor C");
    items[4].cl_minor = 1;
    list = (sp_device_list){.items = items, .n = 5, .n_platforms = 5};
}

TestSuite(choose, .init = set_up);

Test(choose, selectors)
{
    static const struct {
        const char *selector;
        size_t want;
        const char *why;
    } cases[] = {
        {NULL, 2, "automatic"},     {"auto", 2, "automatic"},          {"", 2, "automatic"},
        {"AUTO", 2, "automatic"},   {"gpu", 2, "of 2 candidates"},     {"GPU", 2, "first by compute units"},
        {"cpu", 0, "cpu"},          {"accelerator", 3, "accelerator"}, {"0", 0, "by number"},
        {"1", 1, "by number"},      {"2:1", 2, "by number"},           {"3:0", 3, "by number"},
        {"skylake", 0, "only one"}, {"PORTABLE", 0, "only one"},       {"graphics", 1, "of 2 candidates"},
        {"vendor a", 1, "first"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t got = 999;
        char why[256] = "";
        sp_error err = {0};
        const char *s = cases[i].selector ? cases[i].selector : "(null)";
        cr_assert_eq(sp_device_choose(&list, cases[i].selector, &got, why, sizeof why, &err), SP_OK, "%s: %s",
                     s, err.text);
        cr_assert_eq(got, cases[i].want, "%s chose %zu", s, got);
        cr_assert(strstr(why, cases[i].why), "%s: %s", s, why);
    }
}

Test(choose, no_match_lists_what_there_is)
{
    static const char *const wrong[] = {"rtx", "5", "2:2", "99999999999999999999", "2:", ":1"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        size_t got = 999;
        sp_error err = {0};
        cr_assert_eq(sp_device_choose(&list, wrong[i], &got, NULL, 0, &err), SP_E_DEVICE, "%s", wrong[i]);
        cr_assert(strstr(err.text, wrong[i]), "%s", err.text);
        cr_assert(strstr(err.text, "\"Large Graphics of a name with more than forty-eight characters\" "
                                   "of ") &&
                      strstr(err.text, "(3:0) accelerator"),
                  "%s", err.text);
        cr_assert_eq(got, 999u);
    }
}

Test(choose, a_device_that_cannot_be_used_is_refused_with_the_reason)
{
    static const char *const selectors[] = {"4", "4:0", "old graphics"};
    for (size_t i = 0; i < sizeof selectors / sizeof *selectors; i++) {
        size_t got = 999;
        sp_error err = {0};
        cr_assert_eq(sp_device_choose(&list, selectors[i], &got, NULL, 0, &err), SP_E_DEVICE);
        cr_assert(strstr(err.text, "Old Graphics") && strstr(err.text, "older than OpenCL 1.2"), "%s",
                  err.text);
        cr_assert_eq(got, 999u);
    }
}

Test(choose, typing_error_in_a_type_gets_a_suggestion)
{
    size_t got;
    sp_error err = {0};
    cr_assert_eq(sp_device_choose(&list, "acelerator", &got, NULL, 0, &err), SP_E_DEVICE);
    cr_assert(strstr(err.text, "did you mean \"accelerator\""), "%s", err.text);
}

Test(choose, auto_prefers_accelerator_to_cpu_and_falls_back_to_cpu)
{
    size_t got = 999;
    items[1].available = false;
    items[2].compiler_available = false;
    cr_assert_eq(sp_device_choose(&list, "auto", &got, NULL, 0, NULL), SP_OK);
    cr_assert_eq(got, 3u);
    items[3].little_endian = false;
    cr_assert_eq(sp_device_choose(&list, "auto", &got, NULL, 0, NULL), SP_OK);
    cr_assert_eq(got, 0u);
    sp_error err = {0};
    cr_assert_eq(sp_device_choose(&list, "gpu", &got, NULL, 0, &err), SP_E_DEVICE);
    cr_assert(strstr(err.text, "RUSTICL_ENABLE"), "%s", err.text);
    cr_assert(strstr(err.text, "unusable: the driver says"), "%s", err.text);
    items[0].cl_major = 0;
    cr_assert_eq(sp_device_choose(&list, NULL, &got, NULL, 0, &err), SP_E_DEVICE);
    cr_assert(strstr(err.text, "no usable device"), "%s", err.text);
}

Test(choose, a_simulator_comes_last)
{
    size_t got = 999;
    items[1] = make(1, 1, 0, SP_DEVICE_GPU, 1, "Oclgrind Simulator", "Oclgrind");
    items[1].quirks = SP_QUIRK_SLOW_SIMULATOR;
    list.n = 2;
    cr_assert_eq(sp_device_choose(&list, "auto", &got, NULL, 0, NULL), SP_OK);
    cr_assert_eq(got, 0u);
    cr_assert_eq(sp_device_choose(&list, "gpu", &got, NULL, 0, NULL), SP_OK);
    cr_assert_eq(got, 1u);
    items[0].available = false;
    cr_assert_eq(sp_device_choose(&list, "auto", &got, NULL, 0, NULL), SP_OK);
    cr_assert_eq(got, 1u);
}

Test(choose, environment_is_the_default_and_is_named)
{
    size_t got = 999;
    char why[256];
    sp_error err = {0};
    setenv("SPIKEPORT_DEVICE", "board", 1);
    cr_assert_eq(sp_device_choose(&list, NULL, &got, why, sizeof why, &err), SP_OK);
    cr_assert_eq(got, 3u);
    cr_assert(strstr(why, "SPIKEPORT_DEVICE=\"board\""), "%s", why);
    cr_assert_eq(sp_device_choose(&list, "cpu", &got, why, sizeof why, &err), SP_OK);
    cr_assert_eq(got, 0u);
    setenv("SPIKEPORT_DEVICE", "nothing", 1);
    cr_assert_eq(sp_device_choose(&list, NULL, &got, why, sizeof why, &err), SP_E_DEVICE);
    cr_assert(strstr(err.text, "SPIKEPORT_DEVICE=\"nothing\""), "%s", err.text);
    setenv("SPIKEPORT_DEVICE", "", 1);
    cr_assert_eq(sp_device_choose(&list, NULL, &got, why, sizeof why, &err), SP_OK);
    cr_assert_eq(got, 2u);
}

Test(choose, empty_list_names_packages_and_the_environment)
{
    sp_device_list none = {0};
    size_t got;
    sp_error err = {0};
    setenv("OCL_ICD_VENDORS", "/nowhere", 1);
    cr_assert_eq(sp_device_choose(&none, NULL, &got, NULL, 0, &err), SP_E_DEVICE);
    static const char *const wanted[] = {"no OpenCL platform", "pocl-opencl-icd",
                                         "intel-opencl-icd",   "mesa-opencl-icd",
                                         "RUSTICL_ENABLE",     "OCL_ICD_VENDORS is set to \"/nowhere\""};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        cr_assert(strstr(err.text, wanted[i]), "%s lacks %s", err.text, wanted[i]);
    none.n_platforms = 2;
    cr_assert_eq(sp_device_choose(&none, "0", &got, NULL, 0, &err), SP_E_DEVICE);
    cr_assert(strstr(err.text, "2 OpenCL platforms were found, but no device"), "%s", err.text);
}

Test(choose, a_graphics_driver_on_the_cpu_comes_after_drivers_for_cpus)
{
    sp_device_info two[] = {make(0, 0, 0, SP_DEVICE_CPU, 8, "llvmpipe", "rusticl"),
                            make(1, 1, 0, SP_DEVICE_CPU, 2, "pthread-skylake",
                                 "Portable Computing Language")};
    sp_device_list cpus = {.items = two, .n = 2, .n_platforms = 2};
    size_t got = 999;
    sp_error err = {0};
    two[0].quirks = sp_quirks_find(&two[0]);
    cr_assert_eq(sp_device_choose(&cpus, NULL, &got, NULL, 0, &err), SP_OK, "%s", err.text);
    cr_assert_eq(got, 1u);
    cpus.n = 1; // better than none
    cr_assert_eq(sp_device_choose(&cpus, "cpu", &got, NULL, 0, &err), SP_OK, "%s", err.text);
    cr_assert_eq(got, 0u);
}

Test(choose, a_long_selector_is_harmless)
{
    char selector[10000];
    memset(selector, 'x', sizeof selector - 1);
    selector[sizeof selector - 1] = '\0';
    size_t got;
    sp_error err = {0};
    cr_assert_eq(sp_device_choose(&list, selector, &got, NULL, 0, &err), SP_E_DEVICE);
}

static uint32_t quirks_of(const char *platform, sp_device_type type, const char *vendor)
{
    sp_device_info d = make(0, 0, 0, type, 1, "x", platform);
    snprintf(d.vendor, sizeof d.vendor, "%s", vendor);
    return sp_quirks_find(&d);
}

Test(quirks, only_the_version_that_was_measured_reads_all_builtins)
{
    sp_device_info d = make(0, 0, 0, SP_DEVICE_CPU, 1, "x", "Portable Computing Language");
    snprintf(d.driver, sizeof d.driver, "3.1+debian");
    cr_assert(sp_quirks_find(&d) & SP_QUIRK_READS_ALL_BUILTINS);
    snprintf(d.driver, sizeof d.driver, "6.0+debian");
    cr_assert_not(sp_quirks_find(&d) & SP_QUIRK_READS_ALL_BUILTINS);
}

Test(quirks, rules_match_platform_and_type_not_vendor_alone)
{
    const uint32_t pocl = SP_QUIRK_HAS_PROGRAM_CACHE | SP_QUIRK_NO_BINARY_QUERY;
    cr_assert_eq(quirks_of("Portable Computing Language", SP_DEVICE_CPU, "GenuineIntel"),
                 pocl | SP_QUIRK_CLBLAST_DIRECT | SP_QUIRK_INLINE_ASSEMBLY |
                     SP_QUIRK_COMPILES_EACH_LOCAL_SIZE);
    cr_assert_eq(quirks_of("portable computing language", SP_DEVICE_GPU, ""), pocl);
    cr_assert_eq(quirks_of("NVIDIA CUDA", SP_DEVICE_GPU, "NVIDIA Corporation"),
                 (uint32_t)(SP_QUIRK_HAS_PROGRAM_CACHE | SP_QUIRK_NO_RELAXED_MATH | SP_QUIRK_GPU_OF_NVIDIA));
    cr_assert_eq(quirks_of("AMD Accelerated Parallel Processing", SP_DEVICE_GPU, ""),
                 (uint32_t)(SP_QUIRK_NO_RELAXED_MATH | SP_QUIRK_GPU_OF_AMD));
    cr_assert_eq(quirks_of("AMD Accelerated Parallel Processing", SP_DEVICE_CPU, ""), 0u);
    cr_assert_eq(quirks_of("Intel(R) OpenCL Graphics", SP_DEVICE_GPU, "Intel"),
                 (uint32_t)(SP_QUIRK_NO_RELAXED_MATH | SP_QUIRK_GPU_OF_INTEL));
    cr_assert_eq(quirks_of("Intel(R) OpenCL", SP_DEVICE_CPU, "Intel"), 0u);
    cr_assert_eq(quirks_of("Oclgrind", SP_DEVICE_OTHER, ""),
                 (uint32_t)(SP_QUIRK_SLOW_SIMULATOR | SP_QUIRK_WRITE_IN_PART));
    cr_assert_eq(quirks_of("rusticl", SP_DEVICE_GPU, "Intel"), 0u);
    cr_assert_eq(quirks_of("rusticl", SP_DEVICE_CPU, "Mesa"), (uint32_t)SP_QUIRK_GRAPHICS_ON_CPU);
}

static sp_matrix_unit unit_of(const char *platform, const char *name, const char *extensions, size_t number)
{
    sp_device_info d = {.type = SP_DEVICE_GPU, .extensions = (char *)extensions};
    snprintf(d.platform, sizeof d.platform, "%s", platform);
    snprintf(d.name, sizeof d.name, "%s", name);
    d.quirks = sp_quirks_find(&d);
    return sp_matrix_of(&d, number);
}

Test(matrix_units, are_known_by_platform_and_generation)
{
    const char *const amd = "AMD Accelerated Parallel Processing", *const intel = "Intel(R) OpenCL Graphics";
    const char *const both = "cl_intel_required_subgroup_size cl_intel_subgroup_matrix_multiply_accumulate";
    cr_assert_eq(unit_of("NVIDIA CUDA", "NVIDIA A100", "", 8), SP_MATRIX_NVIDIA);
    cr_assert_eq(unit_of("NVIDIA CUDA", "Tesla V100", "", 7), SP_MATRIX_NONE);
    cr_assert_eq(unit_of("rusticl", "NVIDIA A100", "", 8), SP_MATRIX_NONE);
    cr_assert_eq(unit_of(amd, "gfx1100", "", 32), SP_MATRIX_RDNA3);
    cr_assert_eq(unit_of(amd, "gfx1100", "", 64), SP_MATRIX_NONE);
    cr_assert_eq(unit_of(amd, "gfx1030", "", 32), SP_MATRIX_NONE);
    cr_assert_eq(unit_of(amd, "gfx1201", "", 32), SP_MATRIX_RDNA4);
    cr_assert_eq(unit_of(amd, "gfx90a:sramecc+:xnack-", "", 64), SP_MATRIX_CDNA);
    cr_assert_eq(unit_of(amd, "gfx906", "", 64), SP_MATRIX_NONE);
    cr_assert_eq(unit_of(amd, "gfx942", "", 64), SP_MATRIX_CDNA);
    cr_assert_eq(unit_of(intel, "Arc", both, 8), SP_MATRIX_INTEL8);
    cr_assert_eq(unit_of(intel, "Max", both, 16), SP_MATRIX_INTEL16);
    cr_assert_eq(unit_of(intel, "Iris", "cl_intel_required_subgroup_size", 8), SP_MATRIX_NONE);
    cr_assert_eq(unit_of(intel, "Arc", both, 0), SP_MATRIX_NONE);
}

Test(quirks, names_and_evidence)
{
    char names[128];
    sp_device_quirk_names(SP_QUIRK_HAS_PROGRAM_CACHE | SP_QUIRK_SLOW_SIMULATOR, names, sizeof names);
    cr_assert_str_eq(names, "HAS_PROGRAM_CACHE, SLOW_SIMULATOR");
    sp_device_quirk_names(0, names, sizeof names);
    cr_assert_str_eq(names, "");
    char tiny[5];
    sp_device_quirk_names(~0u, tiny, sizeof tiny);
    cr_assert_eq(strlen(tiny), 4u);
    sp_device_info d = make(0, 0, 0, SP_DEVICE_CPU, 1, "x", "Portable Computing Language");
    d.quirks = sp_quirks_find(&d) | SP_QUIRK_LOCAL_MEMORY_IS_GLOBAL;
    cr_assert(strstr(sp_device_quirk_evidence(&d, SP_QUIRK_NO_BINARY_QUERY), "pyopencl#731"));
    cr_assert(strstr(sp_device_quirk_evidence(&d, SP_QUIRK_LOCAL_MEMORY_IS_GLOBAL), "CL_DEVICE_LOCAL_MEM_"
                                                                                    "TYPE"));
    cr_assert_null(sp_device_quirk_evidence(&d, SP_QUIRK_SLOW_SIMULATOR));
}

Test(clerr, names)
{
    cr_assert_str_eq(sp_cl_error_name(0), "CL_SUCCESS");
    cr_assert_str_eq(sp_cl_error_name(-5), "CL_OUT_OF_RESOURCES");
    cr_assert_str_eq(sp_cl_error_name(-54), "CL_INVALID_WORK_GROUP_SIZE");
    cr_assert_str_eq(sp_cl_error_name(-1017), "CLBlastInvalidDimension");
    cr_assert_str_eq(sp_cl_error_name(-2046), "CLBlastInvalidLocalMemUsage");
    cr_assert_not_null(sp_cl_error_name(12345));
}

Test(profile, insane_timestamps_are_seen)
{
    cr_assert(sp_timestamps_sane(1, 2, 3, 4));
    cr_assert(sp_timestamps_sane(5, 5, 5, 5));
    cr_assert_not(sp_timestamps_sane(1, 2, 4, 3));
    cr_assert_not(sp_timestamps_sane(9, 2, 3, 4));
    cr_assert_not(sp_timestamps_sane(1, 5, 3, 9));
    cr_assert_not(sp_timestamps_sane(0, 0, 0, 0));
}
