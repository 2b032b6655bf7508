#include <criterion/criterion.h>
#include <stdio.h>
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

Test(paths, in_quotes_a_path_is_one_word_of_a_shell)
{
    static const char *const paths[] = {"a.cl", "my plugins/a.cl", "it's.cl", "$HOME/`x`\"\\!'.cl", ""};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        char *quoted = sp_path_quote(paths[i]), *line = sp_format("printf %%s %s", quoted);
        char back[64] = "";
        FILE *f = popen(line, "r");
        cr_assert_not_null(f);
        const size_t n = fread(back, 1, sizeof back - 1, f);
        pclose(f);
        cr_expect_str_eq(back, paths[i], "%s: %zu bytes", quoted, n);
        sp_free(quoted);
        sp_free(line);
    }
}
