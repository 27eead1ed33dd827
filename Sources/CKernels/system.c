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
#include <time.h>
#include <unistd.h>

#include "isa.h"

int mk_widest_isa = MK_BASE;

#if defined(__x86_64__)
__attribute__((constructor)) static void find_widest_isa(void) {
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c"))
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
    int64_t most = -1, used = 0;
    if ((file = fopen("/sys/fs/cgroup/memory.max", "r"))) {
        if (fscanf(file, "%" SCNd64, &most) != 1) most = -1;
        fclose(file);
    }
    if (most >= 0 && (file = fopen("/sys/fs/cgroup/memory.current", "r"))) {
        if (fscanf(file, "%" SCNd64, &used) != 1) used = 0;
        fclose(file);
        if (kilobytes < 0 || most - used < kilobytes * 1024) return most - used;
    }
    return kilobytes >= 0 ? kilobytes * 1024 : (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
#endif
}

#if !defined(__APPLE__)
// The number in a file of its own; -1 where there is none.
static int64_t number_in(const char *path) {
    int64_t number = -1;
    FILE *file = fopen(path, "r");
    if (file && fscanf(file, "%" SCNd64, &number) != 1) number = -1;
    if (file) fclose(file);
    return number;
}

// The least limit of the control groups that this process is in, from its own up to the root; INT64_MAX without one.
static int64_t control_group_limit(void) {
    int64_t least = INT64_MAX, limit;
    char line[1024], group[1024] = "", path[1200];
    FILE *file = fopen("/proc/self/cgroup", "r");
    while (file && fgets(line, sizeof line, file))
        if (!strncmp(line, "0::", 3)) snprintf(group, sizeof group, "%.*s", (int)strcspn(line + 3, "\n"), line + 3);
    if (file) fclose(file);
    for (char *end; ; *end = 0) {
        snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.max", group);
        if ((limit = number_in(path)) > 0 && limit < least) least = limit;
        if (!(end = strrchr(group, '/'))) break;
    }
    limit = number_in("/sys/fs/cgroup/memory/memory.limit_in_bytes");
    return limit > 0 && limit < least ? limit : least;
}
#endif

int64_t mk_physical_memory(void) {
#if defined(__APPLE__)
    int64_t bytes = 0;
    size_t size = sizeof bytes;
    return sysctlbyname("hw.memsize", &bytes, &size, 0, 0) ? 0 : bytes;
#else
    int64_t pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE), limit = control_group_limit();
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
