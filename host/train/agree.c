/* The check at the start: ranks that would not compute the same are refused before anything is written. */
#include "base/error.h"
#include "spikeport/version.h"
#include "train/checkpoint.h"
#include "train/replicas.h"

static sp_status compare(sp_ranks *r, const char *recipe, const char *place, const char *fingerprint,
                         const char *kernels, sp_error *err)
{
    const struct {
        const char *what, *text;
    } facts[] = {{"the version of spikeport", SPIKEPORT_VERSION},
                 {"the recipe", recipe},
                 {"the fingerprint of the training data", fingerprint},
                 {"the place in training", place},
                 {"the set of kernels", kernels}};
    uint64_t all_here = 0;
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
        SP_TRY(sp_ranks_agree(r, facts[i].what, facts[i].text, err));
    return sp_ranks_sum(r, "the check at the start", &all_here, 1, err);
}

sp_status sp_ranks_check_start(sp_ranks *ranks, const sp_session *s, bool mixed, const sp_progress *p,
                               sp_error *err)
{
    if (!ranks)
        return SP_OK;
    sp_text recipe = {0}, place = {0};
    char *kernels = sp_checkpoint_kernels(s);
    sp_recipe_print(&s->recipe, &recipe);
    sp_text_add(&place, "epoch %lld;mini-batch %lld", (long long)p->epoch, (long long)p->iteration);
    sp_status st = kernels && !recipe.failed && !place.failed
                       ? compare(ranks, recipe.s, place.s, p->fingerprint, mixed ? "" : kernels, err)
                       : SP_FAIL(err, SP_E_MEMORY, "out of memory for training");
    sp_text_free(&recipe);
    sp_text_free(&place);
    sp_free(kernels);
    return st;
}
