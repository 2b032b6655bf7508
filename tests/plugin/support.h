/* What the plugin tests share: a device, a registry with one outside path, and finding a variant. */
#ifndef TESTS_PLUGIN_SUPPORT_H
#define TESTS_PLUGIN_SUPPORT_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "check/check.h"

static sp_device *dev;
static sp_registry *reg;
static char last_warning[1024];

static void keep_warning(void *ctx, sp_log_level level, const char *text)
{
    (void)ctx;
    if (level == SP_LOG_WARNING)
        snprintf(last_warning, sizeof last_warning, "%s", text);
}

static void setup(void)
{
    sp_error err = {0};
    sp_log_install(keep_warning, NULL);
    unsetenv("SPIKEPORT_PLUGIN_PATH");
    if (sp_device_open(NULL, NULL, &dev, &err) != SP_OK)
        cr_skip_test("no OpenCL device: %s", err.text);
}

static void teardown(void)
{
    sp_registry_destroy(&reg);
    sp_device_close(&dev);
}

static inline void load(const char *path)
{
    sp_error err = {0};
    sp_registry_destroy(&reg);
    cr_assert_eq(sp_registry_create(path, &reg, &err), SP_OK, "%s", err.text);
}

static inline sp_variant *find(const char *plugin)
{
    for (size_t i = 0; i < reg->n_variants; i++)
        if (strcmp(reg->variants[i]->plugin, plugin) == 0)
            return reg->variants[i];
    cr_assert_fail("plugin %s is not there", plugin);
    return NULL;
}

#endif
