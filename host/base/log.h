/* Messages for the person at the keyboard. The library only logs through the installed function (default:
 * stderr); see spikeport/log.h for installing one and for the level. */
#ifndef SP_BASE_LOG_H
#define SP_BASE_LOG_H

#include <stdbool.h>
#include "spikeport/log.h"

bool sp_log_wants(sp_log_level level); /* whether a message of this level is not dropped */
void sp_log(sp_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
