// What static libraries of newer systems ask for and older systems lack under that name. Linked into libmartlet, hidden.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

// Weak: some systems have static libraries that bring one of these along.
#define HIDDEN __attribute__((weak, visibility("hidden")))
HIDDEN int stat(const char *path, struct stat *result) { return __xstat(STAT_VERSION, path, result); }
HIDDEN int lstat(const char *path, struct stat *result) { return __lxstat(STAT_VERSION, path, result); }
HIDDEN int fstat(int file, struct stat *result) { return __fxstat(STAT_VERSION, file, result); }
HIDDEN int fstatat(int folder, const char *path, struct stat *result, int flags) {
    return __fxstatat(STAT_VERSION, folder, path, result, flags);
}

// Since glibc 2.38, C23's readers of numbers have names of their own, and strlcpy is there.
HIDDEN long __isoc23_strtol(const char *text, char **end, int base) { return strtol(text, end, base); }
HIDDEN long long __isoc23_strtoll(const char *text, char **end, int base) { return strtoll(text, end, base); }
HIDDEN int __isoc23_sscanf(const char *text, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int count = vsscanf(text, format, arguments);
    va_end(arguments);
    return count;
}
HIDDEN size_t strlcpy(char *target, const char *source, size_t size) {
    size_t length = strlen(source), kept = length < size ? length : size - 1;
    if (size) memcpy(target, source, kept), target[kept] = 0;
    return length;
}

// libstdc++ of GCC 11 and newer: what `new T[n]` calls for a negative n.
HIDDEN void _ZSt28__throw_bad_array_new_lengthv(void) { abort(); }

// libstdc++ of GCC 12 and newer: what its checks call (`-D_GLIBCXX_ASSERTIONS`), std::__glibcxx_assert_fail.
HIDDEN void _ZSt21__glibcxx_assert_failPKciS0_S0_(const char *file, int line, const char *function, const char *condition) {
    fprintf(stderr, "%s:%d: %s: %s\n", file, line, function, condition);
    abort();
}
