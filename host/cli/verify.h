/* Reference cases: a network with inputs, parameters and the gradients that a correct implementation gives. A
 * case is NAME.json (settings, layers) with NAME.safetensors (input, target, param.*, grad.*, logits_sum,
 * after.*). */
#ifndef SP_CLI_VERIFY_H
#define SP_CLI_VERIFY_H

#include "plan/plan.h"

typedef struct sp_verify_row {
    char name[128]; /* "grad.0.weight", "logits_sum", "after.1.running_mean", "loss_value" */
    double error;   /* largest |ours - reference| over the tensor's largest |reference|; where that
                     * is zero but for rounding, over the largest gradient of the case */
    bool passed;
} sp_verify_row;

typedef struct sp_verify_case {
    char name[128];
    sp_verify_row *rows;
    size_t n_rows;
    double worst;  /* of all rows */
    double cosine; /* between all our gradients and the reference's, as one vector; NAN without gradients */
    bool passed;
    bool *used; /* [reg->n_forced]: whether it ran a kernel of that forced choice */
} sp_verify_case;

typedef struct sp_verify_precision {
    bool half, bf16; /* precision.activations and precision.compute of a recipe */
} sp_verify_precision;

/* Half storage and products in bf16 are approximations, which no tensor is then judged by; the cosine must be
 * at least 1 - tolerance instead. Runs one case. SP_OK also when rows fail: look at passed. Another status
 * means that the case could not be run. */
sp_status sp_verify_run(const char *json_path, sp_device *dev, sp_registry *reg, double tolerance,
                        sp_verify_precision precision, sp_verify_case *out, sp_error *err);
void sp_verify_free(sp_verify_case *c);

#endif
