/* The arguments of a fragment's functions, compared before a compiler sees them: it would speak of a call
 * that the author has not written. */
#include <string.h>

#include "base/error.h"
#include "check/fragment.h"

/* Number of parameters of a function in the source, -1 where it is not defined there by name. */
static int count_parameters(const char *source, const char *function)
{
    size_t n = strlen(function);
    for (const char *at = source; (at = strstr(at, function)) != NULL; at += n) {
        const char *open = at + n + strspn(at + n, " \t\n"), *close = *open == '(' ? strchr(open, ')') : NULL;
        bool whole = close && at > source && strchr(" \t\n", at[-1]);
        if (!whole || close[1 + strspn(close + 1, " \t\n")] != '{')
            continue; /* a call, or another name that ends alike */
        int parameters = 1;
        for (const char *c = open; c < close; c++)
            parameters += *c == ',';
        return parameters;
    }
    return -1;
}

/* The arguments of every function, in words instead of a compiler's. */
sp_status sp_check_signatures(const sp_fragment *f, sp_error *err)
{
    static const struct {
        const char *function, *takes;
    } known[] = {
        {"surrogate_grad", "real d, float width"},
        {"surrogate_smooth", "real d, float width"},
        {"neuron_charge", "real v, real x, neuron_args p"},
        {"neuron_reset", "real u, real s, neuron_args p"},
        {"neuron_d_charge_d_v", "neuron_args p"},
        {"neuron_d_charge_d_x", "neuron_args p"},
        {"neuron_d_reset_d_u", "real u, real s, neuron_args p"},
        {"neuron_d_reset_d_s", "real u, real s, neuron_args p"},
        {"neuron_aux", "real a, real x, real s, neuron_args p, aux_args q"},
        {"neuron_current", "real x, real a, neuron_args p, aux_args q"},
        {"neuron_d_aux_d_a", "neuron_args p, aux_args q"},
        {"neuron_d_aux_d_x", "neuron_args p, aux_args q"},
        {"neuron_d_aux_d_s", "neuron_args p, aux_args q"},
        {"neuron_d_current_d_x", "neuron_args p, aux_args q"},
        {"neuron_d_current_d_a", "neuron_args p, aux_args q"},
        {"neuron_threshold", "real a, neuron_args p, aux_args q"},
        {"neuron_d_threshold_d_a", "neuron_args p, aux_args q"},
        {"neuron_learn", "neuron_args p, float w"},
        {"neuron_d_charge_d_w", "real v, real u, neuron_args p, float w"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        int got = count_parameters(f->source, known[i].function), want = 1;
        for (const char *c = known[i].takes; *c; c++)
            want += *c == ',';
        if (got >= 0 && got != want)
            return SP_FAIL(err, SP_E_MISMATCH, "%s takes (%s), but is defined with %d argument%s%s",
                           known[i].function, known[i].takes, got, got == 1 ? "" : "s",
                           strncmp(known[i].function, "neuron_d_charge_d_", 18) == 0 ? SP_CHARGE_IS_LINEAR
                                                                                     : "");
    }
    return SP_OK;
}
