/* Events and frames: the pieces between a recording and a sample. Readers take bytes in memory and a name for
 * messages, check every count and coordinate, and never read past the end; their errors name file and byte.
 */
#ifndef SP_DATA_EVENTS_H
#define SP_DATA_EVENTS_H

#include <stddef.h>
#include <stdint.h>
#include "base/mem.h"
#include "base/rng.h"
#include "data/augment.h"
#include "data/dataset.h"
#include "data/file_list.h"

enum { SP_DVS128_SIDE = 128, SP_NMNIST_SIDE = 34, SP_SHD_UNITS = 700 };

typedef struct sp_event {
    int64_t t; /* microseconds */
    uint16_t x, y;
    uint16_t p; /* 0 or 1: the channel it is counted in */
} sp_event;

typedef struct sp_events {
    sp_event *items;
    size_t n, cap;
} sp_events;

void sp_events_free(sp_events *e);
sp_status sp_events_reserve(sp_events *e, size_t n, const char *name, sp_error *err); /* room for n in all */

/* The pixels of a camera; 0: unknown. */
typedef struct sp_sensor {
    int height, width;
} sp_sensor;

/* ---- readers: append to *out, which the caller frees also after a failure ---- */

/* aedat2.c: AEDAT 2.0 of a DVS128 (CIFAR10-DVS). */
sp_status sp_aedat2_parse(const char *name, const uint8_t *bytes, size_t n, sp_orientation orientation,
                          sp_events *out, sp_error *err);
/* aedat31.c: AEDAT 3.1 (DVS128 Gesture); range NULL: all, else start <= t < end. Events keep the file's
 * order. `counts` is added to. */
typedef struct sp_packet_counts {
    size_t all, polarity, none_valid; /* none_valid: polarity packets whose events are all marked invalid */
} sp_packet_counts;
sp_status sp_aedat31_parse(const char *name, const uint8_t *bytes, size_t n, const sp_time_range *range,
                           sp_events *out, sp_packet_counts *counts, sp_error *err);
/* nmnist.c: 5-byte events of N-MNIST. */
sp_status sp_nmnist_parse(const char *name, const uint8_t *bytes, size_t n, sp_events *out, sp_error *err);
/* aedat4.c: AEDAT 4.0, plain or compressed; prophesee.c: RAW files in EVT 2.0 or 3.0. sensor (may be NULL) is
 * what the file says of it, {0, 0} where it does not. */
sp_status sp_aedat4_parse(const char *name, const uint8_t *bytes, size_t n, sp_events *out, sp_sensor *sensor,
                          sp_error *err);
sp_status sp_prophesee_parse(const char *name, const uint8_t *bytes, size_t n, sp_events *out,
                             sp_sensor *sensor, sp_error *err);
/* events.c: any of the two AEDAT formats, by the first line; refuses AEDAT 4 and others by name. */
sp_status sp_aedat_parse(const char *name, const uint8_t *bytes, size_t n, sp_orientation orientation,
                         sp_events *out, sp_packet_counts *counts, sp_error *err);
/* events.c: by time, where they are not in its order; those of one time by place then. */
void sp_events_sort(sp_events *e);
/* recording.c: a recording of any format, told by its ending: .npz and HDF5 (arrays t, x, y, p), .aedat4,
 * .raw, .aedat. Events are in the order of time.
 * sensor (may be NULL) is what the file says of it. */
typedef struct sp_recording_format {
    sp_orientation orientation; /* AEDAT 2.0 */
    int unit;                   /* sp_time_unit of .npz and HDF5 */
} sp_recording_format;
bool sp_name_is_recording(int at, const char *name, const void *ctx);
sp_status sp_recording_events(const char *path, const sp_recording_format *format, sp_events *out,
                              sp_sensor *sensor, sp_error *err);
/* A regular file as a whole, SP_E_DATA when there is none. Free *bytes with sp_free. */
sp_status sp_recording_read(const char *path, uint8_t **bytes, size_t *n, sp_error *err);

/* ---- gesture.c: the lists and labels beside the recordings of DVS128 Gesture ---- */

typedef struct sp_gesture_row {
    int32_t label; /* 0-based */
    int32_t line;  /* of the labels file, counted from 1 */
    sp_time_range range;
} sp_gesture_row;
/* Rows of a labels file; *rows is freed with sp_free. */
sp_status sp_gesture_labels_parse(const char *name, const char *text, size_t n, sp_gesture_row **rows,
                                  size_t *n_rows, sp_error *err);
/* Next name of a list of trials, from *at on; NULL after the last. A name may not leave the folder. */
sp_status sp_gesture_next_trial(const char *name, const char *text, size_t n, size_t *at, char **trial,
                                sp_error *err);

/* gesture_list.c: every labelled gesture of the recordings that `list_path` names. */
sp_status sp_list_gestures(const char *folder, const char *list_path, sp_file_list *out, sp_error *err);

/* ---- shd.c: spike trains of SHD and SSC ---- */

typedef struct sp_shd sp_shd;
sp_status sp_shd_open(const char *path, int classes, sp_shd **out, sp_error *err);
void sp_shd_close(sp_shd **shd);
size_t sp_shd_count(const sp_shd *shd);
int32_t sp_shd_label(const sp_shd *shd, size_t i);
/* Sample i as stored: seconds and unit numbers, freed with sp_free. [any-thread] */
sp_status sp_shd_read(const sp_shd *shd, size_t i, float **times, int32_t **units, size_t *n, sp_error *err);
/* The same as events: x the unit, t in microseconds. [any-thread] */
sp_status sp_shd_events(const sp_shd *shd, size_t i, sp_events *out, sp_error *err);

/* ---- events.c: frames ---- */

typedef struct sp_frame_shape {
    int frames, height, width, polarities;
} sp_frame_shape;

/* Counts into frames [T][H][W][P], which it zeroes first. by: COUNT, TIME or COUNT_EQUAL. window_us > 0: TIME
 * covers [origin_us, origin_us + window_us); 0: first to last event. Events must lie inside the frame. */
void sp_events_to_frames(const sp_event *e, size_t n, const sp_frame_shape *shape, sp_event_by by,
                         int64_t origin_us, int64_t window_us, float *frames);
/* Leaves out and moves events in time, as drawn for this sample of the epoch. */
void sp_events_augment(sp_events *e, const sp_augment *a, uint64_t seed, sp_sample_request want);
/* Each frame over its own largest value; an empty frame stays 0. */
void sp_frames_normalise_max(const sp_frame_shape *shape, float *frames);
/* What is drawn for one sample and done to all its frames alike: crop, then flip, then roll. */
typedef struct sp_frame_draw {
    int crop_y, crop_x, roll_y, roll_x;
    bool flip;
} sp_frame_draw;
sp_frame_draw sp_frame_draw_from(const sp_augment *a, sp_rng *r);
/* Frames of the shape, in place; scratch holds one frame. */
void sp_frames_augment(const sp_frame_shape *shape, const sp_frame_draw *d, float *scratch, float *frames);

/* What is drawn for one sample of an epoch, and normalisation. */
sp_status sp_frames_finish(const sp_frame_shape *shape, const sp_augment *a, const sp_normal *normal,
                           uint64_t seed, sp_sample_request want, float *frames, sp_error *err);

/* ---- event_list.c ---- */

struct sp_kind;
typedef struct sp_event_list {
    sp_file_list files; /* all but SHD and SSC */
    sp_shd *shd;
    int classes;
} sp_event_list;
/* The caller frees what is in it, also after an error. */
sp_status sp_events_list(const struct sp_kind *kind, const sp_dataset_options *o, const char *folder,
                         sp_event_list *out, sp_error *err);

/* ---- event_choices.c ---- */

/* Of the set, or as o says; 0: the recordings have to say it. */
sp_sensor sp_events_sensor(const struct sp_kind *set, const sp_dataset_options *o);
/* Frames before (binned) and after resizing. */
sp_status sp_events_shapes(const struct sp_kind *set, const sp_dataset_options *o, sp_sensor full,
                           sp_frame_shape *sensor, sp_frame_shape *out, sp_error *err);

/* ---- frame_resize.c ---- */

typedef struct sp_resize sp_resize;
/* From height x width to out x out pixels, two polarities. NULL when memory is out. */
sp_resize *sp_resize_create(sp_frame_resize_kind kind, int height, int width, int out);
void sp_resize_destroy(sp_resize **r);
size_t sp_resize_scratch_bytes(const sp_resize *r);
/* [T][height][width][2] to [T][out][out][2]. [any-thread] */
void sp_resize_run(const sp_resize *r, int frames, const float *in, void *scratch, float *out);

/* ---- frame_cache.c ---- */

/* The frames of one sample on disk. `key` names what was asked (the file is called after it), `sources` the
 * files that it was made from, with sizes and times. What does not agree in every point, its check sum
 * included, is a miss. */
typedef struct sp_frame_cache sp_frame_cache;
sp_status sp_frame_cache_open(const char *set, sp_frame_cache **out,
                              sp_error *err); /* NULL: no folder to be had */
void sp_frame_cache_close(sp_frame_cache **c);
bool sp_frame_cache_get(const sp_frame_cache *c, const char *key, const char *sources, float *frames,
                        size_t n);
/* A failure is said once and is none of the caller's: without a cache everything is decoded again.
 * [any-thread] */
void sp_frame_cache_put(sp_frame_cache *c, const char *key, const char *sources, const float *frames,
                        size_t n);
/* Appends "PATH SIZE MTIME" to a text; false when the file cannot be looked at. */
bool sp_frame_cache_source(sp_text *text, const char *path);

#endif
