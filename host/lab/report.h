/* Benchmark records (JSON Lines) and what is made of them: a summary, the P3 analysis library's CSV, an HTML
 * page, a comparison of two sets. docs/BENCHMARK.md has the schema. Every figure of the page comes from the
 * summary, every figure of the summary from records whose result was checked: a time without a passed check
 * never gets past sp_records_load. */
#ifndef SP_LAB_REPORT_H
#define SP_LAB_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include "base/mem.h"
#include "spikeport/status.h"

#define SP_RECORD_SCHEMA 1

/* Reads files of records into *out, an array of objects. A line that is no record is SP_E_DATA with file and
 * line. A record with a time but without a passed check loses its time: status "invalid", the reason says
 * why; *n_invalid counts them. Median, p5, p95 and min are computed here from the samples, whatever the file
 * says. */
sp_status sp_records_load(const char *const *paths, size_t n, json_t **out, size_t *n_invalid, sp_error *err);

/* Inside lab/: the look of every page. A page that refreshes itself does so every refresh_s seconds; 0:
 * never. A picture (.png or .svg) goes into the page; its class is whole, half or third of the width. */
void spi_html_begin(sp_text *t, const char *title, int refresh_s);
void spi_html_text(sp_text *t, const char *s);
sp_status spi_html_picture(sp_text *t, const char *path, const char *class, const char *caption_text,
                           sp_error *err);

/* One record checked and completed in place, as sp_records_load does; `where` stands in front of messages. */
sp_status sp_record_check(json_t *record, const char *where, bool *invalid, sp_error *err);

/* Pennycook's metric (PMBS 2016): n over the sum of 1/e; 0 when an efficiency is missing (not above 0) or n
 * is 0. */
double sp_report_phi(const double *efficiency, size_t n);

/* Share of what a roofline allows: flops a second over min(peak, flops/bytes * bandwidth); with flops 0,
 * bytes a second over the bandwidth. ms for one execution; gflops, gbytes are the device's measured peaks. 0
 * when something is missing. */
double sp_report_roofline_share(double flops, double bytes, double ms, double gflops, double gbytes);

/* Devices, problems with efficiencies, Pennycook's metric by application. Release with json_decref. */
sp_status sp_report_summary(const json_t *records, json_t **out, sp_error *err);

/* problem, application, platform, fom, date, app eff, arch eff: one row for each application, problem and
 * device; empty efficiencies where it was not run, so that the analysis library sees 0. */
sp_status sp_report_csv(const json_t *summary, const char *path, sp_error *err);

/* A page that needs no other file; its pictures are PNGs of the one plotting module, inlined. `folder` takes
 * them too. */
sp_status sp_report_html(const json_t *summary, const json_t *records, const char *folder, const char *path,
                         sp_error *err);

/* What `spikeport reproduce` has gathered (host/cli/reproduce_sum.c) as NAME.json, NAME.csv, NAME.md and,
 * where it has panels, NAME.png in `folder`; *text takes the Markdown. All four say the same numbers. */
sp_status sp_report_tables(const json_t *summary, const char *folder, const char *name, sp_text *text,
                           sp_error *err);

/* One line for each problem, application and device in both sets: old and new median, ratio, and whether the
 * change is above `threshold` (0.05: 5 %) and outside both spreads. Array of objects in *out; *slower counts
 * regressions. */
sp_status sp_report_diff(const json_t *old_records, const json_t *new_records, double threshold, json_t **out,
                         size_t *slower, sp_error *err);

/* ---- what the files of the report share ---- */

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

/* PNGs of the summary in `folder`: their names in `names`. */
enum { SPI_CHARTS = 3 };
sp_status spi_charts(const json_t *summary, const json_t *records, const char *folder,
                     const char *names[SPI_CHARTS], size_t *n, sp_error *err);

#endif
