// Threads for the kernels of this module: one pool for the process, shared with oneDNN where oneDNN is present.
#ifndef MARTLET_THREADS_H
#define MARTLET_THREADS_H

#ifdef __cplusplus
extern "C" {
#endif

// One part of a parallel region: called once for each part in 0 ..< parts, in any order, on any thread.
typedef void (*mk_task)(void *context, int part, int parts);

// Runs `task` for parts 0 ..< parts and returns when all are done. Part 0 runs on the caller. Where the pool is busy
// with another caller's region the parts run one after another on this thread: never a lock, never a wait.
void mk_parallel(int parts, mk_task task, void *context);

// Runs `task` once on each thread of a team of at most `parts`, all at the same time, so the parts may wait for one
// another. The `parts` a task is given is the size the team really has: 1 where no other thread is to be had.
void mk_parallel_team(int parts, mk_task task, void *context);

// How many parts a kernel should split its work into on this thread: at least 1.
int mk_threads(void);

// Sets the number for the calling thread; 0 takes the number of processors this process may use.
void mk_set_threads(int count);

// Number of processors this process may run on.
int mk_processors(void);

// Takes libgomp's threads for mk_parallel when libgomp is already loaded in the process (oneDNN's build for GNU OpenMP
// loads it), so that two pools never compete for the cores. Returns 1 if it did.
int mk_use_openmp(void);

#ifdef __cplusplus
}
#endif
#endif
