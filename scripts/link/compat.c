// What static libraries of newer systems ask for and older systems lack under that name. Linked into libmartlet, hidden.
#include <stdlib.h>
#include <sys/stat.h>

#if defined __x86_64__
#define STAT_VERSION 1
#else
#define STAT_VERSION 0
#endif

// Before glibc 2.33 stat was inline over these.
int __xstat(int version, const char *path, struct stat *result);
int __lxstat(int version, const char *path, struct stat *result);
int __fxstat(int version, int file, struct stat *result);
int __fxstatat(int version, int folder, const char *path, struct stat *result, int flags);

#define HIDDEN __attribute__((visibility("hidden")))
HIDDEN int stat(const char *path, struct stat *result) { return __xstat(STAT_VERSION, path, result); }
HIDDEN int lstat(const char *path, struct stat *result) { return __lxstat(STAT_VERSION, path, result); }
HIDDEN int fstat(int file, struct stat *result) { return __fxstat(STAT_VERSION, file, result); }
HIDDEN int fstatat(int folder, const char *path, struct stat *result, int flags) {
    return __fxstatat(STAT_VERSION, folder, path, result, flags);
}

// libstdc++ of GCC 11 and newer: what `new T[n]` calls for a negative n.
HIDDEN void _ZSt28__throw_bad_array_new_lengthv(void) { abort(); }
