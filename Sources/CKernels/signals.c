#if defined(__linux__)
#define _GNU_SOURCE
#endif
#include "include/signals.h"

#include <pthread.h>

void mk_hold_signals(mk_signals *before) {
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
    sigset_t held;
    sigfillset(&held);
    for (unsigned i = 0; i < sizeof own / sizeof *own; i++) sigdelset(&held, own[i]);
    pthread_sigmask(SIG_BLOCK, &held, &before->set);
}

void mk_release_signals(const mk_signals *before) { pthread_sigmask(SIG_SETMASK, &before->set, 0); }
