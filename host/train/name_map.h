/* Names of parameters in files of other programs: a YAML map of the network's names to the file's. */
#ifndef SP_TRAIN_NAME_MAP_H
#define SP_TRAIN_NAME_MAP_H

#include "config/yaml.h"
#include "graph/graph.h"

/* A key is a parameter ("0.weight"), or what a name begins with ("0", or "" for all of them), and its value
 * takes the key's place. The longest key that fits counts. */
typedef struct sp_name_map {
    sp_yaml_doc doc; /* no root: names are the same */
} sp_name_map;

/* A key that no parameter begins with is an error with the nearest name. */
sp_status sp_name_map_read(const char *path, const sp_graph *g, sp_name_map *out, sp_error *err);
void sp_name_map_free(sp_name_map *m);
/* The name in the file, for sp_free; NULL when memory is out. */
char *sp_name_map_to_file(const sp_name_map *m, const char *name);

#endif
