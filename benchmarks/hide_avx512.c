// Hides AVX-512 from the libraries that a process loads, and counts where a process runs AVX-512 nevertheless. For Linux
// on x86-64; hide_avx512.py compiles it and says what each part is for.
//
// As an audit module (LD_AUDIT) it is told of each library once that is mapped and before any of its code has run: static
// initialisers and resolvers of IFUNCs ask the processor too. The library's cpuid instructions become ud2, of the same
// length, and the handler of SIGILL answers in their place.

#define _GNU_SOURCE
#include <cpuid.h>
#include <dirent.h>
#include <link.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

static const unsigned char CPUID[2] = {0x0F, 0xA2}, UD2[2] = {0x0F, 0x0B};

#define BIT(n) (1u << (n))

enum { MOST_PLACES = 1 << 14 };
static uintptr_t places[MOST_PLACES];
static atomic_int count;

static struct sigaction previous;

// Ends the process: a comparison shall not go on with a runtime that sees more than the others.
static void fail(const char *what, const char *which) {
    fprintf(stderr, "hide_avx512: %s: %s\n", what, which);
    _exit(127);
}

// What this processor answers, without AVX-512 and what builds on it: AMX, AVX10, and APX, whose prefix is that of AVX-512.
static void answer(uint32_t leaf, uint32_t subleaf, uint32_t *eax, uint32_t *ebx, uint32_t *ecx, uint32_t *edx) {
    __cpuid_count(leaf, subleaf, *eax, *ebx, *ecx, *edx);
    if (leaf == 7 && subleaf == 0) {
        // F, DQ, IFMA, PF, ER, CD, BW, VL
        *ebx &= ~(BIT(16) | BIT(17) | BIT(21) | BIT(26) | BIT(27) | BIT(28) | BIT(30) | BIT(31));
        // VBMI, VBMI2, VNNI, BITALG, VPOPCNTDQ
        *ecx &= ~(BIT(1) | BIT(6) | BIT(11) | BIT(12) | BIT(14));
        // 4VNNIW, 4FMAPS, VP2INTERSECT, AMX-BF16, FP16, AMX-TILE, AMX-INT8
        *edx &= ~(BIT(2) | BIT(3) | BIT(8) | BIT(22) | BIT(23) | BIT(24) | BIT(25));
    } else if (leaf == 7 && subleaf == 1) {
        *eax &= ~(BIT(5) | BIT(21));           // BF16, AMX-FP16
        *edx &= ~(BIT(8) | BIT(19) | BIT(21)); // AMX-COMPLEX, AVX10, APX
    }
}

static bool is_patched(uintptr_t place) {
    for (int i = atomic_load(&count) - 1; i >= 0; --i)
        if (places[i] == place)
            return true;
    return false;
}

static void on_illegal(int signal, siginfo_t *info, void *context) {
    (void)info;
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    if (!is_patched((uintptr_t)registers[REG_RIP])) {
        sigaction(signal, &previous, NULL); // the instruction runs again and meets the handler that was there before
        return;
    }
    uint32_t eax, ebx, ecx, edx;
    answer((uint32_t)registers[REG_RAX], (uint32_t)registers[REG_RCX], &eax, &ebx, &ecx, &edx);
    registers[REG_RAX] = eax;
    registers[REG_RBX] = ebx;
    registers[REG_RCX] = ecx;
    registers[REG_RDX] = edx;
    registers[REG_RIP] += sizeof UD2;
}

static void patch(uintptr_t place, const char *library) {
    int number = atomic_load(&count);
    if (number == MOST_PLACES)
        fail("too many cpuid instructions", library);
    if (memcmp((const void *)place, CPUID, sizeof CPUID) != 0)
        fail("no cpuid where the list has one", library);
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), start = place & ~(page - 1);
    size_t length = place + sizeof UD2 - start;
    if (mprotect((void *)start, length, PROT_READ | PROT_WRITE | PROT_EXEC) != 0)
        fail("its code cannot be written to", library);
    places[number] = place;
    atomic_store(&count, number + 1);
    memcpy((void *)place, UD2, sizeof UD2);
    mprotect((void *)start, length, PROT_READ | PROT_EXEC);
}

// Audit module

unsigned la_version(unsigned version) {
    struct sigaction action = {.sa_sigaction = on_illegal, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGILL, &action, &previous);
    return version < LAV_CURRENT ? version : LAV_CURRENT;
}

// The list has a line for each known library: its device, inode, size and time of change in ns, then the addresses of its
// cpuid instructions in hexadecimal. Libraries without a line are left as they are.
unsigned la_objopen(struct link_map *map, Lmid_t namespace, uintptr_t *cookie) {
    (void)namespace, (void)cookie;
    struct stat file;
    if (!map->l_name[0] || stat(map->l_name, &file) != 0)
        return 0; // the program itself, the kernel's vDSO
    const char *name = getenv("HIDE_AVX512_LIST");
    FILE *list = name ? fopen(name, "re") : NULL;
    if (!list)
        fail("cannot be read", name ? name : "HIDE_AVX512_LIST");
    long long changed = file.st_mtim.tv_sec * 1000000000LL + file.st_mtim.tv_nsec;
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, list) >= 0) {
        unsigned long long device, inode;
        long long size, time;
        int used = 0;
        if (sscanf(line, "%llu %llu %lld %lld%n", &device, &inode, &size, &time, &used) != 4)
            fail("not understood", line);
        if (device != file.st_dev || inode != file.st_ino || size != file.st_size || time != changed)
            continue;
        char *rest = line + used, *end;
        for (uintptr_t address; address = strtoull(rest, &end, 16), end != rest; rest = end)
            patch(map->l_addr + address, map->l_name);
    }
    free(line);
    fclose(list);
    return 0;
}

// Sampler, called through ctypes. The kernel collects where each thread is: a signal's frame would be written to the stack,
// and some generated kernels use the stack pointer for other things.

enum { MOST_THREADS = 64, DATA_PAGES = 64 };
static struct {
    int file;
    void *ring;
} threads[MOST_THREADS];
static int thread_count;

static size_t ring_size(void) { return (1 + DATA_PAGES) * (size_t)sysconf(_SC_PAGESIZE); }

static int watch(int thread) {
    struct perf_event_attr what = {
        .type = PERF_TYPE_SOFTWARE, .size = sizeof what, .config = PERF_COUNT_SW_CPU_CLOCK,
        .sample_period = 1000000, .sample_type = PERF_SAMPLE_IP, .exclude_kernel = 1, .exclude_hv = 1};
    int file = (int)syscall(SYS_perf_event_open, &what, thread, -1, -1, PERF_FLAG_FD_CLOEXEC);
    if (file < 0)
        return -1;
    void *ring = mmap(NULL, ring_size(), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (ring == MAP_FAILED) {
        close(file);
        return -1;
    }
    threads[thread_count].file = file;
    threads[thread_count++].ring = ring;
    return 0;
}

// Looks each millisecond that one of this process's present threads computes. Returns 0, or -1 if the system forbids that.
int sample_start(void) {
    DIR *tasks = opendir("/proc/self/task");
    if (!tasks)
        return -1;
    thread_count = 0;
    int result = 0;
    for (struct dirent *each; result == 0 && (each = readdir(tasks)) && thread_count < MOST_THREADS;)
        if (each->d_name[0] != '.')
            result = watch(atoi(each->d_name));
    closedir(tasks);
    return result;
}

// In 64-bit code an instruction that begins with 0x62 is encoded with EVEX, the prefix of AVX-512.
static int is_evex(uint64_t place) {
    unsigned char code;
    struct iovec here = {&code, 1}, there = {(void *)place, 1};
    return process_vm_readv(getpid(), &here, 1, &there, 1, 0) == 1 && code == 0x62;
}

static void count_samples(const struct perf_event_mmap_page *ring, long *all, long *evex) {
    const char *data = (const char *)ring + ring->data_offset;
    uint64_t end = __atomic_load_n(&ring->data_head, __ATOMIC_ACQUIRE);
    for (uint64_t at = 0; at < end && at < ring->data_size;) {
        const struct perf_event_header *header = (const void *)(data + at);
        if (header->type == PERF_RECORD_SAMPLE) {
            ++*all;
            *evex += is_evex(*(const uint64_t *)(header + 1));
        }
        at += header->size;
    }
}

// How many samples there are, and how many of these at an instruction of AVX-512.
void sample_stop(long *all, long *evex) {
    *all = *evex = 0;
    for (int i = 0; i < thread_count; ++i) {
        ioctl(threads[i].file, PERF_EVENT_IOC_DISABLE, 0);
        count_samples(threads[i].ring, all, evex);
        munmap(threads[i].ring, ring_size());
        close(threads[i].file);
    }
    thread_count = 0;
}
