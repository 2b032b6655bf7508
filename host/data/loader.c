/* The loader: one thread fills a ring of batches ahead of the consumer. Batch i of an epoch is a pure function of
 * (data set, seed, epoch, i), so a run that stops anywhere can go on with the same batches. One consumer thread.
 *
 * The ring is counted, not flagged: made, given and freed count batches since start(); batch k lives in slot
 * k % depth. freed <= given <= made <= freed + depth. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "base/error.h"
#include "base/mem.h"
#include "base/rng.h"
#include "data/loader.h"

#define STREAM_ORDER 0x4c4f414400000000u /* "LOAD": + epoch */
enum { PAGE_BYTES = 4096, MAX_DEPTH = 1024 };

struct sp_loader {
    const sp_dataset *ds;
    sp_loader_options opt;
    size_t n_batches;
    size_t frames, frame_items; /* frames is 1 for static images */
    uint32_t *order;            /* [count] of this epoch */
    float *scratch;             /* one sample, for sequences only */
    sp_batch *slots;            /* [depth] */

    pthread_t thread;
    pthread_mutex_t lock; /* guards everything below */
    pthread_cond_t for_thread, for_consumer;
    bool running; /* start() was called */
    bool quit;
    bool busy; /* the thread is filling a slot (outside the lock) */
    bool drop; /* and should stop that: start() or destroy() wants it */
    uint64_t epoch;
    size_t first;
    size_t made, given, freed;
    sp_error failure; /* of batch first + made; SP_OK: none */
    double wait_seconds;
};

static bool dropped(sp_loader *l)
{
    bool yes;
    pthread_mutex_lock(&l->lock);
    yes = l->drop || l->quit;
    pthread_mutex_unlock(&l->lock);
    return yes;
}

/* Reads sample `item` into place k; sequences are spread out so that time comes first. */
static sp_status fill_sample(sp_loader *l, sp_batch *b, size_t k, uint32_t item, sp_error *err)
{
    size_t n = l->frame_items, batch = l->opt.batch;
    if (l->frames == 1)
        return l->ds->get(l->ds, item, b->images + k * n, &b->labels[k], err);
    SP_TRY(l->ds->get(l->ds, item, l->scratch, &b->labels[k], err));
    for (size_t t = 0; t < l->frames; t++)
        memcpy(b->images + (t * batch + k) * n, l->scratch + t * n, n * sizeof(float));
    return SP_OK;
}

/* Past the last sample of the epoch: sample 0 of the batch again, so that the network sees ordinary numbers. */
static void pad(const sp_loader *l, sp_batch *b)
{
    size_t n = l->frame_items, batch = l->opt.batch;
    for (size_t k = b->n_valid; k < batch; k++) {
        b->labels[k] = -1;
        for (size_t t = 0; t < l->frames; t++)
            memcpy(b->images + (t * batch + k) * n, b->images + t * batch * n, n * sizeof(float));
    }
}

static sp_status fill_batch(sp_loader *l, sp_batch *b, size_t index, sp_error *err)
{
    size_t from = index * l->opt.batch, left = l->ds->info.count - from;
    b->index = index;
    b->n_valid = left < l->opt.batch ? left : l->opt.batch;
    for (size_t k = 0; k < b->n_valid; k++) {
        if (dropped(l))
            return SP_OK;
        SP_TRY(fill_sample(l, b, k, l->order[from + k], err));
    }
    pad(l, b);
    return SP_OK;
}

static bool has_work(const sp_loader *l)
{
    return l->running && !l->drop && l->failure.status == SP_OK &&
           l->made < l->freed + (size_t)l->opt.depth && l->first + l->made < l->n_batches;
}

static void *thread_main(void *arg)
{
    sp_loader *l = arg;
    pthread_mutex_lock(&l->lock);
    while (!l->quit) {
        sp_error err = {0};
        sp_status st;
        size_t k = l->made;
        if (!has_work(l)) {
            pthread_cond_wait(&l->for_thread, &l->lock);
            continue;
        }
        l->busy = true;
        pthread_mutex_unlock(&l->lock);
        st = fill_batch(l, &l->slots[k % (size_t)l->opt.depth], l->first + k, &err);
        pthread_mutex_lock(&l->lock);
        l->busy = false;
        if (!l->drop && st != SP_OK) {
            sp_error_prefix(&err, st, "while reading batch %zu of epoch %llu: ", l->first + k,
                            (unsigned long long)l->epoch);
            l->failure = err;
            l->failure.status = st; /* also when a reader forgot to fill in the record */
        } else if (!l->drop) {
            l->made++;
        }
        pthread_cond_broadcast(&l->for_consumer);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

static sp_status check_options(const sp_dataset *ds, const sp_loader_options *o, sp_error *err)
{
    if (o->batch == 0)
        return SP_FAIL(err, SP_E_CONFIG, "batch is 0; choose 1 or more");
    if (o->depth < 0 || o->depth > MAX_DEPTH)
        return SP_FAIL(err, SP_E_CONFIG,
                       "the loader reads %d batches ahead; choose 1 to %d, or 0 for the default", o->depth,
                       MAX_DEPTH);
    if (ds->info.count == 0 || ds->info.count > UINT32_MAX)
        return SP_FAIL(err, SP_E_DATA, "data set \"%s\" has %zu samples; 1 to %lu can be loaded",
                       ds->info.name, ds->info.count, (unsigned long)UINT32_MAX);
    if (o->drop_last && ds->info.count < o->batch)
        return SP_FAIL(err, SP_E_CONFIG,
                       "data set \"%s\" has %zu samples, fewer than one batch of %zu, and an incomplete "
                       "batch is dropped; choose a smaller batch",
                       ds->info.name, ds->info.count, o->batch);
    if (ds->info.frames < 0 || ds->info.channels < 1 || ds->info.height < 1 || ds->info.width < 1)
        return SP_FAIL(err, SP_E_DATA,
                       "data set \"%s\" has samples of %d frames of %dx%dx%d; sizes must be positive",
                       ds->info.name, ds->info.frames, ds->info.channels, ds->info.height, ds->info.width);
    return SP_OK;
}

/* Bytes of a batch, a whole number of pages; false when it does not fit size_t. */
static bool batch_bytes(const sp_loader *l, size_t *bytes)
{
    size_t factors[] = {l->frames, l->opt.batch, (size_t)l->ds->info.height, (size_t)l->ds->info.width,
                        (size_t)l->ds->info.channels};
    size_t n = sizeof(float);
    for (size_t i = 0; i < sizeof factors / sizeof *factors; i++) {
        if (n > (SIZE_MAX - PAGE_BYTES) / factors[i])
            return false;
        n *= factors[i];
    }
    *bytes = (n + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
    return true;
}

static sp_status allocate(sp_loader *l, sp_error *err)
{
    size_t bytes = 0, depth = (size_t)l->opt.depth, count = l->ds->info.count;
    bool ok = batch_bytes(l, &bytes);
    l->order = ok ? sp_alloc_array(count, sizeof *l->order) : NULL;
    l->slots = ok ? sp_alloc_array(depth, sizeof *l->slots) : NULL;
    ok = l->order && l->slots;
    if (ok && l->frames > 1)
        ok = (l->scratch = sp_alloc_array(l->frames, l->frame_items * sizeof(float))) != NULL;
    for (size_t i = 0; ok && i < depth; i++) {
        l->slots[i].images = sp_alloc_aligned(bytes, PAGE_BYTES);
        l->slots[i].labels = sp_alloc_array(l->opt.batch, sizeof(int32_t));
        ok = l->slots[i].images && l->slots[i].labels;
    }
    if (!ok)
        return SP_FAIL(err, SP_E_MEMORY,
                       "no memory for %zu batches of %zu samples (%zu bytes each); choose a smaller batch",
                       depth, l->opt.batch, bytes);
    return SP_OK;
}

static void free_memory(sp_loader *l)
{
    for (size_t i = 0; l->slots && i < (size_t)l->opt.depth; i++) {
        sp_free(l->slots[i].images);
        sp_free(l->slots[i].labels);
    }
    sp_free(l->slots);
    sp_free(l->scratch);
    sp_free(l->order);
    sp_free(l);
}

/* The thread takes no signals: Ctrl-C is for the thread that trains. */
static int start_thread(sp_loader *l)
{
    sigset_t all, old;
    int code;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    code = pthread_create(&l->thread, NULL, thread_main, l);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return code;
}

static void fini_locks(sp_loader *l)
{
    pthread_cond_destroy(&l->for_thread);
    pthread_cond_destroy(&l->for_consumer);
    pthread_mutex_destroy(&l->lock);
}

sp_status sp_loader_create(const sp_dataset *ds, const sp_loader_options *o, sp_loader **out, sp_error *err)
{
    sp_loader *l;
    sp_status st;
    int code;

    SP_TRY(check_options(ds, o, err));
    l = sp_alloc(sizeof *l);
    if (!l)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory while making a loader");
    l->ds = ds;
    l->opt = *o;
    l->opt.depth = o->depth ? o->depth : 3;
    l->frames = ds->info.frames > 0 ? (size_t)ds->info.frames : 1;
    l->frame_items = (size_t)ds->info.height * (size_t)ds->info.width * (size_t)ds->info.channels;
    l->n_batches = ds->info.count / o->batch + (!o->drop_last && ds->info.count % o->batch ? 1 : 0);
    st = allocate(l, err);
    if (st != SP_OK) {
        free_memory(l);
        return st;
    }
    pthread_mutex_init(&l->lock, NULL); /* these cannot fail with default attributes on Linux */
    pthread_cond_init(&l->for_thread, NULL);
    pthread_cond_init(&l->for_consumer, NULL);
    code = start_thread(l);
    if (code != 0) {
        fini_locks(l);
        free_memory(l);
        return SP_FAIL(err, SP_E_FAILED,
                       "the loader's thread cannot be started: %s; is the process limit reached?",
                       strerror(code));
    }
    *out = l;
    return SP_OK;
}

void sp_loader_destroy(sp_loader **lp)
{
    sp_loader *l = lp ? *lp : NULL;
    if (!l)
        return;
    pthread_mutex_lock(&l->lock);
    l->quit = true;
    pthread_cond_broadcast(&l->for_thread);
    pthread_mutex_unlock(&l->lock);
    pthread_join(l->thread, NULL);
    fini_locks(l);
    free_memory(l);
    *lp = NULL;
}

size_t sp_loader_batches(const sp_loader *l)
{
    return l->n_batches;
}

static void make_order(sp_loader *l, uint64_t epoch)
{
    sp_rng r = sp_rng_make(l->opt.seed, STREAM_ORDER + epoch);
    for (size_t i = 0; i < l->ds->info.count; i++)
        l->order[i] = (uint32_t)i;
    if (l->opt.shuffle)
        sp_rng_shuffle(&r, l->order, l->ds->info.count);
}

sp_status sp_loader_start(sp_loader *l, uint64_t epoch, size_t first, sp_error *err)
{
    if (first > l->n_batches)
        return SP_FAIL(err, SP_E_CONFIG,
                       "epoch %llu cannot start at batch %zu: it has %zu; was the batch size changed since "
                       "the checkpoint?",
                       (unsigned long long)epoch, first, l->n_batches);
    pthread_mutex_lock(&l->lock);
    l->drop = true;
    while (l->busy)
        pthread_cond_wait(&l->for_consumer, &l->lock);
    make_order(l, epoch); /* the thread reads the order only while busy */
    l->epoch = epoch;
    l->first = first;
    l->made = l->given = l->freed = 0;
    memset(&l->failure, 0, sizeof l->failure);
    l->drop = false;
    l->running = true;
    pthread_cond_broadcast(&l->for_thread);
    pthread_mutex_unlock(&l->lock);
    return SP_OK;
}

static double now_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Waits, under the lock, until batch `given` is there or can never come. */
static void wait_for_batch(sp_loader *l)
{
    double from;
    if (l->made > l->given || l->failure.status != SP_OK)
        return;
    from = now_seconds();
    while (l->made == l->given && l->failure.status == SP_OK)
        pthread_cond_wait(&l->for_consumer, &l->lock);
    l->wait_seconds += now_seconds() - from;
}

static sp_status next_locked(sp_loader *l, const sp_batch **out, sp_error *err)
{
    if (!l->running)
        return SP_FAIL(err, SP_E_FAILED, "the loader has no epoch; call sp_loader_start first");
    if (l->first + l->given >= l->n_batches)
        return SP_OK;
    if (l->given - l->freed >= (size_t)l->opt.depth)
        return SP_FAIL(err, SP_E_FAILED,
                       "all %d batches of the loader are in use; give one back with sp_loader_release",
                       l->opt.depth);
    wait_for_batch(l);
    if (l->made == l->given) {
        if (err)
            *err = l->failure;
        return l->failure.status;
    }
    *out = &l->slots[l->given % (size_t)l->opt.depth];
    l->given++;
    return SP_OK;
}

sp_status sp_loader_next(sp_loader *l, const sp_batch **out, sp_error *err)
{
    sp_status st;
    *out = NULL;
    pthread_mutex_lock(&l->lock);
    st = next_locked(l, out, err);
    pthread_mutex_unlock(&l->lock);
    return st;
}

void sp_loader_release(sp_loader *l, const sp_batch *b)
{
    pthread_mutex_lock(&l->lock);
    /* A batch from before the last start(), or out of turn, is not counted. */
    if (l->freed < l->given && b == &l->slots[l->freed % (size_t)l->opt.depth]) {
        l->freed++;
        pthread_cond_signal(&l->for_thread);
    }
    pthread_mutex_unlock(&l->lock);
}

double sp_loader_wait_seconds(const sp_loader *l)
{
    pthread_mutex_t *lock = (pthread_mutex_t *)&l->lock; /* the lock is not part of the loader's value */
    double seconds;
    pthread_mutex_lock(lock);
    seconds = l->wait_seconds;
    pthread_mutex_unlock(lock);
    return seconds;
}
