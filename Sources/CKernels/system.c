#if defined(__linux__)
#define _DEFAULT_SOURCE
#endif
#include "system.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#if defined(__APPLE__)
#include <sys/sysctl.h>
#endif
#if defined(__x86_64__)
#include <cpuid.h>
#endif
#include <time.h>
#include <unistd.h>

#include "cgroup.h"
#include "isa.h"

int mk_widest_isa = MK_BASE;

#if defined(__x86_64__)
// Clang 17, which Swift 6.0 has, knows no "f16c" in __builtin_cpu_supports.
static int has_f16c(void) {
    unsigned eax, ebx, ecx, edx;
    return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && ecx & bit_F16C;
}

__attribute__((constructor)) static void find_widest_isa(void) {
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c())
        mk_widest_isa = MK_AVX2;
    if (mk_widest_isa == MK_AVX2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        mk_widest_isa = MK_AVX512;
    const char *limit = getenv("MK_ISA_LIMIT");
    if (limit && (!strcmp(limit, "0") || !strcmp(limit, "1")) && limit[0] - '0' < mk_widest_isa)
        mk_widest_isa = limit[0] - '0';
}
#endif

const char *mk_isa_name(void) {
#if defined(__aarch64__)
    return "neon";
#else
    return mk_isa() == MK_AVX512 ? "avx512" : mk_isa() == MK_AVX2 ? "avx2" : "baseline";
#endif
}

uint64_t mk_nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#if !defined(__APPLE__)
static int64_t number_in(const char *folder, const char *name) {
    char text[64];
    int64_t number = -1;
    return mk_read_text(folder, name, text, sizeof text) && sscanf(text, "%" SCNd64, &number) == 1 ? number : -1;
}

struct memory_limit {
    const char *most, *used;  // names of files; used: NULL if all counts
    int64_t least;
};

static int read_memory_limit(const char *folder, void *result) {
    struct memory_limit *limit = result;
    int64_t most = number_in(folder, limit->most), used = limit->used ? number_in(folder, limit->used) : 0;
    if (most > 0 && used > 0) most = most > used ? most - used : 0;
    if (most >= 0 && most < limit->least) limit->least = most;
    return 1;
}

// The least memory that the control groups of this process grant, or that is left of it; INT64_MAX without a limit.
static int64_t control_group_memory(int left) {
    struct memory_limit second = {"memory.max", left ? "memory.current" : 0, INT64_MAX};
    mk_each_control_group("", "", read_memory_limit, &second);
    struct memory_limit first = {"memory.limit_in_bytes", left ? "memory.usage_in_bytes" : 0, second.least};
    mk_each_control_group("", "memory", read_memory_limit, &first);
    return first.least;
}
#endif

int64_t mk_available_memory(void) {
#if defined(__APPLE__)
    int64_t bytes = 0;
    size_t size = sizeof bytes;
    return sysctlbyname("hw.memsize", &bytes, &size, 0, 0) ? INT64_MAX : bytes;
#else
    int64_t kilobytes = -1;
    FILE *file = fopen("/proc/meminfo", "r");
    for (char line[128]; file && kilobytes < 0 && fgets(line, sizeof line, file);)
        sscanf(line, "MemAvailable: %" SCNd64, &kilobytes);
    if (file) fclose(file);
    // A container may give less than the machine has.
    int64_t left = control_group_memory(1);
    if (kilobytes < 0 ? left < INT64_MAX : left < kilobytes * 1024) return left;
    return kilobytes >= 0 ? kilobytes * 1024 : (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
#endif
}

int64_t mk_physical_memory(void) {
#if defined(__APPLE__)
    int64_t bytes = 0;
    size_t size = sizeof bytes;
    return sysctlbyname("hw.memsize", &bytes, &size, 0, 0) ? 0 : bytes;
#else
    int64_t pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE), limit = control_group_memory(0);
    int64_t bytes = pages > 0 && page > 0 ? pages * page : 0;
    return bytes == 0 || limit < bytes ? (limit == INT64_MAX ? 0 : limit) : bytes;
#endif
}

void mk_processor_name(char *name, size_t size) {
    if (!size) return;
    *name = 0;
#if defined(__APPLE__)
    if (sysctlbyname("machdep.cpu.brand_string", name, &size, 0, 0)) *name = 0;
#else
    char line[256];
    FILE *file = fopen("/proc/cpuinfo", "r");
    while (file && !*name && fgets(line, sizeof line, file)) {
        const char *value = strchr(line, ':');
        if (value && !strncmp(line, "model name", 10))
            snprintf(name, size, "%.*s", (int)strcspn(value + 2, "\n"), value[1] ? value + 2 : "");
    }
    if (file) fclose(file);
#endif
}

void mk_fetch_pages(const void *start, size_t bytes) {
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t from = (uintptr_t)start & ~(page - 1), to = ((uintptr_t)start + bytes + page - 1) & ~(page - 1);
#if defined(MADV_POPULATE_READ)
    if (!madvise((void *)from, to - from, MADV_POPULATE_READ)) return;
#endif
    madvise((void *)from, to - from, MADV_WILLNEED);
}

void mk_drop_pages(const void *start, size_t bytes) {
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t from = ((uintptr_t)start + page - 1) & ~(page - 1), to = ((uintptr_t)start + bytes) & ~(page - 1);
    if (from < to) madvise((void *)from, to - from, MADV_DONTNEED);
}
