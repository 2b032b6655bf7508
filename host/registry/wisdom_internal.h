/* Shared by wisdom_json.c (lines) and wisdom_file.c (files). */
#ifndef SP_REGISTRY_WISDOM_INTERNAL_H
#define SP_REGISTRY_WISDOM_INTERNAL_H

#include "registry/wisdom.h"

enum { SPI_WISDOM_SCHEMA = 1 };

/* Without a line end; release with free(). NULL when memory is out. */
char *spi_wisdom_line(const sp_wisdom_entry *e);
/* NULL with the reason where the line is no entry. */
sp_wisdom_entry *spi_wisdom_parse(const char *line, char *why, size_t size);

#endif
