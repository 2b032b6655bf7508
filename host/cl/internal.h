/* What the files of host/cl share with each other and with their tests; nobody else includes this. */
#ifndef SP_CL_INTERNAL_H
#define SP_CL_INTERNAL_H

#include <signal.h>
#include "cl/device.h"

/* Flags of the quirk table for a device whose other fields are filled in. */
uint32_t sp_quirks_find(const sp_device_info *info);
/* Whether the processor has AVX-512 (F, BW, VL) with products of bf16, and the system saves its registers. */
bool sp_cpu_has_avx512_bf16(void);
/* Whether this process may use AMX tiles: asks the processor, and the system for permission. */
bool sp_cpu_has_amx_bf16(void);
/* Whether it may use them although the processor has none: a test has preloaded a library that emulates
 * them. */
bool sp_cpu_emulates_amx_bf16(void);
/* The matrix unit of a device whose other fields are filled in, and the same where the one number that it is
 * asked for is known: of NVIDIA the first part of the compute capability, of AMD the lanes of a wavefront, of
 * Intel the lanes of the smallest sub-group. */
sp_matrix_unit sp_matrix_find(const sp_device_info *info);
sp_matrix_unit sp_matrix_of(const sp_device_info *info, size_t number);

/* Ctrl-C, SIGTERM and SIGHUP are kept from this thread, and from the threads and processes that it starts,
 * until the release. Then what came meanwhile arrives. */
void sp_signals_hold(sigset_t *before);
void sp_signals_release(const sigset_t *before);
/* Before a driver is started or compiles, and during and after it: the program's handlers of these signals,
 * where a driver has put its own in their place. True once nothing more is to be expected. [any-thread] */
void sp_handlers_note(void);
bool sp_handlers_restore(void);

/* clBuildProgram with a time limit (SPIKEPORT_BUILD_TIMEOUT, 600 seconds). SP_OK: it answered, with *code.
 * Otherwise the program still belongs to the compiler and must not be released. */
sp_status sp_build_program(sp_device *dev, cl_program program, const char *options, const char *label,
                           cl_int *code, sp_error *err);

/* Declarations of the built-in functions that the text uses, to be put in front of it (sp_free; NULL: out of
 * memory; empty where it calls others, see sp_builtins_are_others, which takes text without comments), and
 * the options without which the driver of a device with the quirk READS_ALL_BUILTINS reads its own: the
 * guards of the header opencl-c.h of clang and of PoCL's _builtin_renames.h. */
char *sp_builtins_declare(const sp_device_info *info, const char *text);
bool sp_builtins_are_others(const char *code);
#define SP_BUILTINS_ARE_DECLARED "-D_OPENCL_H_ -D_KERNEL_RENAMES_H"

/* Compiled programs on disk (cache.c): whether this device's are kept; a program that was, or NULL; keeping
 * one. */
bool sp_cache_wanted(const sp_device *dev);
cl_program sp_cache_load(sp_device *dev, const char *label, const char *text, const char *options);
void sp_cache_store(sp_device *dev, cl_program program, const char *text, const char *options);

/* Programs of a device; freed with it. */
void sp_program_table_free(struct sp_program_table **table);

/* Writes on a device with the quirk WRITE_IN_PART, see staging.c. Blocking. */
bool sp_write_needs_staging(const sp_device *dev, sp_range to, size_t bytes);
sp_status sp_write_staged(sp_device *dev, sp_range to, const void *from, size_t bytes, sp_error *err);

/* Profiler: a fixed pool of events, so that recording never allocates. */
typedef struct sp_profiler sp_profiler;
sp_profiler *sp_profiler_create(cl_command_queue queue);
void sp_profiler_destroy(sp_profiler **p); /* waits for the events it still holds */

/* How one launch is to be recorded: enqueue with `event` (may be NULL), then call sp_profiler_end. */
typedef sp_device_span sp_profiler_slot;
sp_profiler_slot sp_profiler_begin(sp_profiler *p, const char *name);
void sp_profiler_end(sp_profiler *p, sp_profiler_slot slot);
/* The same for several commands: the time from what was enqueued before to the end of the last of them. */
sp_profiler_slot sp_profiler_begin_span(sp_profiler *p, const char *name);
void sp_profiler_end_span(sp_profiler *p, sp_profiler_slot slot);

/* Time by the host's clock from here on; the profiler does so itself when the driver's times make no sense.
 */
void sp_profiler_use_host_clock(sp_profiler *p);

/* Do the four timestamps of an event make sense? Some drivers mix clocks. */
bool sp_timestamps_sane(cl_ulong queued, cl_ulong submit, cl_ulong start, cl_ulong end);

#endif
