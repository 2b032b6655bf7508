/* What a recipe may ask of event-camera data and of encoded images. Zero is the default of every member, and
 * the first name of a list is the one that 0 stands for. */
#ifndef SP_DATA_EVENT_OPTIONS_H
#define SP_DATA_EVENT_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

/* How AEDAT 2.0 addresses become coordinates (readers in use disagree); other formats know no such choice.
 * SLTT:         x = 127 - x_raw, y = y_raw,       p = 1 - p_raw    (the default: the published SLTT and OTTT
 * results) SPIKINGJELLY: x = 127 - y_raw, y = 127 - x_raw, p = 1 - p_raw PLAIN:        x = x_raw,       y =
 * y_raw,       p = p_raw */
typedef enum { SP_ORIENT_DEFAULT, SP_ORIENT_SLTT, SP_ORIENT_SPIKINGJELLY, SP_ORIENT_PLAIN } sp_orientation;
#define SP_ORIENTATION_NAMES "default", "sltt", "spikingjelly", "plain"

/* How a recording is cut into T frames of its N events.
 * COUNT:       N/T events each, rounded down; the last frame takes the rest too (default for cameras)
 * TIME:        equal windows; the last one takes what is later (default for SHD and SSC)
 * COUNT_EQUAL: as COUNT, but the rest is dropped (TET) */
typedef enum { SP_BY_DEFAULT, SP_BY_COUNT, SP_BY_TIME, SP_BY_COUNT_EQUAL } sp_event_by;
#define SP_EVENT_BY_NAMES "default", "count", "time", "count-equal"

/* How frames are brought to another size: antialiased bilinear on the counts, or the round trip through 8-bit
 * LA images that published DVS-CIFAR10 results went through (frame_resize.c says what it does to counts). */
typedef enum { SP_RESIZE_BILINEAR, SP_RESIZE_PIL } sp_frame_resize_kind;
#define SP_RESIZE_NAMES "bilinear", "pil"

/* NONE: counts; MAX: each frame over its own largest value, before resizing (TET). */
typedef enum { SP_NORMALISE_NONE, SP_NORMALISE_MAX } sp_frame_normalise;
#define SP_NORMALISE_NAMES "none", "max"

/* Still images as spike trains (encode.c). */
typedef enum { SP_ENCODE_NONE, SP_ENCODE_RATE, SP_ENCODE_LATENCY } sp_encoding;
#define SP_ENCODING_NAMES "none", "rate", "latency"

/* Unit of the times of .npz and HDF5 recordings. */
typedef enum { SP_UNIT_US, SP_UNIT_NS, SP_UNIT_MS, SP_UNIT_S } sp_time_unit;
#define SP_UNIT_NAMES "us", "ns", "ms", "s"

typedef struct sp_event_options {
    int orientation, by, resize, normalise; /* of the enumerations above */
    bool no_cache;                          /* decode every recording anew */
    double split;      /* part of each class that trains, where a set has no split; 0: 0.9 */
    int64_t sensor[2]; /* height and width of the own recordings' sensor; 0: as the first recording says */
    int64_t bin;       /* so many pixels of the sensor, squared, make one of a frame; 0: 1 */
    int unit;          /* sp_time_unit */
    double window;     /* TIME: seconds; 0: first to last event, and 1.4 s for SHD and SSC */
} sp_event_options;

#endif
