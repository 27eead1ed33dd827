// The control groups that this process is in, on Linux.
#ifndef MARTLET_CGROUP_H
#define MARTLET_CGROUP_H

#include <stddef.h>

// Reads a small file of `folder` as text that ends with 0. Returns whether there is one.
int mk_read_text(const char *folder, const char *name, char *text, size_t size);

// Calls `visit` with the folder of each control group of this process, from its own up to the root of the hierarchy, until
// it returns 0. `controller` is a controller's name of version 1, such as "cpu", or "" for version 2. `root` is put in
// front of /proc and /sys.
void mk_each_control_group(const char *root, const char *controller, int (*visit)(const char *folder, void *context),
                           void *context);

#endif
