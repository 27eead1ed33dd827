// How many processors this process may use: online, by affinity, and by the CPU quotas of its control groups.
#if defined(__linux__)
#define _GNU_SOURCE
#endif
#include <inttypes.h>
#include <math.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cgroup.h"
#include "include/threads.h"

#if defined(__linux__)
static double smaller(double a, double b) { return a > 0 && (b <= 0 || a < b) ? a : b; }

// cgroup v2: "max 100000" or "150000 100000", quota and period in microseconds.
static int read_cpu_max(const char *folder, void *result) {
    double *least = result;
    int64_t quota, period;
    char text[64];
    if (mk_read_text(folder, "cpu.max", text, sizeof text) &&
        sscanf(text, "%" SCNd64 " %" SCNd64, &quota, &period) == 2 && quota > 0 && period > 0)
        *least = smaller((double)quota / (double)period, *least);
    return 1;
}

// cgroup v1: -1 or the quota in one file, the period in another.
static int read_cfs_quota(const char *folder, void *result) {
    double *least = result;
    int64_t quota, period;
    char text[64];
    if (mk_read_text(folder, "cpu.cfs_quota_us", text, sizeof text) && sscanf(text, "%" SCNd64, &quota) == 1 &&
        quota > 0 && mk_read_text(folder, "cpu.cfs_period_us", text, sizeof text) &&
        sscanf(text, "%" SCNd64, &period) == 1 && period > 0)
        *least = smaller((double)quota / (double)period, *least);
    return 1;
}

// Both versions have the line "nr_throttled 3".
static int add_throttled(const char *folder, void *result) {
    int64_t *sum = result, count;
    char text[1024];
    if (!mk_read_text(folder, "cpu.stat", text, sizeof text)) return 1;
    const char *line = strstr(text, "nr_throttled ");
    if (line && sscanf(line, "nr_throttled %" SCNd64, &count) == 1 && count > 0) *sum += count;
    return 1;
}
#endif

double mk_cpu_quota(const char *root) {
    double least = 0;
#if defined(__linux__)
    mk_each_control_group(root, "", read_cpu_max, &least);
    mk_each_control_group(root, "cpu", read_cfs_quota, &least);
#else
    (void)root;
#endif
    return least;
}

int64_t mk_throttled(const char *root) {
    int64_t sum = 0;
#if defined(__linux__)
    mk_each_control_group(root, "", add_throttled, &sum);
    mk_each_control_group(root, "cpu", add_throttled, &sum);
#else
    (void)root;
#endif
    return sum;
}

int mk_threads_within(double quota, int processors) {
    if (quota <= 0 || quota >= processors) return processors;
    int count = (int)ceil(quota);
    if (count < 2) count = 2;
    return count < processors ? count : processors;
}

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
    count = mk_threads_within(mk_cpu_quota(""), count);
    atomic_store_explicit(&known, count, memory_order_relaxed);
    return count;
}
