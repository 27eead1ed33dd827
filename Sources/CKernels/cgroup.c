#if defined(__linux__)
#include "cgroup.h"

#include <stdio.h>
#include <string.h>

enum { longest = 4096 };

int mk_read_text(const char *folder, const char *name, char *text, size_t size) {
    char path[longest];
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path) return 0;
    FILE *file = fopen(path, "r");
    if (!file) return 0;
    size_t count = fread(text, 1, size - 1, file);
    text[count] = 0;
    fclose(file);
    return count > 0;
}

// Whether a list of controllers, as in "cpu,cpuacct", has `name`.
static int has_controller(const char *list, size_t length, const char *name) {
    size_t wanted = strlen(name);
    for (const char *start = list, *end; start <= list + length; start = end + 1) {
        for (end = start; end < list + length && *end != ',';) end++;
        if ((size_t)(end - start) == wanted && !memcmp(start, name, wanted)) return 1;
    }
    return 0;
}

// The group's path, as /proc/self/cgroup has it: lines of "number:controllers:path".
static int find_group(const char *root, const char *controller, char *group, char *controllers) {
    char path[longest], line[longest];
    if (snprintf(path, sizeof path, "%s/proc/self/cgroup", root) >= (int)sizeof path) return 0;
    FILE *file = fopen(path, "r");
    int found = 0;
    while (file && !found && fgets(line, sizeof line, file)) {
        char *list = strchr(line, ':'), *rest = list ? strchr(list + 1, ':') : 0;
        if (!rest) continue;
        size_t length = (size_t)(rest - list - 1);
        if (*controller ? !has_controller(list + 1, length, controller) : length > 0 || strncmp(line, "0:", 2)) continue;
        snprintf(controllers, longest, "%.*s", (int)length, list + 1);
        snprintf(group, longest, "%.*s", (int)strcspn(rest + 1, "\n"), rest + 1);
        found = 1;
    }
    if (file) fclose(file);
    return found;
}

void mk_each_control_group(const char *root, const char *controller, int (*visit)(const char *folder, void *context),
                           void *context) {
    char group[longest], controllers[longest], folder[4 * longest];
    if (!find_group(root, controller, group, controllers)) return;
    // Version 1 has a mount for each set of controllers, often with links by each name; version 2 has one for all.
    const char *mounts[] = {*controller ? controllers : "", *controller ? controller : "unified"};
    for (int mount = 0; mount < 2; mount++) {
        char above[longest];
        snprintf(above, sizeof above, "%s", group);
        // In a container without a namespace of its own the path is the host's; its own limits then stand at the mount's root.
        for (char *end;; *end = 0) {
            snprintf(folder, sizeof folder, "%s/sys/fs/cgroup%s%s%s", root, *mounts[mount] ? "/" : "", mounts[mount],
                     strcmp(above, "/") ? above : "");
            if (!visit(folder, context)) return;
            if (!(end = strrchr(above, '/'))) break;
        }
    }
}
#endif
