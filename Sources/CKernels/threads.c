// The process's thread pool, or libgomp's threads in its place.
#if defined(__linux__)
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#endif
#include "include/threads.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>
#if defined(__APPLE__)
#include <pthread/qos.h>
#endif

enum { maximum_workers = 255, part_bits = 20, part_mask = (1 << part_bits) - 1 };

// `ticket` is the whole hand-over: epoch (24 bits), parts (20), next part to take (20). Taking a part is one
// compare-and-swap, and only a thread whose swap succeeded may trust the region it read beforehand. So a worker that
// wakes late finds nothing to take, and nobody ever waits for it.
static struct {
    _Alignas(64) _Atomic uint64_t ticket;
    _Atomic(mk_task) task;
    void *_Atomic context;
    atomic_int width;  // threads that may take parts: the caller and the workers below this index
    atomic_int team;   // each thread takes one part only
    _Alignas(64) atomic_int done;
    _Alignas(64) atomic_int owned;  // a caller's region is running
    atomic_int sleepers;
    atomic_int workers;
    pthread_mutex_t lock;
    pthread_cond_t wake;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

static struct {
    atomic_int used;
    void (*parallel)(void (*)(void *), void *, unsigned, unsigned);
    int (*thread)(void);
    int (*threads)(void);
    void (*set_threads)(int);
} openmp;

static _Thread_local int wanted_threads;

static inline void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");
#endif
}

static int64_t nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

// MARK: Taking parts

static inline int next_of(uint64_t ticket) { return (int)(ticket & part_mask); }
static inline int parts_of(uint64_t ticket) { return (int)(ticket >> part_bits & part_mask); }

static inline int has_work(uint64_t ticket, int worker) {
    return next_of(ticket) < parts_of(ticket) && worker < atomic_load_explicit(&pool.width, memory_order_relaxed);
}

// Runs parts of the region of `ticket` until none is left; a team's member runs just one.
static void take_parts(int worker) {
    uint64_t ticket = atomic_load_explicit(&pool.ticket, memory_order_acquire);
    while (has_work(ticket, worker)) {
        mk_task task = atomic_load_explicit(&pool.task, memory_order_relaxed);
        void *context = atomic_load_explicit(&pool.context, memory_order_relaxed);
        int team = atomic_load_explicit(&pool.team, memory_order_relaxed);
        if (!atomic_compare_exchange_weak(&pool.ticket, &ticket, ticket + 1)) continue;
        task(context, next_of(ticket), parts_of(ticket));
        atomic_fetch_add_explicit(&pool.done, 1, memory_order_release);
        if (team) return;
        ticket = atomic_load_explicit(&pool.ticket, memory_order_acquire);
    }
}

static void *work(void *argument) {
    int worker = (int)(intptr_t)argument;
    for (;;) {
        // Between two operators of a model the gap is short: spin for it, and sleep only when it lasts.
        int64_t until = nanoseconds() + 100000;
        int found = 0;
        while (!found && nanoseconds() < until)
            for (int i = 0; i < 32 && !found; i++) {
                found = has_work(atomic_load_explicit(&pool.ticket, memory_order_acquire), worker);
                if (!found) relax();
            }
        if (!found) {
            pthread_mutex_lock(&pool.lock);
            atomic_fetch_add(&pool.sleepers, 1);
            while (!has_work(atomic_load(&pool.ticket), worker)) pthread_cond_wait(&pool.wake, &pool.lock);
            atomic_fetch_sub(&pool.sleepers, 1);
            pthread_mutex_unlock(&pool.lock);
        }
        take_parts(worker);
    }
    return 0;
}

// MARK: Workers

// The child of a fork has none of the workers and perhaps a lock held for ever: it starts afresh. libgomp cannot.
static void start_afresh(void) {
    atomic_store(&openmp.used, 0);
    atomic_store(&pool.ticket, 0);
    atomic_store(&pool.owned, 0);
    atomic_store(&pool.sleepers, 0);
    atomic_store(&pool.workers, 0);
    pthread_mutex_init(&pool.lock, 0);
    pthread_cond_init(&pool.wake, 0);
}

static void watch_forks(void) { pthread_atfork(0, 0, start_afresh); }

static pthread_once_t forks_watched = PTHREAD_ONCE_INIT;

// Called by the owner of the pool only. Returns how many workers there are.
static int hire(int count) {
    int workers = atomic_load_explicit(&pool.workers, memory_order_relaxed);
    if (count > maximum_workers) count = maximum_workers;
    if (workers >= count) return workers;
    pthread_once(&forks_watched, watch_forks);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, 1 << 20);
#if defined(__APPLE__)
    pthread_attr_set_qos_class_np(&attributes, QOS_CLASS_USER_INITIATED, 0);
#endif
    sigset_t all, before;  // signals stay with the host program's threads
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (pthread_t thread; workers < count; workers++)
        if (pthread_create(&thread, &attributes, work, (void *)(intptr_t)(workers + 1))) break;
    pthread_sigmask(SIG_SETMASK, &before, 0);
    pthread_attr_destroy(&attributes);
    atomic_store_explicit(&pool.workers, workers, memory_order_relaxed);
    return workers;
}

// MARK: Regions

static int own_pool(void) {
    int nobody = 0;
    return !atomic_load_explicit(&pool.owned, memory_order_relaxed) &&
           atomic_compare_exchange_strong(&pool.owned, &nobody, 1);
}

static void release_pool(void) { atomic_store_explicit(&pool.owned, 0, memory_order_release); }

static void run_region(int parts, int width, int team, mk_task task, void *context) {
    atomic_store_explicit(&pool.task, task, memory_order_relaxed);
    atomic_store_explicit(&pool.context, context, memory_order_relaxed);
    atomic_store_explicit(&pool.width, width, memory_order_relaxed);
    atomic_store_explicit(&pool.team, team, memory_order_relaxed);
    atomic_store_explicit(&pool.done, 1, memory_order_relaxed);
    uint64_t epoch = (atomic_load_explicit(&pool.ticket, memory_order_relaxed) >> 2 * part_bits) + 1;
    atomic_store(&pool.ticket, epoch << 2 * part_bits | (uint64_t)parts << part_bits | 1);
    if (atomic_load(&pool.sleepers)) {
        pthread_mutex_lock(&pool.lock);
        pthread_cond_broadcast(&pool.wake);
        pthread_mutex_unlock(&pool.lock);
    }
    task(context, 0, parts);
    if (!team) take_parts(0);
    for (int spins = 0; atomic_load_explicit(&pool.done, memory_order_acquire) < parts; spins++)
        if (spins < 4096) relax();
        else sched_yield();
}

struct region {
    mk_task task;
    void *context;
    int parts;
};

static void run_openmp_parts(void *argument) {
    struct region *region = argument;
    int step = openmp.threads();
    for (int part = openmp.thread(); part < region->parts; part += step)
        region->task(region->context, part, region->parts);
}

static void run_openmp_team(void *argument) {
    struct region *region = argument;
    region->task(region->context, openmp.thread(), openmp.threads());
}

void mk_parallel(int parts, mk_task task, void *context) {
    int threads = mk_threads();
    int width = threads < parts ? threads : parts;
    if (width > 1 && parts <= part_mask && own_pool()) {
        if (atomic_load(&openmp.used)) {
            struct region region = {task, context, parts};
            openmp.parallel(run_openmp_parts, &region, (unsigned)width, 0);
        } else {
            hire(width - 1);
            run_region(parts, width, 0, task, context);
        }
        release_pool();
        return;
    }
    for (int part = 0; part < parts; part++) task(context, part, parts);
}

void mk_parallel_team(int parts, mk_task task, void *context) {
    int threads = mk_threads();
    if (parts > threads) parts = threads;
    if (parts > 1 && own_pool()) {
        if (atomic_load(&openmp.used)) {
            struct region region = {task, context, parts};
            openmp.parallel(run_openmp_team, &region, (unsigned)parts, 0);
        } else {
            int workers = hire(parts - 1);
            if (parts > workers + 1) parts = workers + 1;
            run_region(parts, parts, 1, task, context);
        }
        release_pool();
        return;
    }
    task(context, 0, 1);
}

// MARK: Settings

int mk_processors(void) {
    static atomic_int known;
    int count = atomic_load_explicit(&known, memory_order_relaxed);
    if (count) return count;
#if defined(__linux__)
    cpu_set_t allowed;
    if (!sched_getaffinity(0, sizeof allowed, &allowed)) count = CPU_COUNT(&allowed);
#endif
    if (count < 1) count = (int)sysconf(_SC_NPROCESSORS_ONLN);
    if (count < 1) count = 1;
    atomic_store_explicit(&known, count, memory_order_relaxed);
    return count;
}

int mk_threads(void) { return wanted_threads > 0 ? wanted_threads : mk_processors(); }

void mk_set_threads(int count) {
    if (count > 0 && count == wanted_threads) return;
    wanted_threads = count > 0 ? count : 0;
    if (atomic_load(&openmp.used)) openmp.set_threads(mk_threads());
}

int mk_use_openmp(void) {
#if defined(__linux__)
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock);
    void *library = atomic_load(&openmp.used) ? 0 : dlopen("libgomp.so.1", RTLD_NOLOAD | RTLD_NOW);
    if (library) {
        *(void **)&openmp.parallel = dlsym(library, "GOMP_parallel");
        *(void **)&openmp.thread = dlsym(library, "omp_get_thread_num");
        *(void **)&openmp.threads = dlsym(library, "omp_get_num_threads");
        *(void **)&openmp.set_threads = dlsym(library, "omp_set_num_threads");
        pthread_once(&forks_watched, watch_forks);
        if (openmp.parallel && openmp.thread && openmp.threads && openmp.set_threads) {
            openmp.set_threads(mk_threads());
            atomic_store(&openmp.used, 1);
        }
    }
    pthread_mutex_unlock(&lock);
#endif
    return atomic_load(&openmp.used);
}
