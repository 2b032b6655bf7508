/* What the files of host/report share. */
#ifndef SP_LAB_INTERNAL_H
#define SP_LAB_INTERNAL_H

#include "plot/picture.h"
#include "lab/report.h"

/* Text or number of an object; "" and 0 when it is not there. */
const char *spi_text(const json_t *o, const char *key);
double spi_number(const json_t *o, const char *key);

/* Four significant digits, so that the page and the file say the same. NAN and infinity become null. */
json_t *spi_rounded(double x);

/* The distinct texts of a key, in order of appearance. */
json_t *spi_distinct(const json_t *records, const char *key);

/* A name of a device that fits a table or legend, from the "devices" of a summary. */
const char *spi_short_name(const json_t *devices, const char *device);

/* Portability rows from the "problems" of a summary. */
json_t *spi_portability(const json_t *problems, const json_t *devices);

/* Whether a portability row is one of a whole application, not of a kernel that runs a problem or two. */
bool spi_is_whole(const json_t *row);

/* Points gathered by the name of their series; those that do not fit are left out. */
enum { SPI_LINES_SERIES = 6, SPI_LINES_POINTS = 512 };
typedef struct spi_lines {
    sp_series series[SPI_LINES_SERIES];
    char names[SPI_LINES_SERIES][64];
    double x[SPI_LINES_SERIES][SPI_LINES_POINTS], y[SPI_LINES_SERIES][SPI_LINES_POINTS];
    size_t n;
} spi_lines;
void spi_lines_put(spi_lines *l, const char *name, double x, double y);

/* PNGs of the summary in `folder`: their names in `names`, at most `max`. */
sp_status spi_charts(const json_t *summary, const json_t *records, const char *folder, const char *names[],
                     size_t max, size_t *n, sp_error *err);

#endif
