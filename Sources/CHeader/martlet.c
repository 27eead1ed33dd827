// The message of the last failure, one for each thread. It is C because Swift has no thread-local variables.
#include "martlet.h"
#include "message.h"

#include <string.h>

static _Thread_local char message[4096];
static _Thread_local mlt_status last_status;

void martlet_keep_message(mlt_status status, const char *text, size_t length) {
    last_status = status;
    if (length >= sizeof message) {
        length = sizeof message - 1;
        while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80) length--;  // never half a character
    }
    memcpy(message, text, length);
    message[length] = 0;
}

const char *martlet_kept_message(void) {
    return message;
}

mlt_status martlet_kept_status(void) {
    return last_status;
}
