// libmk_tbb.so: stands in for libtbb.so.12 and Intel's libintlc.so.5, which oneDNN's build for TBB is linked to, and
// hands each call to the functions that Martlet connects. build.sh compiles it, and names it in oneDNN's library.
#include <string.h>

#include "onednn_threads.h"

static mk_tbb functions;

__attribute__((visibility("default"))) void mk_tbb_connect(const void *connected) {
    memcpy(&functions, connected, sizeof functions);
}

// Each function is exported under the name that C++ gives the one of TBB.
#define EXPORTED_AS(name) __asm__(name) __attribute__((visibility("default")))

void *allocate(void **pool, size_t bytes) EXPORTED_AS("_ZN3tbb6detail2r18allocateERPNS0_2d117small_object_poolEm");
void *allocate(void **pool, size_t bytes) { return functions.allocate(pool, bytes); }

void *allocate_for_task(void **pool, size_t bytes, const void *data)
    EXPORTED_AS("_ZN3tbb6detail2r18allocateERPNS0_2d117small_object_poolEmRKNS2_14execution_dataE");
void *allocate_for_task(void **pool, size_t bytes, const void *data) {
    return functions.allocate_for_task(pool, bytes, data);
}

void deallocate(void *pool, void *object, size_t bytes, const void *data)
    EXPORTED_AS("_ZN3tbb6detail2r110deallocateERNS0_2d117small_object_poolEPvmRKNS2_14execution_dataE");
void deallocate(void *pool, void *object, size_t bytes, const void *data) {
    functions.deallocate(pool, object, bytes, data);
}

void spawn(void *task, void *context) EXPORTED_AS("_ZN3tbb6detail2r15spawnERNS0_2d14taskERNS2_18task_group_contextE");
void spawn(void *task, void *context) { functions.spawn(task, context); }

void spawn_at(void *task, void *context, uint16_t slot)
    EXPORTED_AS("_ZN3tbb6detail2r15spawnERNS0_2d14taskERNS2_18task_group_contextEt");
void spawn_at(void *task, void *context, uint16_t slot) { functions.spawn_at(task, context, slot); }

void execute_and_wait(void *task, void *context, void *wait_context, void *waiting_context) EXPORTED_AS(
    "_ZN3tbb6detail2r116execute_and_waitERNS0_2d14taskERNS2_18task_group_contextERNS2_12wait_contextES6_");
void execute_and_wait(void *task, void *context, void *wait_context, void *waiting_context) {
    functions.execute_and_wait(task, context, wait_context, waiting_context);
}

void initialize(void *context) EXPORTED_AS("_ZN3tbb6detail2r110initializeERNS0_2d118task_group_contextE");
void initialize(void *context) { functions.initialize(context); }

void destroy(void *context) EXPORTED_AS("_ZN3tbb6detail2r17destroyERNS0_2d118task_group_contextE");
void destroy(void *context) { functions.destroy(context); }

void notify_waiters(uintptr_t wait_context) EXPORTED_AS("_ZN3tbb6detail2r114notify_waitersEm");
void notify_waiters(uintptr_t wait_context) { functions.notify_waiters(wait_context); }

uint16_t execution_slot(const void *data) EXPORTED_AS("_ZN3tbb6detail2r114execution_slotEPKNS0_2d114execution_dataE");
uint16_t execution_slot(const void *data) { return functions.execution_slot(data); }

int max_concurrency(const void *arena)
    EXPORTED_AS("_ZN3tbb6detail2r115max_concurrencyEPKNS0_2d115task_arena_baseE");
int max_concurrency(const void *arena) { return functions.max_concurrency(arena); }

// What Intel's compiler calls in place of the C library's own.
void *fast_memcpy(void *target, const void *source, size_t bytes) EXPORTED_AS("_intel_fast_memcpy");
void *fast_memcpy(void *target, const void *source, size_t bytes) { return memcpy(target, source, bytes); }

void *fast_memset(void *target, int value, size_t bytes) EXPORTED_AS("_intel_fast_memset");
void *fast_memset(void *target, int value, size_t bytes) { return memset(target, value, bytes); }
