// Between CHeader and CInterface only: the message behind mlt_last_error.
#ifndef MARTLET_MESSAGE_H
#define MARTLET_MESSAGE_H

#include <stddef.h>

__attribute__((visibility("hidden"))) void martlet_keep_message(const char *text, size_t length);
__attribute__((visibility("hidden"))) const char *martlet_kept_message(void);

#endif
