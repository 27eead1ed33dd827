// What the engine asks of the system and the processor.
#ifndef MARTLET_SYSTEM_H
#define MARTLET_SYSTEM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// The instruction set that the kernels chose: avx512, avx2, neon or baseline.
const char *mk_isa_name(void);

// A clock that only goes forward.
uint64_t mk_nanoseconds(void);

// Bytes of memory that a process could take now without driving others out, as far as the system tells.
int64_t mk_available_memory(void);

// Bytes of memory of the machine, or of the container where that has less; 0 where the system does not tell.
int64_t mk_physical_memory(void);

// The processor's own name, cut to `size` bytes with the closing 0; empty where the system does not tell.
void mk_processor_name(char *name, size_t size);

// Has the system bring in a range of a mapped file at once, instead of page by page as it is touched.
void mk_fetch_pages(const void *start, size_t bytes);

// Lets the system drop the whole pages inside a range of a mapped file; they are read again when touched.
void mk_drop_pages(const void *start, size_t bytes);

#ifdef __cplusplus
}
#endif
#endif
