/* Programs: source text and options to a built cl_program, kept for the life of the device. */
#ifndef SP_CL_PROGRAM_H
#define SP_CL_PROGRAM_H

#include "base/mem.h"
#include "cl/device.h"

/* One piece of source and the file it came from, for #line markers and messages. */
/* Adds text behind a #line that names it. */
void sp_source_add(sp_text *t, const char *name, const char *text);

typedef struct sp_source {
    const char *name; /* "plugins/lif_vec4/lif_vec4.cl" */
    const char *text;
} sp_source;

/* Builds (or finds) the program made of the pieces in order. `label` names it in messages. The program
 * belongs to the device. A build failure is SP_E_BUILD with the first lines of the compiler's log, positions
 * in the original files. Options always include -cl-std=CL1.2 -cl-kernel-arg-info. [setup] */
sp_status sp_program_get(sp_device *dev, const char *label, const sp_source *pieces, size_t n_pieces,
                         const char *options, cl_program *out, sp_error *err);

/* A program from bytes that a driver or a vendor's compiler made; also built, as FPGA runtimes want it. The
 * caller releases it. Refused bytes are SP_E_BUILD. [setup] */
sp_status sp_program_from_binary(sp_device *dev, const char *label, const unsigned char *bytes, size_t n,
                                 cl_program *out, sp_error *err);
/* The binary of a built program; sp_free. Slow on PoCL. [setup] */
sp_status sp_program_binary(const sp_device *dev, const char *label, cl_program program,
                            unsigned char **bytes, size_t *n, sp_error *err);

#endif
