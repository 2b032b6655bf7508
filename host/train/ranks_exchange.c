/* Messages between ranks, with a time limit and a look at whether another rank has failed. */
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "train/ranks_internal.h"

enum { MAX_BYTES = 1 << 30, SPINS = 2000, GUARD_S = 15 };
#define MESSAGE_NS 10000000000u

/* A rank that fails tells rank 0. */
static sp_status check_failures(sp_ranks *r, sp_error *err)
{
    int from = -1, done = 0;
    if (r->rank != 0)
        return SP_OK;
    int code = r->in->mpi->probe(SPI_TAG_FAILED, &from);
    if (code || from < 0)
        return code ? spi_ranks_call_failed(r, "looking for messages", code, err) : SP_OK;
    spi_failure *f = &r->in->failure;
    intptr_t request;
    const uint64_t start = sp_clock_ns();
    code = r->in->mpi->receive(f, sizeof *f, from, SPI_TAG_FAILED, &request);
    while (!code && !done && sp_clock_ns() - start < MESSAGE_NS)
        code = r->in->mpi->test(&request, &done);
    if (!done)
        return SP_FAIL(err, SP_E_FAILED,
                       "rank %d (host %s): it has failed, and its message of why does not come", from,
                       spi_ranks_host(r, from));
    f->text[sizeof f->text - 1] = '\0';
    return SP_FAIL(err, f->status < 0 ? f->status : SP_E_FAILED, "%s", f->text);
}

/* "rank 2 (host b), rank 3 (host b)": those whose message is missing. *reporter: the lowest of the others. */
static void name_missing(const sp_ranks *r, size_t n, char *out, size_t out_size, int *reporter)
{
    size_t at = 0;
    *reporter = 0;
    out[0] = '\0';
    for (int rank = 0; rank < r->size; rank++) {
        bool missing = false;
        for (size_t i = 0; i < n; i++)
            missing = missing || (!r->in->pending[i].done && r->in->pending[i].part->rank == rank);
        if (missing && at + 80 < out_size)
            at += (size_t)snprintf(out + at, out_size - at, "%srank %d (host %s)", at ? ", " : "", rank,
                                   spi_ranks_host(r, rank));
        *reporter += missing && *reporter == rank;
    }
}

/* Where the launcher asks for an end while others do not answer, one of them has probably died. */
static sp_status look_at_time(sp_ranks *r, const char *what, size_t n, uint64_t start, uint64_t *stopped,
                              sp_error *err)
{
    char names[400];
    int reporter;
    uint64_t now = sp_clock_ns();
    if ((double)(now - start) * 1e-9 > r->timeout_s) {
        name_missing(r, n, names, sizeof names, &reporter);
        return SP_FAIL(err, SP_E_FAILED,
                       "no answer within %g s (--rank-timeout) from %s, while waiting for %s: it has ended, "
                       "or hangs. The last checkpoint is whole: continue with --resume, on any number of "
                       "ranks",
                       r->timeout_s, names, what);
    }
    if (r->stop && *r->stop && *stopped != UINT64_MAX) {
        *stopped = *stopped ? *stopped : now;
        if (now - *stopped > 300000000u) {
            name_missing(r, n, names, sizeof names, &reporter);
            *stopped = UINT64_MAX;
            if (reporter == r->rank)
                sp_log(SP_LOG_WARNING,
                       "the launcher ends all ranks, and there is no answer from %s (waiting for %s): a rank "
                       "has ended or was killed, see the launcher's message. The last checkpoint is whole",
                       names, what);
        }
    }
    return SP_OK;
}

static void pause_briefly(unsigned spin)
{
    if (spin < SPINS)
        sched_yield();
    else
        nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
}

/* Most often because the other rank has ended. */
static sp_status call_failed(const sp_ranks *r, const char *what, const spi_pending *p, int code,
                             sp_error *err)
{
    char call[200];
    snprintf(call, sizeof call, "%s %s %s rank %d (host %s)", p->send ? "sending" : "receiving", what,
             p->send ? "to" : "from", p->part->rank, spi_ranks_host(r, p->part->rank));
    return spi_ranks_call_failed(r, call, code, err);
}

static sp_status wait_all(sp_ranks *r, const char *what, size_t n, sp_error *err)
{
    uint64_t start = sp_clock_ns(), stopped = 0;
    for (unsigned spin = 0;; spin += spin < SPINS) {
        size_t left = 0;
        for (size_t i = 0; i < n; i++) {
            spi_pending *p = &r->in->pending[i];
            int done = p->done, code = done ? 0 : r->in->mpi->test(&p->request, &done);
            if (code)
                return call_failed(r, what, p, code, err);
            p->done = done;
            left += !done;
        }
        if (left == 0)
            break;
        SP_TRY(check_failures(r, err));
        SP_TRY(look_at_time(r, what, n, start, &stopped, err));
        pause_briefly(spin);
    }
    r->wait_ns += sp_clock_ns() - start;
    return SP_OK;
}

static sp_status make_room(sp_ranks *r, size_t n, sp_error *err)
{
    if (n > r->in->room) {
        sp_free(r->in->pending);
        r->in->pending = sp_alloc_array(n, sizeof *r->in->pending);
        r->in->room = r->in->pending ? n : 0;
    }
    return n <= r->in->room ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory for messages");
}

static sp_status post(sp_ranks *r, const char *what, const sp_ranks_part *part, bool send, spi_pending *p,
                      sp_error *err)
{
    *p = (spi_pending){.part = part, .send = send};
    if (part->bytes > MAX_BYTES)
        return SP_FAIL(err, SP_E_FAILED, "%s: a message of %zu bytes is too large for MPI; use more ranks",
                       what, part->bytes);
    int code = send
                   ? r->in->mpi->send(part->data, (int)part->bytes, part->rank, SPI_TAG_DATA, &p->request)
                   : r->in->mpi->receive(part->data, (int)part->bytes, part->rank, SPI_TAG_DATA, &p->request);
    return code ? call_failed(r, what, p, code, err) : SP_OK;
}

static sp_status post_and_wait(sp_ranks *r, const char *what, const sp_ranks_part *sends, size_t n_sends,
                               const sp_ranks_part *receives, size_t n_receives, sp_error *err)
{
    SP_TRY(make_room(r, n_sends + n_receives, err));
    for (size_t i = 0; i < n_receives; i++)
        SP_TRY(post(r, what, &receives[i], false, &r->in->pending[i], err));
    for (size_t i = 0; i < n_sends; i++)
        SP_TRY(post(r, what, &sends[i], true, &r->in->pending[n_receives + i], err));
    return wait_all(r, what, n_sends + n_receives, err);
}

/* wait_all keeps the time limit; the guard is for a call of MPI that does not come back. */
sp_status sp_ranks_exchange(sp_ranks *r, const char *what, const sp_ranks_part *sends, size_t n_sends,
                            const sp_ranks_part *receives, size_t n_receives, sp_error *err)
{
    spi_guard_begin(what, r->timeout_s + GUARD_S);
    sp_status st = post_and_wait(r, what, sends, n_sends, receives, n_receives, err);
    spi_guard_end();
    return st;
}

static sp_ranks_part part_of(const sp_ranks_table *t, int owner, int other)
{
    const size_t from = t->at ? t->at[owner] : (size_t)owner, to = t->at ? t->at[owner + 1] : from + 1;
    return (sp_ranks_part){other, (char *)t->all + from * t->item_bytes, (to - from) * t->item_bytes};
}

sp_status sp_ranks_gather(sp_ranks *r, const char *what, const sp_ranks_table *tables, size_t n,
                          sp_error *err)
{
    if (!r)
        return SP_OK;
    sp_ranks_part *sends = r->in->parts, *receives = sends + SP_RANKS_TABLES * r->size;
    size_t parts = 0;
    for (int i = 0; i < r->size; i++)
        for (size_t k = 0; k < n && i != r->rank; k++, parts++) {
            sends[parts] = part_of(&tables[k], r->rank, i);
            receives[parts] = part_of(&tables[k], i, i);
        }
    return sp_ranks_exchange(r, what, sends, parts, receives, parts, err);
}

sp_status sp_ranks_sum(sp_ranks *r, const char *what, uint64_t *x, size_t n, sp_error *err)
{
    if (!r)
        return SP_OK;
    if (n > r->in->n_words) {
        sp_free(r->in->words);
        r->in->words = sp_alloc_array(n * (size_t)r->size, sizeof *x);
        r->in->n_words = r->in->words ? n : 0;
    }
    if (n > r->in->n_words)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for %s", what);
    memcpy(r->in->words + (size_t)r->rank * n, x, n * sizeof *x);
    SP_TRY(sp_ranks_gather(r, what, &(sp_ranks_table){r->in->words, n * sizeof *x, NULL}, 1, err));
    memset(x, 0, n * sizeof *x);
    for (int i = 0; i < r->size; i++)
        for (size_t k = 0; k < n; k++)
            x[k] += r->in->words[(size_t)i * n + k];
    return SP_OK;
}

sp_status sp_ranks_share(sp_ranks *r, const char *what, void *data, size_t bytes, sp_error *err)
{
    size_t n = 0;
    sp_ranks_part *sends = r->in->parts, receive = {0, data, bytes};
    if (r->rank != 0)
        return sp_ranks_exchange(r, what, NULL, 0, &receive, 1, err);
    for (int i = 1; i < r->size; i++)
        sends[n++] = (sp_ranks_part){i, data, bytes};
    return sp_ranks_exchange(r, what, sends, n, NULL, 0, err);
}

/* ---- the check at the start ---- */

/* The entry of a text around its byte `at`: entries end with a line feed or a semicolon. */
static int entry(const char *text, size_t at, const char **from)
{
    size_t lo = at, hi = at;
    while (lo > 0 && !strchr(";\n", text[lo - 1]))
        lo--;
    while (text[hi] && !strchr(";\n", text[hi]))
        hi++;
    *from = text + lo + strspn(text + lo, " ");
    int n = (int)(text + hi - *from);
    return n > 150 ? 150 : n < 0 ? 0 : n;
}

static sp_status differs(const sp_ranks *r, const char *what, const char *theirs, const char *mine,
                         sp_error *err)
{
    size_t at = 0;
    const char *a, *b;
    while (theirs[at] && theirs[at] == mine[at])
        at++;
    int n = entry(theirs, at, &a), m = entry(mine, at, &b);
    return SP_FAIL(err, SP_E_MISMATCH,
                   "%s differs: rank 0 (host %s) has \"%.*s\", this rank has \"%.*s\"; all ranks need the "
                   "same",
                   what, r->hosts[0], n, a, m, b);
}

sp_status sp_ranks_agree(sp_ranks *r, const char *what, const char *text, sp_error *err)
{
    uint64_t bytes = strlen(text) + 1;
    if (!r)
        return SP_OK;
    SP_TRY(sp_ranks_share(r, what, &bytes, sizeof bytes, err));
    char *first = bytes < MAX_BYTES ? sp_alloc(bytes) : NULL;
    if (!first)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for %s", what);
    if (r->rank == 0)
        memcpy(first, text, bytes);
    sp_status st = sp_ranks_share(r, what, first, bytes, err);
    first[bytes - 1] = '\0';
    if (st == SP_OK && strcmp(first, text) != 0)
        st = differs(r, what, first, text, err);
    sp_free(first);
    return st;
}
