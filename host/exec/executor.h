/* Executor: walks a plan's timeline and enqueues its steps. Knows nothing of schedules; allocates nothing. */
#ifndef SP_EXEC_EXECUTOR_H
#define SP_EXEC_EXECUTOR_H

#include "plan/plan.h"

/* One mini-batch as the host holds it. */
typedef struct sp_exec_batch {
    const float
        *images; /* [B][H][W][C], or [T][B][H][W][C] for sequences; must stay until results are read */
    const int32_t *labels;   /* [B]; -1 = padding */
    const float *targets;    /* [B][K], where the loss is of rows of numbers; else NULL */
    const uint8_t *backprop; /* [T], SLTT-K's draw; NULL: every step */
    int32_t iteration;       /* mini-batch number since the start of training */
    size_t frame_bytes;      /* from one time step to the next in images, where this is a share of a larger
                                mini-batch; 0: its own */
    double lr;               /* of this mini-batch, for plans with online_update */
} sp_exec_batch;

/* Uploads the batch and enqueues everything up to the gradients. Does not wait. [hot] */
sp_status sp_exec_run(sp_plan *p, const sp_exec_batch *batch, sp_error *err);

/* Shows each step that a mini-batch runs up to the gradients, once for each time that its segment runs.
 * Nothing is computed. */
typedef void sp_exec_see_step(void *ctx, const sp_step *s);
void sp_exec_steps(const sp_plan *p, const sp_exec_batch *batch, sp_exec_see_step *see, void *ctx);

/* Where a run in parts has stopped: behind step `at`, or at its end (NULL). */
typedef struct sp_exec_cursor {
    int entry, step, t;
    const sp_step *at;
} sp_exec_cursor;
/* As sp_exec_run, up to the next step with `sync`. The cursor is {0} at first. [hot] */
sp_status sp_exec_run_part(sp_plan *p, const sp_exec_batch *batch, sp_exec_cursor *c, sp_error *err);

/* Plans with external_loss: all time steps run forward, which gives their outputs [T][B][classes]; then back
 * from their gradient to those of the parameters and, where g_input is not NULL, of the input at each time
 * step, [T][B][H][W][C]. sp_exec_end follows: the gradients of the parameters are whole then. All with the
 * same batch; nothing else may run on the plan's memory in between. Forward and end wait. batch->labels NULL:
 * none are needed. [hot] */
sp_status sp_exec_forward(sp_plan *p, const sp_exec_batch *batch, float *step_logits, sp_error *err);
sp_status sp_exec_backward(sp_plan *p, const sp_exec_batch *batch, const float *g_step_logits, float *g_input,
                           sp_error *err);
/* The same where sp_plan_steps_apart, for one time step after the other, each with a backward pass or
 * without. [hot] */
sp_status sp_exec_forward_step(sp_plan *p, const sp_exec_batch *batch, int t, float *logits, sp_error *err);
sp_status sp_exec_backward_step(sp_plan *p, const sp_exec_batch *batch, int t, const float *g_logits,
                                sp_error *err);
sp_status sp_exec_end(sp_plan *p, const sp_exec_batch *batch, sp_error *err);

/* Waits, and reads loss[B] (the sum over time steps, by sample) and correct[B]. [hot] */
sp_status sp_exec_results(sp_plan *p, float *loss, uint32_t *correct, sp_error *err);

/* Waits; false when some gradient is not finite. [hot] */
sp_status sp_exec_gradients_finite(sp_plan *p, bool *finite, sp_error *err);

/* The optimizer step. n is its number from 1 on (AdamW's bias correction). Does not wait. With online_update
 * the steps are part of sp_exec_run, and this does nothing. [hot] */
sp_status sp_exec_update(sp_plan *p, double lr, int64_t n, sp_error *err);

/* Spikes since the last call, by graph node (zero where there is no neuron), and clears the counters. */
sp_status sp_exec_spikes(sp_plan *p, uint64_t *spikes, sp_error *err);
/* Waits. Spikes of the last mini-batch, [time steps][neuron layers in order], for plans with step_spikes;
 * `part` is room for 64 counters a layer. [hot] */
sp_status sp_exec_step_spikes(sp_plan *p, uint64_t *spikes, uint32_t *part, sp_error *err);
sp_status sp_exec_clear_spikes(sp_plan *p, sp_error *err);

/* After a loss that is not finite: runs the batch again step by step and says in `where` which layer, op and
 * time step first gave a number that is not finite ("2.branch.0 conv.forward, time step 3: output is inf").
 */
sp_status sp_exec_find_nonfinite(sp_plan *p, const sp_exec_batch *batch, char *where, size_t where_size,
                                 sp_error *err);

/* Waits. SP_E_NUMERIC where a potential of the last mini-batch's last time step is not finite: it reaches no
 * threshold, so the layer would only be silent, and the loss finite. */
sp_status sp_exec_check_potentials(sp_plan *p, sp_error *err);

/* What a neuron layer did at one time step: potentials before the reset and spikes, sample after sample. */
typedef struct sp_exec_seen {
    int node, t;
    double v_th;
    const float *u;         /* [rows][cols]: rows are batch x pixels, cols channels */
    const uint32_t *spikes; /* [rows][ceil(cols / 32)] bits */
    int64_t rows, cols;
} sp_exec_seen;

/* The spikes of one sample as bytes of 0 and 1, [cols][pixels]: PyTorch's layout. */
void sp_exec_seen_spikes(const sp_exec_seen *seen, int64_t sample, int64_t pixels, uint8_t *to);

/* Who looks at a mini-batch while it runs; functions may be NULL. */
typedef struct sp_exec_watcher {
    void (*see)(void *ctx, const sp_exec_seen *seen); /* every neuron layer at every time step */
    const bool *nodes;                                /* [graph nodes] those that `see` is shown; NULL: all */
    void (*see_activation)(void *ctx, const sp_exec_seen *seen); /* relu and qcfs: u is what they give */
    /* The network's outputs [batch][classes] of time step t; false: no further time step is wanted. */
    bool (*outputs)(void *ctx, int t, const float *logits);
    void *ctx;
} sp_exec_watcher;

/* Runs a mini-batch step by step and shows what is asked for. Slow with `see`, which reads all neurons back;
 * with `outputs` alone the host waits once a time step. */
sp_status sp_exec_watch(sp_plan *p, const sp_exec_batch *batch, const sp_exec_watcher *w, sp_error *err);

/* A plan that was made without a device, run by the C references of its ops on host memory; its tensors must
 * be those of the plan and its constants, not parameters of the model. arena: p->arena_bytes, zeroed at
 * first; `look` (may be NULL) is shown the buffers of every step after it has run. */
typedef void sp_exec_look(void *ctx, const sp_step *s, int t, void *const *buffers);
sp_status sp_exec_reference(const sp_plan *p, void *arena, const sp_exec_batch *batch, sp_exec_look *look,
                            void *ctx, sp_error *err);
/* Writes the constants of a plan to its device, once after sp_plan_attach; no other plan may share its
 * memory.
 */
sp_status sp_exec_load_constants(sp_plan *p, sp_error *err);

/* Inside exec/: the walk over the timeline. Every step of a mini-batch up to the gradients, `visit` (may be
 * NULL) after each until it clears *go_on. [hot] */
typedef sp_status spi_exec_visit(void *ctx, const sp_step *s, int t, bool *go_on, sp_error *err);
sp_status spi_exec_walk(sp_plan *p, const sp_exec_batch *batch, spi_exec_visit *visit, void *ctx,
                        sp_error *err);
/* Inside exec/: the first entry of the timeline from number *i on that runs for this mini-batch; NULL: no
 * more. */
const sp_timeline_entry *spi_exec_next(const sp_plan *p, const sp_exec_batch *batch, int *i);
/* Inside exec/: the scalars of a time step. */
sp_dynamic spi_exec_dynamic(const sp_plan *p, const sp_exec_batch *batch, int t);
/* Inside exec/: one step at one time step. */
sp_status spi_exec_step(sp_plan *p, const sp_step *s, int t, const sp_dynamic *dyn, sp_error *err);
sp_dynamic spi_exec_update_dynamic(const sp_plan *p, double lr, int64_t n); /* of sp_exec_update */

#endif
