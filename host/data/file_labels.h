/* Inside data/: the labels of a table of files (file_csv.c), and the classes they make. */
#ifndef SP_DATA_FILE_LABELS_H
#define SP_DATA_FILE_LABELS_H

#include "data/file_list.h"

typedef struct spi_label {
    char *label, *file; /* file: as it is written */
    int line;
} spi_label;

/* Labels of the files, and the classes of all n rows, whichever part is asked for, so that both parts agree.
 * of_file: [files->n] the row of each file. name: of the table, for messages. */
sp_status spi_label_files(const spi_label *rows, size_t n, const size_t *of_file, const char *name,
                          sp_file_list *files, sp_error *err);

#endif
