/* Which recordings make up a split of an event set: where its folder lies and how it is laid out. */
#include <stdio.h>
#include <string.h>
#include "base/error.h"
#include "base/file.h"
#include "data/events.h"
#include "data/readers.h"

static const char *const digits[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};

/* FOLDER, or FOLDER/<what the archive makes>, whichever holds the split; NULL: neither, or no memory. */
static char *find_folder(const sp_event_form *form, const char *folder, bool train)
{
    for (int inner = 0; inner < (form->inner ? 2 : 1); inner++) {
        char *at = inner ? sp_format("%s/%s", folder, form->inner) : sp_strdup(folder);
        char *marker = at ? sp_format("%s/%s", at, form->marker[train]) : NULL;
        bool found = marker && sp_path_exists(marker);
        sp_free(marker);
        if (found)
            return at;
        sp_free(at);
    }
    return NULL;
}

unsigned sp_events_parts(const sp_kind *kind, const char *folder, const sp_dataset_options *o)
{
    unsigned parts = 0;
    if (kind->events.layout == SP_LAYOUT_OWN)
        return sp_own_files_parts(folder, sp_name_is_recording, NULL, o->targets);
    for (int train = 0; train < 2; train++) {
        char *at = find_folder(&kind->events, folder, train);
        parts |= !at ? 0u : train ? SP_PART_TRAIN : SP_PART_TEST;
        sp_free(at);
    }
    return parts;
}

/* Better said here than "no files". */
static sp_status explain_aedat4(const char *folder, sp_status st, sp_error *err)
{
    if (st == SP_E_DATA && (sp_folder_has(folder, sp_name_ends_in, ".aedat4") ||
                            sp_has_class_folders(folder, sp_name_ends_in, ".aedat4")))
        return SP_FAIL(err, SP_E_DATA,
                       "%s: its recordings are AEDAT 4 (.aedat4), which this data set does not read; take "
                       "data.name: events, or the original distribution of the set",
                       folder);
    return st;
}

static sp_status list_in(const sp_kind *kind, const sp_dataset_options *o, const char *folder,
                         sp_event_list *out, sp_error *err)
{
    const sp_event_form *form = &kind->events;
    bool train = o->train != 0, nmnist = form->layout == SP_LAYOUT_NMNIST;
    sp_class_layout l = {.wanted = sp_name_ends_in,
                         .ctx = nmnist ? ".bin" : ".aedat",
                         .what = nmnist ? ".bin files" : ".aedat files",
                         .least_classes = 2,
                         .by_number = true,
                         .split = 1.0,
                         .train = train};
    char *path;
    sp_status st;
    if (form->layout == SP_LAYOUT_OWN) {
        l.wanted = sp_name_is_recording, l.what = "recordings", l.targets = o->targets;
        st = sp_list_own_files(folder, l, train, o->whole, &out->files, err);
        out->classes = out->files.classes;
        return st;
    }
    path = sp_format("%s/%s", folder, form->marker[train]);
    if (!path)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory while opening data set \"%s\"", kind->name);
    if (form->layout == SP_LAYOUT_SPIKE_TRAINS) {
        st = sp_shd_open(path, out->classes, &out->shd, err);
    } else if (form->layout == SP_LAYOUT_GESTURES) {
        st = sp_list_gestures(folder, path, &out->files, err);
    } else if (nmnist) {
        l.class_names = digits, l.n_classes = 10;
        st = sp_list_classes(path, &l, &out->files, err);
    } else {
        l.split = o->events.split > 0.0 ? o->events.split : 0.9;
        if (out->classes)
            l.class_names = spi_cifar_classes, l.n_classes = 10;
        st = explain_aedat4(folder, sp_list_classes(folder, &l, &out->files, err), err);
    }
    sp_free(path);
    if (st == SP_OK && !out->classes)
        out->classes = out->files.classes;
    return st;
}

/* One recording, whose label nobody knows; a file of spike trains has its own. */
static sp_status list_file(const sp_kind *kind, const char *path, sp_event_list *out, sp_error *err)
{
    if (kind->events.layout == SP_LAYOUT_SPIKE_TRAINS)
        return sp_shd_open(path, out->classes, &out->shd, err);
    return sp_file_list_add(&out->files, (sp_file){.path = sp_strdup(path)}, err);
}

sp_status sp_events_list(const sp_kind *kind, const sp_dataset_options *o, const char *folder,
                         sp_event_list *out, sp_error *err)
{
    bool own = kind->events.layout == SP_LAYOUT_OWN;
    out->classes = kind->classes;
    if (o->file)
        return list_file(kind, o->file, out, err);
    char *at = own ? sp_strdup(folder) : find_folder(&kind->events, folder, o->train);
    sp_status st = at ? list_in(kind, o, at, out, err)
                      : SP_FAIL(err, SP_E_MEMORY, "out of memory while opening data set \"%s\"", kind->name);
    sp_free(at);
    return st;
}
