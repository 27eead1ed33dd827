// The thread pool of this process. Kernels and oneDNN (through `onednn_threads.c`) divide their work on it.
//
// A caller never waits for a worker that has not started: work is cut into parts, every thread takes the next part, and
// the caller takes what is left. Results do not depend on which thread takes which part.
#ifndef MARTLET_THREADS_H
#define MARTLET_THREADS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// One part of a parallel region: called once for each part in 0 ..< parts, in any order, on any thread.
typedef void (*mk_task)(void *context, int part, int parts);

// Runs `task` for parts 0 ..< parts on at most mk_threads() threads and returns when all are done. Part 0 runs on the
// caller. Any number of threads may call this at once.
void mk_parallel(int parts, mk_task task, void *context);

// One part of one round: called once for each round in 0 ..< rounds and each part in 0 ..< parts.
typedef void (*mk_round_task)(void *context, int round, int part, int parts);

// Runs rounds of parts one after another; a round begins when all parts of the round before are done. A part stays on
// the thread that had it in the last round, unless that thread is late. At most 64 parts.
void mk_parallel_rounds(int rounds, int parts, mk_round_task task, void *context);

// Runs `run` for `first` and for every item that is added meanwhile, and returns when all are done.
void mk_parallel_items(void (*run)(void *item), void *first);

// Adds an item to the region whose item this thread runs. Outside such a region, runs the item at once.
void mk_add_item(void (*run)(void *item), void *item);

// Number of threads for the regions of the calling thread: at least 1. It is 1 on the pool's workers.
int mk_threads(void);

// Sets the number for the calling thread; 0 takes mk_processors().
void mk_set_threads(int count);

// This thread's index in the pool: 0 for a thread that is not one of the pool's workers.
int mk_thread_index(void);

// Number of processors this process may use: those that are online, within its affinity and its CPU quota.
int mk_processors(void);

// Threads for a quota of CPUs, 0 for none: the quota rounded up, but 2 for less than that, if there are two processors.
// A quota is an amount of time in each period: who works now and then is sooner done with two threads, as in Go 1.25.
int mk_threads_within(double quota, int processors);

// CPUs that the control groups of this process grant (cgroup v2 `cpu.max`, v1 `cpu.cfs_quota_us`), the least of all
// levels; 0 without a limit. `root` is put in front of /proc and /sys; "" outside tests.
double mk_cpu_quota(const char *root);

// How often the control groups of this process had to wait for their next period, all levels together. `root` as above.
int64_t mk_throttled(const char *root);

#ifdef __cplusplus
}
#endif
#endif
