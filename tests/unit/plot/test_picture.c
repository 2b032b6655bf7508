/* Pictures: what was written is read back with libpng and looked at pixel by pixel, or as text. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <math.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/mem.h"
#include "plot/canvas.h"
#include "plot/chart_axes.h"
#include "plot/picture.h"

typedef struct picture {
    int width, height;
    uint8_t *rgb;
} picture;

static const char *test_path(void)
{
    static char path[600];
    snprintf(path, sizeof path, "%s/picture-%ld.png", SP_TEST_BINARY_DIR, (long)getpid());
    return path;
}

static picture read_back(const char *path)
{
    png_image image = {.version = PNG_IMAGE_VERSION};
    picture p = {0};
    cr_assert(png_image_begin_read_from_file(&image, path), "%s", image.message);
    cr_assert(!(image.format & PNG_FORMAT_FLAG_ALPHA) && (image.format & PNG_FORMAT_FLAG_COLOR));
    image.format = PNG_FORMAT_RGB;
    p.width = (int)image.width;
    p.height = (int)image.height;
    p.rgb = malloc(PNG_IMAGE_SIZE(image));
    cr_assert(png_image_finish_read(&image, NULL, p.rgb, 0, NULL), "%s", image.message);
    return p;
}

/* Pixels of about this colour in columns x0..x1-1. */
static int count_colour(const picture *p, int x0, int x1, uint32_t colour)
{
    int n = 0;
    for (int y = 0; y < p->height; y++) {
        for (int x = x0; x < x1; x++) {
            const uint8_t *c = p->rgb + 3 * (y * p->width + x);
            n += abs(c[0] - (int)(colour >> 16)) + abs(c[1] - (int)(colour >> 8 & 255)) +
                     abs(c[2] - (int)(colour & 255)) <
                 12;
        }
    }
    return n;
}

/* Small pictures keep their pixels; a file is replaced as a whole or not at all. */
Test(picture, a_sheet_has_the_pixels_of_its_tiles)
{
    uint8_t rgb[2][5 * 3 * 3];
    const sp_tile tiles[2] = {{rgb[0], "one"}, {rgb[1], NULL}};
    const sp_sheet sheet = {tiles, 2, 2, 5, 3, 4};
    sp_error err = {0};
    for (size_t i = 0; i < sizeof rgb[0]; i++)
        rgb[0][i] = (uint8_t)(i * 37), rgb[1][i] = (uint8_t)(255 - i);
    cr_assert_eq(sp_sheet_write(test_path(), &sheet, &err), SP_OK, "%s", err.text);
    picture p = read_back(test_path());
    cr_assert(p.width == 2 * 26 + 6 && p.height == 12 + 14 + 6 + 6);
    for (int k = 0; k < 2; k++)
        for (int y = 0; y < 12; y++)
            for (int x = 0; x < 20; x++)
                for (int c = 0; c < 3; c++)
                    cr_assert_eq(p.rgb[3 * ((6 + y) * p.width + 6 + 26 * k + x) + c],
                                 rgb[k][3 * (y / 4 * 5 + x / 4) + c]);
    free(p.rgb);
    unlink(test_path());
}

Test(picture, errors_leave_no_file)
{
    char folder[512], path[600];
    float value = 0;
    const sp_map map = {
        .values = &value, .rows = 1, .columns = 1, .cell_width = 1, .cell_height = 1, .high = 1};
    static const struct {
        const char *name, *expect;
        sp_status status;
    } bad[] = {{"no/such.png", "no/such.png", SP_E_IO}, {"a.jpg", "ends in .png", SP_E_USAGE}};
    sp_error err = {0};
    int files = 0;
    snprintf(folder, sizeof folder, "%s/png-XXXXXX", SP_TEST_BINARY_DIR);
    cr_assert_not_null(mkdtemp(folder));
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, bad[i].name);
        cr_assert_eq(sp_map_write(path, &map, 1, 1, &err), bad[i].status, "%s", err.text);
        cr_assert_not_null(strstr(err.text, bad[i].expect), "%s", err.text);
    }
    snprintf(path, sizeof path, "%s/a.png", folder);
    for (int64_t k = 1; k < 50; k++) { /* whichever allocation fails */
        sp_mem_fail_at(k);
        sp_status st = sp_map_write(path, &map, 1, 1, &err);
        sp_mem_fail_at(0);
        if (st == SP_OK)
            break;
        cr_assert_eq(st, SP_E_MEMORY, "%s", err.text);
        unlink(path); /* memory may run out after the renaming */
    }
    cr_assert_eq(unlink(path), 0, "written when memory sufficed");
    DIR *dir = opendir(folder);
    for (struct dirent *e; (e = readdir(dir)) != NULL;)
        files += e->d_name[0] != '.';
    closedir(dir);
    cr_assert_eq(files, 0);
    rmdir(folder);
}

/* An SVG says its texts, and has a path for each line. */
Test(picture, svg_and_pdf)
{
    double x[3] = {1, 2, 3}, y[3] = {0.5, 0.25, 0.125};
    const sp_series s = {"H\xc3\xb6he <1>", x, y, 3};
    const sp_panel panel = {"L\xff & M", "epoch", "\xce\xbc", &s, 1, 0, 1};
    const sp_chart chart = {&panel, 1, 1, 480, 340, .bars = false};
    static const char *const said[] = {"L\\xff &amp; M\n", "H\xc3\xb6he &lt;1>\n", "\xce\xbc\n", "epoch\n",
                                       "0.2\n"};
    char path[600], text[200000] = "";
    sp_error err = {0};
    static const char *const ends[] = {"svg", "pdf"};
    for (int k = 0; k < 2; k++) {
        snprintf(path, sizeof path, "%s/picture-%ld.%s", SP_TEST_BINARY_DIR, (long)getpid(), ends[k]);
        for (int again = 0; again < 2; again++) /* over its own kind */
            cr_assert_eq(sp_chart_write(path, &chart, &err), SP_OK, "%s", err.text);
        FILE *f = fopen(path, "r");
        text[fread(text, 1, sizeof text - 1, f)] = '\0';
        fclose(f);
        unlink(path);
        cr_assert(strncmp(text, k ? "%PDF-" : "<?xml", 5) == 0);
        const char *desc = strstr(text, "<desc>"), *end = strstr(text, "</desc>");
        cr_assert(k || (desc && end && end - desc < 1000), "no description");
        for (size_t i = 0; i < sizeof said / sizeof *said && !k; i++)
            cr_assert(strstr(desc, said[i]) && strstr(desc, said[i]) < end, "%s", said[i]);
        cr_assert(k || strstr(text, "width=\"480px\"") || strstr(text, "width=\"480\""));
    }
}

static const uint32_t colours[6] = {0x0072b2, 0xd55e00, 0x009e73, 0xcc79a7, 0xe69f00, 0x56b4e9};

Test(picture, chart_shows_its_series)
{
    double x[100], y[6][100];
    sp_series s[6];
    sp_panel panels[2] = {{"Loss", "step", "cross entropy", s, 6, NAN, NAN},
                          {"Accuracy", "epoch", "%", s, 2, 0.0, 10.0}};
    sp_error err = {0};
    picture p;
    for (int k = 0; k < 6; k++) {
        for (int i = 0; i < 100; i++) {
            x[i] = i;
            y[k][i] = k + sin(i * 0.1);
        }
        s[k] = (sp_series){k % 2 ? "name" : NULL, x, y[k], 100};
    }
    cr_assert_eq(
        sp_chart_write(
            test_path(),
            &(sp_chart){.panels = panels, .n = 2, .columns = 2, .panel_width = 640, .panel_height = 420},
            &err),
        SP_OK, "%s", err.text);
    p = read_back(test_path());
    cr_assert(p.width == 1280 && p.height == 420);
    for (int k = 0; k < 6; k++) {
        cr_assert_gt(count_colour(&p, 0, 640, colours[k]), 300, "series %d", k);
        cr_assert((count_colour(&p, 640, 1280, colours[k]) > 300) == (k < 2), "series %d, second panel", k);
    }
    cr_assert_gt(count_colour(&p, 0, 1280, 0xffffff), 1280 * 420 * 8 / 10);
    cr_assert_gt(count_colour(&p, 0, 1280, 0x202020), 500, "titles and axis names");
    for (int i = 0; i < 1280; i++) /* nothing runs over the edge */
        cr_assert(p.rgb[3 * i] == 255 && p.rgb[3 * ((420 - 1) * 1280 + i)] == 255);
    free(p.rgb);
    unlink(test_path());
}

Test(picture, chart_takes_gaps_points_and_nothing)
{
    double x[6] = {0, 1, 2, 3, 4, 5}, gap[6] = {1, 1, NAN, NAN, 1, 1}, flat[6] = {1, 1, 1, 1, 1, 1}, none[6];
    double alone[6] = {NAN, NAN, 2, NAN, INFINITY, -INFINITY},
           wild[6] = {1e308, -1e308, 1e-308, 0, 1e20, -1e-20};
    double one_x[1] = {7}, one_y[1] = {-0.25};
    sp_series s[] = {{"gap", x, gap, 6},     {"flat", x, flat, 6}, {"none", x, none, 6},
                     {"alone", x, alone, 6}, {"wild", x, wild, 6}, {"one", one_x, one_y, 1}};
    sp_error err = {0};
    int length[2];
    for (int i = 0; i < 6; i++)
        none[i] = NAN;
    for (int k = 0; k < 7; k++) {
        sp_panel panel = {NULL, NULL, NULL, k < 6 ? &s[k] : NULL, k < 6, NAN, NAN};
        int ink;
        picture p;
        if (k < 6)
            s[k].name = NULL;
        cr_assert_eq(
            sp_chart_write(
                test_path(),
                &(sp_chart){.panels = &panel, .n = 1, .columns = 1, .panel_width = 640, .panel_height = 420},
                &err),
            SP_OK, "case %d: %s", k, err.text);
        p = read_back(test_path());
        ink = count_colour(&p, 0, 640, colours[0]);
        if (k < 2)
            length[k] = ink;
        else
            cr_assert((ink > 0) == (k == 3 || k == 4 || k == 5), "case %d: ink %d", k, ink);
        free(p.rgb);
    }
    cr_assert(length[0] > 100 && length[0] < length[1] * 3 / 4, "the gap is not drawn: %d, %d", length[0],
              length[1]);
    unlink(test_path());
}

Test(picture, chart_survives_small_sizes_long_texts_and_failing_allocations)
{
    double x[2] = {1e9, 1e9 + 1}, y[2] = {-1e-7, 1e-7};
    const char *text = "a very long text that fits nowhere, with \xc3\xa4 and \x01 and \xff in it, again and "
                       "again and again";
    sp_series s[6];
    sp_panel p = {text, text, text, s, 6, NAN, NAN};
    sp_error err = {0};
    int64_t k = 0;
    static const int sizes[][2] = {{160, 120}, {160, 600}, {600, 120}, {420, 280}};
    for (int i = 0; i < 6; i++)
        s[i] = (sp_series){text, x, y, 2};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        cr_assert_eq(sp_chart_write(test_path(),
                                    &(sp_chart){.panels = &p,
                                                .n = 1,
                                                .columns = 1,
                                                .panel_width = sizes[i][0],
                                                .panel_height = sizes[i][1]},
                                    &err),
                     SP_OK, "%s", err.text);
    do {
        sp_mem_fail_at(++k);
    } while (sp_chart_write(
                 test_path(),
                 &(sp_chart){.panels = &p, .n = 1, .columns = 1, .panel_width = 160, .panel_height = 120},
                 &err) != SP_OK &&
             k < 100);
    sp_mem_fail_at(0);
    cr_assert(k > 3 && k < 100);
    unlink(test_path());
}

Test(picture, chart_refuses_impossible_requests)
{
    sp_panel p[2] = {{.n_series = 0, .y_min = NAN, .y_max = NAN},
                     {.n_series = 7, .y_min = NAN, .y_max = NAN}};
    static const struct {
        size_t n;
        int width, height;
    } bad[] = {{0, 640, 420}, {1, 10, 420}, {1, 640, -5}, {1, 9000, 420}, {2, 640, 420}, {100, 640, 420}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        sp_error err = {0};
        cr_assert_eq(sp_chart_write(test_path(),
                                    &(sp_chart){.panels = p,
                                                .n = bad[i].n,
                                                .columns = bad[i].n,
                                                .panel_width = bad[i].width,
                                                .panel_height = bad[i].height},
                                    &err),
                     SP_E_FAILED, "case %zu", i);
        cr_assert_neq(err.text[0], '\0');
    }
    cr_assert_neq(access(test_path(), F_OK), 0);
}

static int count_near(const picture *p, int x0, int y0, int x1, int y1, uint32_t colour)
{
    int n = 0;
    for (int y = y0; y < y1; y++)
        for (int x = x0; x < x1; x++) {
            const uint8_t *rgb = p->rgb + 3 * ((size_t)y * (size_t)p->width + (size_t)x);
            n += rgb[0] == colour >> 16 && rgb[1] == (colour >> 8 & 255) && rgb[2] == (colour & 255);
        }
    return n;
}

/* Two bars, the second three times as high: three times the ink; in rows of two panels. */
Test(picture, bars_and_rows)
{
    double x[2] = {0.5, 1.5}, y[2] = {1, 3}, mark_x[2] = {1, 1}, mark_y[2] = {0, 3};
    sp_series s[2] = {{NULL, x, y, 2}, {"mark", mark_x, mark_y, 2}};
    sp_panel panels[3] = {{"a", "x", "y", s, 2, 0, NAN},
                          {"b", "x", "y", s, 2, 0, NAN},
                          {"c", "x", "y", s, 2, 0, NAN}};
    const sp_chart chart = {panels, 3, 2, 480, 340, .bars = true};
    sp_error err = {0};
    cr_assert_eq(sp_chart_write(test_path(), &chart, &err), SP_OK, "%s", err.text);
    picture p = read_back(test_path());
    cr_assert(p.width == 960 && p.height == 680);
    for (int k = 0; k < 4; k++) {
        int left = k % 2 * 480, top = k / 2 * 340;
        int first = 480, last = 0;
        for (int i = left; i < left + 480; i++)
            if (count_near(&p, i, top, i + 1, top + 340, colours[0]) > 5) {
                first = i < first + left ? i - left : first;
                last = i - left;
            }
        int middle = left + (first + last) / 2;
        int low = count_near(&p, left, top, middle, top + 340, colours[0]),
            high = count_near(&p, middle, top, left + 480, top + 340, colours[0]);
        cr_assert(k == 3 ? low + high == 0 : low > 5000 && fabs(high / (double)low - 3) < 0.15,
                  "panel %d: %d, %d", k, low, high);
        cr_assert(k == 3 || count_near(&p, left, top, left + 480, top + 340, colours[1]) > 200);
    }
    free(p.rgb);
    unlink(test_path());
}

/* Cells have the colours of their values, and stand where they should. */
Test(picture, map_shows_its_cells)
{
    static const float values[6] = {0, 1, 0.5f, NAN, 1, 0};
    static const char *const names[3] = {"first", "second class", "third"};
    static const char *const texts[6] = {NULL, "17", NULL, NULL, NULL, NULL};
    const sp_map maps[3] = {{.title = "spikes",
                             .values = values,
                             .rows = 2,
                             .columns = 3,
                             .cell_width = 30,
                             .cell_height = 20,
                             .high = 1,
                             .colours = SP_COLOURS_INK,
                             .number_columns = true,
                             .x_label = "time step"},
                            {.title = "weights",
                             .values = values,
                             .rows = 2,
                             .columns = 3,
                             .cell_width = 30,
                             .cell_height = 20,
                             .low = 0,
                             .high = 1,
                             .colours = SP_COLOURS_SIGNED,
                             .scale = "w"},
                            {.title = "classes",
                             .values = values,
                             .rows = 2,
                             .columns = 3,
                             .cell_width = 30,
                             .cell_height = 20,
                             .high = 1,
                             .colours = SP_COLOURS_SHARE,
                             .names = names,
                             .texts = texts,
                             .y_label = "true"}};
    sp_error err = {0};
    cr_assert_eq(sp_map_write(test_path(), maps, 3, 3, &err), SP_OK, "%s", err.text);
    picture p = read_back(test_path());
    int wide = p.width / 3;
    cr_assert_eq(p.width, 3 * wide);
    cr_assert_geq(count_near(&p, 0, 0, wide, p.height, 0x202020), 2 * 600); // two full cells, and text
    for (int k = 0; k < 2; k++) { // nothing there; edges of letters may have the same grey
        int grey = count_near(&p, k * wide, 0, (k + 1) * wide, p.height, 0xe8e8e8);
        cr_assert(grey >= 600 && grey < 650, "%d", grey);
    }
    cr_assert_geq(count_near(&p, wide, 0, 2 * wide, p.height, 0xd55e00), 2 * 600); // the high end
    cr_assert_geq(count_near(&p, wide, 0, 2 * wide, p.height, 0x0072b2), 2 * 600); // the low end
    int blue = count_near(&p, 2 * wide, 0, 3 * wide, p.height, 0x0072b2);
    cr_assert(blue > 600 && blue < 2 * 600, "the text of a dark cell is not seen: %d", blue);
    for (int x = 0; x < p.width; x++) /* nothing runs over the edge */
        cr_assert(p.rgb[3 * x] == 255 && p.rgb[3 * ((p.height - 1) * p.width + x)] == 255);
    free(p.rgb);
    unlink(test_path());
}

Test(picture, map_refuses_impossible_requests)
{
    float value = 0;
    const sp_map good = {
        .values = &value, .rows = 1, .columns = 1, .cell_width = 1, .cell_height = 1, .high = 1};
    sp_map bad[4] = {good, good, good, good};
    sp_error err = {0};
    bad[0].rows = 0;
    bad[1].columns = 20000;
    bad[2].cell_width = 0;
    for (int i = 0; i < 3; i++)
        cr_assert_eq(sp_map_write(test_path(), &bad[i], 1, 1, &err), SP_E_FAILED, "case %d", i);
    cr_assert_eq(sp_map_write(test_path(), &good, 0, 1, &err), SP_E_FAILED);
    cr_assert_eq(sp_map_write(test_path(), &good, 1, 0, &err), SP_E_FAILED);
    sp_mem_fail_at(1);
    cr_assert_eq(sp_map_write(test_path(), &good, 1, 1, &err), SP_E_MEMORY);
    sp_mem_fail_at(0);
    cr_assert_neq(access(test_path(), F_OK), 0);
    cr_assert_eq(sp_map_write(test_path(), &good, 1, 1, &err), SP_OK, "%s", err.text);
    unlink(test_path());
}

static void check_ticks(const sp_axis *a, const char *about)
{
    char text[2][32] = {"", ""};
    int n = sp_axis_ticks(a);
    cr_assert(a->high > a->low && a->step > 0.0, "%s", about);
    cr_assert(n >= 1 && n <= 20, "%s: %d ticks", about, n);
    for (int k = 0; k < n; k++) {
        double v = sp_axis_tick(a, k), lead = a->step / pow(10.0, floor(log10(a->step) + 1e-9));
        cr_assert(v >= a->low - 1e-5 * a->step && v <= a->high + 1e-5 * a->step, "%s: tick %g", about, v);
        cr_assert(fabs(lead - 1) < 1e-9 || fabs(lead - 2) < 1e-9 || fabs(lead - 5) < 1e-9, "%s: step %g",
                  about, a->step);
        sp_axis_label(a, k, text[k % 2], sizeof text[0]);
        cr_assert_str_neq(text[0], text[1], "%s: two ticks are called %s", about, text[0]);
        cr_assert_float_eq(atof(text[k % 2]), v, 1e-3 * a->step, "%s: %g is called %s", about, v,
                           text[k % 2]);
    }
}

Test(picture, axes_have_round_ticks)
{
    static const double ends[][2] = {{0, 1},       {0, 2.3},        {0.871, 0.912}, {-3, 17},
                                     {0, 60000},   {5, 5},          {0, 0},         {-7, -7},
                                     {0.9, 0.9},   {1e-7, 3e-7},    {1e6, 4e6},     {1e9, 1e9 + 1},
                                     {1e12, 1e12}, {-1e299, 1e299}, {0, 1e-200},    {99.99, 100}};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        sp_series s = {"", ends[i], ends[i], 2};
        sp_panel p = {"", "", "", &s, 1, NAN, NAN};
        char about[64];
        sp_axis a = sp_axis_x(&p, 6);
        snprintf(about, sizeof about, "%g to %g", ends[i][0], ends[i][1]);
        check_ticks(&a, about);
        cr_assert(a.low <= ends[i][0] && a.high >= ends[i][1]);
        a = sp_axis_y(&p, 9);
        check_ticks(&a, about);
        cr_assert(a.low <= ends[i][0] && a.high >= ends[i][1]);
        cr_assert(ends[i][0] < 0 || ends[i][0] > 0 || ends[i][0] == ends[i][1] || a.low == 0,
                  "%s: starts at %g", about, a.low);
    }
}

Test(picture, axes_obey_fixed_ends)
{
    double v[2] = {0.4, 0.6};
    sp_series s = {"", v, v, 2};
    static const double fixed[][4] = {{0, 1, 0, 1}, {0, NAN, 0, 0.624}, {NAN, 1, 0.376, 1}, {1, 0, 0, 1}};
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
        sp_panel p = {"", "", "", &s, 1, fixed[i][0], fixed[i][1]};
        sp_axis a = sp_axis_y(&p, 5);
        cr_assert_float_eq(a.low, fixed[i][2], 1e-2, "case %zu: %g", i, a.low);
        cr_assert_float_eq(a.high, fixed[i][3], 1e-2, "case %zu: %g", i, a.high);
        check_ticks(&a, "fixed");
    }
    for (int i = 0; i < 4; i++) { /* without data */
        sp_panel p = {"", "", "", NULL, 0, i & 1 ? 5.0 : NAN, i & 2 ? 9.0 : NAN};
        sp_axis a = sp_axis_y(&p, 5);
        check_ticks(&a, "no data");
        cr_assert((!(i & 1) || a.low == 5.0) && (!(i & 2) || a.high == 9.0));
    }
}

Test(picture, whole_numbers_get_whole_ticks)
{
    double epochs[3] = {1, 2, 3}, y[3] = {0.1, 0.2, 0.3};
    sp_series s = {"", epochs, y, 3};
    sp_panel p = {"", "", "", &s, 1, NAN, NAN};
    sp_axis a = sp_axis_x(&p, 10);
    cr_assert(a.step == 1.0 && sp_axis_ticks(&a) == 3 && sp_axis_tick(&a, 0) == 1.0);
}

Test(picture, texts_are_measured_and_cut)
{
    cr_assert_eq(sp_canvas_text_width("", 2), 0);
    cr_assert_gt(sp_canvas_text_width("abc", 2), sp_canvas_text_width("ab", 2));
    cr_assert_gt(sp_canvas_text_width("abc", 2), sp_canvas_text_width("abc", 1));
    cr_assert_lt(sp_canvas_text_width("\xc3\xa4", 1), 2 * sp_canvas_text_width("a", 1)); /* one character */
}
