#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/paths.h"

Test(paths, folders_of_the_build_tree_or_of_the_named_installation)
{
    unsetenv("SPIKEPORT_PREFIX");
    char *data = sp_own_data("recipes"), *plugins = sp_own_library("plugins");
    cr_assert(data && strcmp(data, SP_TEST_SOURCE_DIR "/recipes") == 0, "%s", data);
    cr_assert(plugins && strstr(plugins, "/lib/spikeport/plugins"), "%s", plugins);
    sp_free(data);
    sp_free(plugins);
    setenv("SPIKEPORT_PREFIX", "/opt/spikeport", 1);
    data = sp_own_data("wisdom");
    plugins = sp_own_library("plugins");
    cr_assert(data && strcmp(data, "/opt/spikeport/share/spikeport/wisdom") == 0, "%s", data);
    cr_assert(plugins && strncmp(plugins, "/opt/spikeport/lib", 18) == 0, "%s", plugins);
    sp_free(data);
    sp_free(plugins);
}
