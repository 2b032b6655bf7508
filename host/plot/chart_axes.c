/* Axes of a chart: from the data to a range with ticks at round numbers. No drawing here. */
#include <math.h>
#include <stdio.h>
#include "plot/chart_axes.h"

#define HUGE_VALUE 1e300
#define TINY_RANGE 1e-290
enum { MAX_TICKS = 50 };

typedef struct range {
    double low, high;
    bool any;   /* there is a point at all */
    bool whole; /* all values are whole numbers */
} range;

bool sp_point_ok(const sp_series *s, size_t i)
{
    return fabs(s->x[i]) < HUGE_VALUE && fabs(s->y[i]) < HUGE_VALUE; /* false for NAN */
}

static range data_range(const sp_panel *p, bool of_y)
{
    range r = {.low = 0.0, .high = 1.0, .whole = true};
    for (size_t k = 0; k < p->n_series; k++) {
        const sp_series *s = &p->series[k];
        for (size_t i = 0; i < s->n; i++) {
            double v;
            if (!sp_point_ok(s, i))
                continue;
            v = of_y ? s->y[i] : s->x[i];
            r.low = r.any ? fmin(r.low, v) : v;
            r.high = r.any ? fmax(r.high, v) : v;
            r.whole = r.whole && v == floor(v);
            r.any = true;
        }
    }
    return r;
}

/* Makes room around equal (or nearly equal) ends, whose difference has no digits left to label. */
static void widen(double *low, double *high)
{
    double size = fmax(fabs(*low), fabs(*high)), room;
    if (*high - *low > 1e-9 * size && *high - *low > TINY_RANGE)
        return;
    room = size > TINY_RANGE * 1e10 ? 0.1 * size : 1.0;
    *low -= room;
    *high += room;
}

static double round_step(double length, int ticks)
{
    double raw = length / (ticks > 0 ? ticks : 1);
    double power = pow(10.0, floor(log10(raw))), lead = raw / power;
    return power * (lead <= 1.0 ? 1.0 : lead <= 2.0 ? 2.0 : lead <= 5.0 ? 5.0 : 10.0);
}

sp_axis sp_axis_x(const sp_panel *p, int ticks)
{
    range r = data_range(p, false);
    sp_axis a = {r.low, r.high, 0.0};
    if (r.whole && a.low == a.high && fabs(a.low) < 1e9) { /* one epoch: half of one to each side */
        a.low -= 0.5;
        a.high += 0.5;
    }
    widen(&a.low, &a.high);
    a.step = round_step(a.high - a.low, ticks);
    if (r.any && r.whole && a.step < 1.0) /* there is no epoch 1.5 */
        a.step = 1.0;
    return a;
}

/* The ends that the caller fixes; without data the other end is one away. */
static void fix_ends(const sp_panel *p, const range *r, bool low_set, bool high_set, sp_axis *a)
{
    if (low_set)
        a->low = p->y_min;
    if (high_set)
        a->high = p->y_max;
    if (!r->any && low_set && !high_set)
        a->high = a->low + 1.0;
    if (!r->any && high_set && !low_set)
        a->low = a->high - 1.0;
    if (a->low > a->high) { /* swapped, or a fixed end beyond all data */
        double t = a->low;
        a->low = a->high;
        a->high = t;
    }
}

sp_axis sp_axis_y(const sp_panel *p, int ticks)
{
    range r = data_range(p, true);
    sp_axis a = {r.low, r.high, 0.0};
    bool low_set = fabs(p->y_min) < HUGE_VALUE, high_set = fabs(p->y_max) < HUGE_VALUE; /* NAN: not set */
    double room;

    fix_ends(p, &r, low_set, high_set, &a);
    widen(&a.low, &a.high);
    room = 0.04 * (a.high - a.low);
    if (r.any && !low_set) /* a loss near 0 gets an axis from 0 */
        a.low = a.low >= 0.0 && a.low < room ? 0.0 : a.low - room;
    if (r.any && !high_set)
        a.high += room;
    a.step = round_step(a.high - a.low, ticks);
    return a;
}

/* Tick k is (first + k) * step: whole multiples, so that 0 is 0 and not 1e-17. */
static double first_tick(const sp_axis *a)
{
    return ceil(a->low / a->step - 1e-6);
}

int sp_axis_ticks(const sp_axis *a)
{
    double n = floor(a->high / a->step + 1e-6) - first_tick(a) + 1.0;
    return n < 0.0 ? 0 : n > MAX_TICKS ? MAX_TICKS : (int)n;
}

double sp_axis_tick(const sp_axis *a, int k)
{
    double multiple = first_tick(a) + k;
    return multiple == 0.0 ? 0.0 : multiple * a->step; /* no -0 */
}

void sp_axis_label(const sp_axis *a, int k, char *text, size_t text_bytes)
{
    double v = sp_axis_tick(a, k), size = fmax(fabs(a->low), fabs(a->high));
    int power = (int)floor(log10(a->step) + 1e-9);
    if (size >= 1e6 || power < -4) {
        int digits = (int)floor(log10(size) + 1e-9) - power + 1;
        snprintf(text, text_bytes, "%.*g", digits < 1 ? 1 : digits > 10 ? 10 : digits, v);
    } else {
        snprintf(text, text_bytes, "%.*f", power < 0 ? -power : 0, v);
    }
}
