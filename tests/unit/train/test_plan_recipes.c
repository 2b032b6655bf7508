/* Every recipe of the repository is planned without a device; the paper's take less than two seconds in all.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <dirent.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "train/session.h"

static double plan_recipe(const char *path)
{
    sp_recipe r = {0};
    sp_dataset_info info = {0};
    sp_dataset *ds = NULL;
    sp_session *s = NULL;
    sp_error err = {0};
    cr_assert_eq(sp_recipe_load(path, NULL, 0, &r, &err), SP_OK, "%s: %s", path, err.text);
    if (!sp_session_known_shape(&r, &info)) {
        sp_status st = sp_session_dataset(&r, true, &ds, &err);
        cr_assert(st == SP_OK || (st == SP_E_DATA && strcmp(r.data.name, "idx") == 0), "%s: %s", path,
                  err.text);
        /* A set of MNIST's kind whose files are not here has its shape. */
        info = ds ? ds->info
                  : (sp_dataset_info){.name = "idx",
                                      .classes = (int)r.data.classes,
                                      .channels = 1,
                                      .height = 28,
                                      .width = 28};
        sp_dataset_close(&ds);
    }
    const double start = sp_clock_cpu_seconds();
    cr_assert_eq(sp_session_open(&r, &info, &(sp_session_options){.no_device = true}, &s, &err), SP_OK,
                 "%s: %s", path, err.text);
    const double seconds = sp_clock_cpu_seconds() - start;
    cr_assert(s->train && s->eval && s->train->arena_bytes && !s->dev, "%s", path);
    sp_session_close(&s);
    return seconds;
}

static double plan_folder(const char *folder, int *n)
{
    char path[512];
    double seconds = 0;
    snprintf(path, sizeof path, "%s/recipes/%s", SP_TEST_SOURCE_DIR, folder);
    DIR *d = opendir(path);
    cr_assert(d, "%s", path);
    for (struct dirent *e; (e = readdir(d));) {
        size_t length = strlen(e->d_name);
        if (length < 6 || strcmp(e->d_name + length - 5, ".yaml") != 0)
            continue;
        snprintf(path, sizeof path, "%s/recipes/%s/%s", SP_TEST_SOURCE_DIR, folder, e->d_name);
        seconds += plan_recipe(path);
        ++*n;
    }
    closedir(d);
    return seconds;
}

Test(plan_recipes, those_of_the_paper_take_less_than_two_seconds)
{
    int n = 0;
    double seconds = plan_folder("paper", &n);
    cr_assert_eq(n, 44);
    cr_assert_lt(seconds, 2.0, "%d plans took %.2f s", n, seconds);
}

Test(plan_recipes, all_others_can_be_planned_too)
{
    int n = 0;
    plan_folder(".", &n), plan_folder("cpu", &n), plan_folder("bench", &n);
    cr_assert_gt(n, 20);
}
