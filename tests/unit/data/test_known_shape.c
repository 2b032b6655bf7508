/* Shapes of data sets without their files: every set that has one shape is known, and as its files say. */
#include <criterion/criterion.h>
#include <string.h>

#include "data/dataset.h"

Test(known_shape, every_set_but_those_of_any_shape)
{
    const char *const *names;
    size_t n = sp_dataset_names(&names);
    for (size_t i = 0; i < n; i++) {
        sp_dataset_options o = {.name = names[i], .time_steps = 7};
        sp_dataset_info info;
        bool any_shape = strcmp(names[i], "idx") == 0 || strcmp(names[i], "synthetic") == 0 ||
                         strcmp(names[i], "arrays") == 0 || strcmp(names[i], "events") == 0;
        cr_assert_eq(sp_dataset_shape(&o, &info), !any_shape, "%s", names[i]);
        if (any_shape)
            continue;
        cr_assert_str_eq(info.name, names[i]);
        cr_assert(info.channels > 0 && info.height > 0 && info.width > 0);
        cr_assert_eq(info.frames, sp_dataset_takes(names[i], SP_TAKES_EVENTS) ? 7 : 0, "%s", names[i]);
    }
    cr_assert_not(sp_dataset_shape(&(sp_dataset_options){.name = "nothing"}, &(sp_dataset_info){.count = 0}));
    cr_assert_not(sp_dataset_shape(&(sp_dataset_options){.name = NULL}, &(sp_dataset_info){.count = 0}));
}

Test(known_shape, options_change_it_as_they_change_the_samples)
{
    sp_dataset_info i;
    cr_assert(sp_dataset_shape(&(sp_dataset_options){.name = "cifar100"}, &i));
    cr_assert(i.classes == 100 && i.channels == 3 && i.height == 32 && i.width == 32 && i.frames == 0);
    cr_assert(sp_dataset_shape(&(sp_dataset_options){.name = "images", .size = 160}, &i));
    cr_assert(i.channels == 3 && i.height == 160 && i.width == 160 && i.classes == 0);
    cr_assert(sp_dataset_shape(
        &(sp_dataset_options){.name = "cifar10-dvs", .size = 48, .time_steps = 10, .frames = 5}, &i));
    cr_assert(i.classes == 10 && i.channels == 2 && i.height == 48 && i.width == 48 && i.frames == 5);
    cr_assert(
        sp_dataset_shape(&(sp_dataset_options){.name = "mnist", .time_steps = 6, .encoding = SP_ENCODE_RATE},
                         &i));
    cr_assert(i.channels == 1 && i.height == 28 && i.frames == 6);
    cr_assert(sp_dataset_shape(&(sp_dataset_options){.name = "shd", .time_steps = 4}, &i));
    cr_assert(i.channels == 700 && i.height == 1 && i.width == 1 && i.frames == 4 && i.classes == 20);
}

/* Against the files, where they are. */
Test(known_shape, is_that_of_the_files)
{
    sp_dataset_options o = {.name = "fashion-mnist", .train = 1};
    sp_dataset_info known;
    sp_dataset *ds = NULL;
    sp_error err;
    cr_assert(sp_dataset_shape(&o, &known));
    if (sp_dataset_open(&o, &ds, &err) != SP_OK)
        cr_skip_test("Fashion-MNIST is not installed");
    cr_assert(known.channels == ds->info.channels && known.height == ds->info.height &&
              known.width == ds->info.width && known.frames == ds->info.frames &&
              known.classes == ds->info.classes);
    sp_dataset_close(&ds);
}
