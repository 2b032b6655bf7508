/* Shapes of samples and names of classes of the well-known sets, for plans and timings on machines without
 * their files, and for pictures. */
#include <string.h>
#include "data/dataset.h"
#include "data/readers.h"

typedef struct known_shape {
    const char *name;
    int classes, channels, height, width; /* classes 0: only the files know */
} known_shape;

static const known_shape shapes[] = {
    {"fashion-mnist", 10, 1, 28, 28},
    {"mnist", 10, 1, 28, 28},
    {"cifar10", 10, 3, 32, 32},
    {"cifar100", 100, 3, 32, 32},
    {"images", 0, 3, 224, 224},
    {"cifar10-dvs", 10, 2, 128, 128},
    {"dvs128-gesture", 11, 2, 128, 128},
    {"n-mnist", 10, 2, 34, 34},
    {"aedat-folder", 0, 2, 128, 128},
    {"shd", 20, 700, 1, 1},
    {"ssc", 35, 700, 1, 1},
};

bool sp_dataset_shape(const sp_dataset_options *o, sp_dataset_info *out)
{
    const known_shape *k = NULL;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        if (o->name && strcmp(o->name, shapes[i].name) == 0)
            k = &shapes[i];
    if (!k)
        return false;
    *out = (sp_dataset_info){.classes = k->classes,
                             .channels = k->channels,
                             .height = k->height,
                             .width = k->width};
    strcpy(out->name, k->name);
    if (o->size > 0 && k->height > 1)
        out->height = out->width = o->size;
    if (sp_events_known(o->name) || o->encoding != SP_ENCODE_NONE)
        out->frames = o->frames ? o->frames : o->time_steps;
    return true;
}

const char *const spi_cifar_classes[] = {"airplane", "automobile", "bird",  "cat",  "deer",
                                         "dog",      "frog",       "horse", "ship", "truck"};
static const char *const fashion_classes[] = {"T-shirt", "trouser", "pullover", "dress", "coat",
                                              "sandal",  "shirt",   "sneaker",  "bag",   "boot"};
static const char *const gesture_classes[] = {"clapping",  "right wave", "left wave", "right cw",
                                              "right ccw", "left cw",    "left ccw",  "arm roll",
                                              "drums",     "guitar",     "other"};

const char *sp_dataset_class(const char *name, int k)
{
    static const struct {
        const char *set;
        const char *const *names;
        int n;
    } sets[] = {{"fashion-mnist", fashion_classes, 10},
                {"cifar10", spi_cifar_classes, 10},
                {"cifar10-dvs", spi_cifar_classes, 10},
                {"dvs128-gesture", gesture_classes, 11}};
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        if (strcmp(name, sets[i].set) == 0 && k >= 0 && k < sets[i].n)
            return sets[i].names[k];
    return NULL;
}
