// Between CHeader and CInterface only: the message behind mlt_last_error.
#ifndef MARTLET_MESSAGE_H
#define MARTLET_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

__attribute__((visibility("hidden"))) void martlet_keep_message(int32_t status, const char *text, size_t length);
__attribute__((visibility("hidden"))) const char *martlet_kept_message(void);
__attribute__((visibility("hidden"))) int32_t martlet_kept_status(void);

#endif
