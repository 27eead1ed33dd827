// Signals of the calling thread, held back while code runs that a signal handler would break.
#ifndef MARTLET_SIGNALS_H
#define MARTLET_SIGNALS_H

#include <signal.h>

typedef struct {
    sigset_t set;
} mk_signals;

// Holds back all signals but those that a thread's own instruction raises; `before` keeps what was held back already.
void mk_hold_signals(mk_signals *before);

// Ends that: what came meanwhile is handled now.
void mk_release_signals(const mk_signals *before);

#endif
