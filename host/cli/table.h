/* The one writer of tables: rows are JSON objects, columns say which key stands where and how. The same rows
 * go to a terminal, as aligned text or JSON Lines, and into CSV, Markdown and HTML. */
#ifndef SP_CLI_TABLE_H
#define SP_CLI_TABLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include "base/mem.h"
#include "spikeport/status.h"

typedef struct sp_column {
    const char *key;  /* of the row; "a.b" looks into the object a */
    const char *head; /* NULL: in CSV and JSON only */
    int width;        /* of text: at least so many characters; below 0: aligned at the left */
    int digits;       /* of a number: behind the point; below 0: so many significant ones */
    const char *unit; /* behind a number; NULL: none. A text stands as it is, true is "*" */
    void (*cell)(sp_text *out, const json_t *row, const json_t *value); /* writes it instead; may be NULL */
} sp_column;

/* NULL where the row has no such key. */
const json_t *sp_table_value(const json_t *row, const char *key);
void sp_table_cell(sp_text *out, const sp_column *c, const json_t *row);

/* A row, or the head (row NULL), to stdout. sp_table_print takes the row over and prints it as one line of
 * JSON where that was asked for; a NULL row is memory that ran out. */
void sp_table_print_head(const sp_column *c, size_t n);
sp_status sp_table_print(const sp_column *c, size_t n, json_t *row, bool json);
void sp_table_text(sp_text *out, const sp_column *c, size_t n, const json_t *row);

/* A row, or the head (row NULL), as a line of CSV with all columns, texts in quotes; numbers have nine
 * digits, whatever the column says. */
void sp_table_csv(sp_text *out, const sp_column *c, size_t n, const json_t *row);

/* Adds a row to a CSV file: its values in their order, below a head of its keys in a file that is empty;
 * texts in quotes where they must be. Takes the row over. SP_E_IO: errno says why; a NULL row is memory that
 * ran out. */
sp_status sp_csv_put(FILE *f, json_t *row);

#endif
