// oneDNN's parallel regions on this process's pool.
//
// oneDNN's build for TBB (https://github.com/uxlfoundation/oneTBB) calls eleven functions of TBB's runtime, whose binary
// interface is fixed for libtbb.so.12 (oneTBB's include/oneapi/tbb/detail/_task.h). `libmk_tbb.so` forwards them here. A
// task of TBB is an item of a region: each is run once, by the caller or by a worker.
#include "include/onednn_threads.h"

#include <stdlib.h>

#include "include/threads.h"

struct task;

struct execution_data {
    void *context;
    uint16_t original_slot, affinity_slot;
};

// The virtual functions of tbb::detail::d1::task, in the order of the Itanium C++ ABI.
struct task_table {
    void (*destroy)(struct task *);
    void (*destroy_and_free)(struct task *);
    struct task *(*execute)(struct task *, struct execution_data *);
    struct task *(*cancel)(struct task *, struct execution_data *);
};

struct task {
    const struct task_table *table;
    uint64_t traits;
    void *context;  // the first of six words that the runtime may use
    uint64_t reserved[5];
};

static const uint16_t no_slot = UINT16_MAX;

static void run_task(void *item) {
    uint16_t slot = (uint16_t)mk_thread_index();
    for (struct task *task = item; task;) {
        struct execution_data data = {task->context, slot, no_slot};
        void *context = task->context;
        task = task->table->execute(task, &data);
        if (task) task->context = context;
    }
}

static void spawn(void *item, void *context) {
    struct task *task = item;
    task->context = context;
    mk_add_item(run_task, task);
}

static void spawn_at(void *task, void *context, uint16_t slot) {
    (void)slot;  // only a hint
    spawn(task, context);
}

// All tasks of the tree are items of this region, so its end is the end of the wait.
static void execute_and_wait(void *item, void *context, void *wait_context, void *waiting_context) {
    (void)wait_context, (void)waiting_context;
    struct task *task = item;
    task->context = context;
    mk_parallel_items(run_task, task);
}

// Objects start on a cache line of their own; the word in front says where the memory begins.
static void *allocate(void **pool, size_t bytes) {
    enum { line = 64 };
    char *memory = malloc(bytes + 2 * line);
    if (!memory) abort();  // TBB's interface has no other way, and oneDNN no other use of it than some hundred bytes
    void **object = (void **)(((uintptr_t)memory + 2 * line - 1) & ~(uintptr_t)(line - 1));
    object[-1] = memory;
    *pool = 0;
    return object;
}

static void *allocate_for_task(void **pool, size_t bytes, const void *data) {
    (void)data;
    return allocate(pool, bytes);
}

static void deallocate(void *pool, void *object, size_t bytes, const void *data) {
    (void)pool, (void)bytes, (void)data;
    free(((void **)object)[-1]);
}

// Nothing of oneDNN cancels a group of tasks, so a context has no state.
static void initialize(void *context) { (void)context; }
static void destroy(void *context) { (void)context; }
static void notify_waiters(uintptr_t wait_context) { (void)wait_context; }

static uint16_t execution_slot(const void *data) {
    (void)data;
    return (uint16_t)mk_thread_index();
}

static int max_concurrency(const void *arena) {
    (void)arena;
    return mk_threads();
}

const mk_tbb mk_tbb_on_pool = {
    allocate,   allocate_for_task, deallocate,     spawn,          spawn_at,        execute_and_wait,
    initialize, destroy,           notify_waiters, execution_slot, max_concurrency,
};
