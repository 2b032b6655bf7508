/* The folder of a run: it belongs to one process at a time, and a new run never takes the place of another
 * one unasked. */
#ifndef SP_TRAIN_RUN_FOLDER_H
#define SP_TRAIN_RUN_FOLDER_H

#include <stdbool.h>
#include "train/recipe.h"

/* First line of a recipe.yaml that training wrote. */
#define SP_RUN_RECIPE_HEAD "# Written by spikeport train. Edits have no effect: use --resume with --set.\n"

/* Whether files of a run lie in the folder. */
bool sp_run_folder_taken(const char *folder);

/* Makes the folder and locks it until *lock is closed or the process ends. `checkpoint` is the file that the
 * run continues from, NULL for a new run. Refused (SP_E_USAGE) while another process has the lock, and where
 * another run lies in the folder unless `overwrite`. */
sp_status sp_run_folder_open(const char *folder, const char *checkpoint, bool overwrite, int *lock,
                             sp_error *err);

/* Gives the lock back, and removes the folder where no run came to be in it. */
void sp_run_folder_close(const char *folder, int lock);

/* Whether a process trains in the folder. */
bool sp_run_folder_busy(const char *folder);

/* Whether the checkpoint lies in the folder. */
bool sp_run_folder_has(const char *folder, const char *checkpoint);

/* Writes recipe.yaml. `anew`: renames what an earlier run left to NAME.old, or NAME.old-2 and so on where
 * that is taken, so that nobody resumes it by mistake; only once the new recipe is on the disk. */
sp_status sp_run_folder_write_recipe(const char *folder, const sp_recipe *r, bool anew, sp_error *err);

/* The checkpoints that were moved away, newest first, to free with sp_free; NULL: none. */
char *sp_run_folder_old(const char *folder);

/* Warns of every key of the folder's recipe.yaml that is not what the run continues with. */
void sp_run_folder_compare(const char *folder, const sp_recipe *used, const char *const *sets, size_t n_sets);

#endif
