/* Names of classes of the well-known sets, for pictures and messages. */
#include <string.h>
#include "data/dataset.h"
#include "data/readers.h"

const char *const spi_cifar_classes[] = {"airplane", "automobile", "bird",  "cat",  "deer",
                                         "dog",      "frog",       "horse", "ship", "truck"};
static const char *const fashion_classes[] = {"T-shirt", "trouser", "pullover", "dress", "coat",
                                              "sandal",  "shirt",   "sneaker",  "bag",   "boot"};
static const char *const kmnist_classes[] = {"o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"};
static const char *const gesture_classes[] = {"clapping",  "right wave", "left wave", "right cw",
                                              "right ccw", "left cw",    "left ccw",  "arm roll",
                                              "drums",     "guitar",     "other"};

const char *const *sp_dataset_class_names(const sp_dataset *ds)
{
    return (const char *const *)ds->class_names;
}

const char *sp_dataset_class(const sp_dataset *ds, int k)
{
    static const struct {
        const char *set;
        const char *const *names;
        int n;
    } sets[] = {{"fashion-mnist", fashion_classes, 10},
                {"kmnist", kmnist_classes, 10},
                {"cifar10", spi_cifar_classes, 10},
                {"cifar10-dvs", spi_cifar_classes, 10},
                {"dvs128-gesture", gesture_classes, 11}};
    if (ds->class_names)
        return k >= 0 && k < ds->info.classes ? ds->class_names[k] : NULL;
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        if (strcmp(ds->info.name, sets[i].set) == 0 && k >= 0 && k < sets[i].n)
            return sets[i].names[k];
    return NULL;
}
