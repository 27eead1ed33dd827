// The process's thread pool: regions that callers open, and workers that take parts of them.
#if defined(__linux__)
#define _GNU_SOURCE
#endif
#include "include/threads.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#if defined(__APPLE__)
#include <pthread/qos.h>
#endif

enum {
    region_count = 32,
    most_workers = 255,
    most_items = 512,
    worker_spin = 200000, // nanoseconds that an idle worker looks for work before it sleeps
    caller_spin = 50000,  // nanoseconds that a caller looks for the end of parts that run elsewhere before it sleeps
    stall_least = 1000000,  // nanoseconds of waiting that may be a stall
    pause_least = 4000000,  // nanoseconds without workers after the first stall
    pause_most = 128000000,
};

// A ticket is openings for workers (8 bits), parts (28), next part to take (28). A part belongs to the thread whose
// compare-and-swap moved `next` past it; only then may the thread read the rest of the region, which stays as it is
// until that part is done.
enum { part_bits = 28, part_mask = (1 << part_bits) - 1 };

struct region {
    _Alignas(64) _Atomic uint64_t ticket;
    mk_task task;               // NULL: a region of items
    void *context;
    void (*run)(void *item);
    int fixed;                  // parts of a region that does not grow
    atomic_int reserved;        // items
    _Alignas(64) atomic_int done;  // parts that workers finished
    _Atomic(void *) items[most_items];
};

static struct {
    struct region regions[region_count];
    _Alignas(64) _Atomic uint32_t used;   // regions that a caller owns, a bit each
    _Alignas(64) _Atomic uint32_t ready;  // regions with parts to take
    _Alignas(64) atomic_int sleepers;
    atomic_int workers;
    atomic_int waiters;  // threads that sleep until `finished`
    _Alignas(64) _Atomic int64_t pause_end;  // no workers until then
    _Atomic int64_t pause;
    _Atomic int64_t throttled;  // how often the quota had been used up when a caller last had to wait
    pthread_mutex_t lock;
    pthread_cond_t work, finished;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .work = PTHREAD_COND_INITIALIZER, .finished = PTHREAD_COND_INITIALIZER};

static _Thread_local int wanted_threads;
static _Thread_local int thread_index;
static _Thread_local struct region *item_region;

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

static inline int next_of(uint64_t ticket) { return (int)(ticket & part_mask); }
static inline int parts_of(uint64_t ticket) { return (int)(ticket >> part_bits & part_mask); }
static inline int openings_of(uint64_t ticket) { return (int)(ticket >> 2 * part_bits); }
static inline uint64_t ticket_of(int openings, int parts, int next) {
    return (uint64_t)openings << 2 * part_bits | (uint64_t)parts << part_bits | (uint64_t)next;
}

// MARK: Taking parts

static inline uint32_t bit_of(const struct region *region) { return UINT32_C(1) << (region - pool.regions); }

// Takes the next part, or returns -1. `joining` uses up one of the region's openings.
static int take_part(struct region *region, int joining) {
    uint64_t ticket = atomic_load_explicit(&region->ticket, memory_order_acquire);
    while (next_of(ticket) < parts_of(ticket) && (!joining || openings_of(ticket))) {
        uint64_t rest = ticket + 1 - (joining ? ticket_of(1, 0, 0) : 0);
        if (!atomic_compare_exchange_weak(&region->ticket, &ticket, rest)) continue;
        return next_of(ticket);
    }
    return -1;
}

static int has_part(struct region *region) {
    uint64_t ticket = atomic_load(&region->ticket);
    return next_of(ticket) < parts_of(ticket) && openings_of(ticket);
}

static void run_part(struct region *region, int part) {
    if (region->task) {
        region->task(region->context, part, region->fixed);
        return;
    }
    void *item;
    while (!(item = atomic_exchange(&region->items[part], 0))) relax();
    struct region *outer = item_region;
    item_region = region;
    region->run(item);
    item_region = outer;
}

// Counts one more, and wakes the threads that sleep until there are enough.
static void count_one(atomic_int *value) {
    atomic_fetch_add(value, 1);
    if (!atomic_load(&pool.waiters)) return;
    pthread_mutex_lock(&pool.lock);
    pthread_cond_broadcast(&pool.finished);
    pthread_mutex_unlock(&pool.lock);
}

// Waits until `value` is at least `least`, which running threads bring about: spins, then sleeps. Returns nanoseconds.
static int64_t wait_for(atomic_int *value, int least) {
    int64_t start = 0;
    for (int spins = 1; atomic_load_explicit(value, memory_order_acquire) < least; spins++) {
        relax();
        if (spins % 64) continue;
        int64_t now = nanoseconds();
        if (!start) start = now;
        if (now - start < caller_spin) continue;
        pthread_mutex_lock(&pool.lock);
        atomic_fetch_add(&pool.waiters, 1);
        while (atomic_load(value) < least) pthread_cond_wait(&pool.finished, &pool.lock);
        atomic_fetch_sub(&pool.waiters, 1);
        pthread_mutex_unlock(&pool.lock);
    }
    return start ? nanoseconds() - start : 0;
}

// Runs parts of a region until none is left. Returns whether there was one.
static int help(struct region *region) {
    int part = take_part(region, 1);
    if (part < 0) {
        // Hide a region that has nothing left; look again, since a part may have been added meanwhile.
        atomic_fetch_and(&pool.ready, ~bit_of(region));
        if (has_part(region)) atomic_fetch_or(&pool.ready, bit_of(region));
        return 0;
    }
    for (;;) {
        run_part(region, part);
        int next = take_part(region, 0);
        if (next < 0) break;
        count_one(&region->done);
        part = next;
    }
    // Once its last part counts as done, the region may be another caller's.
    atomic_fetch_add(&region->ticket, ticket_of(1, 0, 0));
    count_one(&region->done);
    return 1;
}

static int find_work(void) {
    uint32_t ready = atomic_load_explicit(&pool.ready, memory_order_acquire);
    for (; ready; ready &= ready - 1)
        if (help(&pool.regions[__builtin_ctz(ready)])) return 1;
    return 0;
}

// MARK: Workers

// For those who look at a process with top or a debugger.
static void name_thread(void) {
    char name[16];
    snprintf(name, sizeof name, "martlet-%d", thread_index);
#if defined(__APPLE__)
    pthread_setname_np(name);
#elif defined(__linux__)
    pthread_setname_np(pthread_self(), name);
#endif
}

static void *work(void *argument) {
    thread_index = (int)(intptr_t)argument;
    name_thread();
    wanted_threads = 1;
    for (;;) {
        int64_t until = nanoseconds() + worker_spin;
        int found = 0;
        while (!found && nanoseconds() < until)
            for (int i = 0; i < 32 && !(found = find_work()); i++) relax();
        if (found) continue;
        pthread_mutex_lock(&pool.lock);
        atomic_fetch_add(&pool.sleepers, 1);
        while (!atomic_load(&pool.ready)) pthread_cond_wait(&pool.work, &pool.lock);
        atomic_fetch_sub(&pool.sleepers, 1);
        pthread_mutex_unlock(&pool.lock);
    }
    return 0;
}

static void wake_workers(int count) {
    int sleepers = atomic_load(&pool.sleepers);
    if (!sleepers) return;
    pthread_mutex_lock(&pool.lock);
    if (count >= sleepers) pthread_cond_broadcast(&pool.work);
    else
        while (count-- > 0) pthread_cond_signal(&pool.work);
    pthread_mutex_unlock(&pool.lock);
}

// The child of a fork has none of the workers, and perhaps a lock that another thread held: it starts afresh.
static void start_afresh(void) {
    memset(pool.regions, 0, sizeof pool.regions);
    atomic_store(&pool.used, 0);
    atomic_store(&pool.ready, 0);
    atomic_store(&pool.sleepers, 0);
    atomic_store(&pool.workers, 0);
    atomic_store(&pool.waiters, 0);
    pthread_mutex_init(&pool.lock, 0);
    pthread_cond_init(&pool.work, 0);
    pthread_cond_init(&pool.finished, 0);
    thread_index = 0;
    item_region = 0;
}

static void watch_forks(void) { pthread_atfork(0, 0, start_afresh); }

static pthread_once_t forks_watched = PTHREAD_ONCE_INIT;

// Makes sure that there are `count` workers; fewer if the system gives no more threads.
static void hire(int count) {
    if (count > most_workers) count = most_workers;
    if (atomic_load_explicit(&pool.workers, memory_order_relaxed) >= count) return;
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
    pthread_mutex_lock(&pool.lock);
    int workers = atomic_load(&pool.workers);
    for (pthread_t thread; workers < count; workers++)
        if (pthread_create(&thread, &attributes, work, (void *)(intptr_t)(workers + 1))) break;
    atomic_store(&pool.workers, workers);
    pthread_mutex_unlock(&pool.lock);
    pthread_sigmask(SIG_SETMASK, &before, 0);
    pthread_attr_destroy(&attributes);
}

// MARK: Busy machines

// A worker that the system put aside in the middle of a part holds up its caller for some milliseconds, far longer than
// the work of most regions. After such a stall callers go on alone for a while, twice as long after each further one.
// A quota that is used up stops all threads alike: that is no stall, and going on alone would gain nothing.
static void note_stall(int64_t now) {
    int64_t throttled = mk_throttled("");
    if (atomic_exchange(&pool.throttled, throttled) != throttled) return;
    int64_t pause = atomic_load(&pool.pause), quiet = now - atomic_load(&pool.pause_end);
    pause = pause && quiet < 4 * pause ? 2 * pause : pause_least;
    if (pause > pause_most) pause = pause_most;
    atomic_store(&pool.pause, pause);
    atomic_store(&pool.pause_end, now + pause);
}

// MARK: Regions

// Tells workers of a region that has parts to take.
static void invite(struct region *region, int openings, int parts) {
    hire(openings);
    atomic_fetch_or(&pool.ready, bit_of(region));
    wake_workers(openings < parts ? openings : parts);
}

static struct region *open_region(void) {
    uint32_t used = atomic_load_explicit(&pool.used, memory_order_relaxed);
    while (~used) {
        int index = __builtin_ctz(~used);
        if (atomic_compare_exchange_weak(&pool.used, &used, used | UINT32_C(1) << index)) return &pool.regions[index];
    }
    return 0;
}

// Runs the region that the caller has filled in: its first part is there, workers may join by `openings`.
static void run_region(struct region *region, int parts, int openings) {
    int64_t start = nanoseconds();
    if (start < atomic_load_explicit(&pool.pause_end, memory_order_relaxed)) openings = 0;
    if (openings > most_workers) openings = most_workers;
    atomic_store_explicit(&region->done, 0, memory_order_relaxed);
    atomic_store(&region->ticket, ticket_of(openings, parts, 1));
    if (openings && parts > 1) invite(region, openings, parts - 1);
    int own = 0;
    for (int part = 0; part >= 0; part = take_part(region, 0), own++) run_part(region, part);
    for (;;) {
        // A part counts as done after it added others: what is read in this order is the whole.
        int done = atomic_load(&region->done);
        uint64_t ticket = atomic_load(&region->ticket);
        int taken = parts_of(ticket) - own;
        if (next_of(ticket) < parts_of(ticket)) {
            for (int part; (part = take_part(region, 0)) >= 0; own++) run_part(region, part);
        } else if (done >= taken) {
            break;
        } else {
            int64_t before = nanoseconds(), waited = wait_for(&region->done, taken);
            if (waited > stall_least && waited > 2 * (before - start)) note_stall(before + waited);
        }
    }
    atomic_fetch_and(&pool.ready, ~bit_of(region));
    atomic_fetch_and(&pool.used, ~bit_of(region));
}

void mk_parallel(int parts, mk_task task, void *context) {
    int threads = mk_threads(), width = threads < parts ? threads : parts;
    struct region *region = width > 1 && parts <= part_mask ? open_region() : 0;
    if (!region) {
        for (int part = 0; part < parts; part++) task(context, part, parts);
        return;
    }
    region->task = task;
    region->context = context;
    region->fixed = parts;
    run_region(region, parts, width - 1);
}

void mk_parallel_items(void (*run)(void *item), void *first) {
    int threads = mk_threads();
    struct region *region = threads > 1 ? open_region() : 0;
    if (!region) {
        struct region *outer = item_region;
        item_region = 0;
        run(first);
        item_region = outer;
        return;
    }
    region->task = 0;
    region->run = run;
    atomic_store_explicit(&region->items[0], first, memory_order_relaxed);
    atomic_store_explicit(&region->reserved, 1, memory_order_relaxed);
    run_region(region, 1, threads - 1);
}

void mk_add_item(void (*run)(void *item), void *item) {
    struct region *region = item_region;
    int index = region ? atomic_fetch_add(&region->reserved, 1) : most_items;
    if (index >= most_items) {
        run(item);
        return;
    }
    atomic_store_explicit(&region->items[index], item, memory_order_release);
    int openings = openings_of(atomic_fetch_add(&region->ticket, ticket_of(0, 1, 0)));
    if (openings) invite(region, openings, 1);
}

// MARK: Rounds

enum { most_lanes = 64 };

struct rounds {
    int count, parts;
    mk_round_task task;
    void *context;
    _Alignas(64) atomic_int done;  // parts of all rounds
    struct {
        _Alignas(64) atomic_int round;  // the next round in which this part is to be taken
    } parts_taken[most_lanes];
};

// Takes parts of every round that is left, its own first, and waits for those that other threads took.
static void run_rounds(void *context, int lane, int lanes) {
    (void)lanes;
    struct rounds *all = context;
    for (int round = atomic_load(&all->done) / all->parts; round < all->count; round++) {
        for (int i = 0; i < all->parts; i++) {
            int part = (lane + i) % all->parts, expected = round;
            if (!atomic_compare_exchange_strong(&all->parts_taken[part].round, &expected, round + 1)) continue;
            all->task(all->context, round, part, all->parts);
            count_one(&all->done);
        }
        int64_t waited = wait_for(&all->done, (round + 1) * all->parts);
        if (waited > stall_least) note_stall(nanoseconds());
    }
}

void mk_parallel_rounds(int rounds, int parts, mk_round_task task, void *context) {
    if (parts <= 1) {
        for (int round = 0; round < rounds; round++) task(context, round, 0, 1);
        return;
    }
    struct rounds all = {.count = rounds, .parts = parts < most_lanes ? parts : most_lanes, .task = task, .context = context};
    mk_parallel(all.parts, run_rounds, &all);
}

// MARK: Settings

int mk_threads(void) { return wanted_threads > 0 ? wanted_threads : mk_processors(); }

void mk_set_threads(int count) { wanted_threads = count > 0 ? count : 0; }

int mk_thread_index(void) { return thread_index; }
