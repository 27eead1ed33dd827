// The functions of TBB's runtime that oneDNN calls, on this module's pool.
#ifndef MARTLET_ONEDNN_THREADS_H
#define MARTLET_ONEDNN_THREADS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mk_tbb {
    void *(*allocate)(void **pool, size_t bytes);
    void *(*allocate_for_task)(void **pool, size_t bytes, const void *data);
    void (*deallocate)(void *pool, void *object, size_t bytes, const void *data);
    void (*spawn)(void *task, void *context);
    void (*spawn_at)(void *task, void *context, uint16_t slot);
    void (*execute_and_wait)(void *task, void *context, void *wait_context, void *waiting_context);
    void (*initialize)(void *context);
    void (*destroy)(void *context);
    void (*notify_waiters)(uintptr_t wait_context);
    uint16_t (*execution_slot)(const void *data);
    int (*max_concurrency)(const void *arena);
} mk_tbb;

extern const mk_tbb mk_tbb_on_pool;

#ifdef __cplusplus
}
#endif
#endif
