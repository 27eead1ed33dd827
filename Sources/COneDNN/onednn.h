// The C interface of oneDNN, as one header for the module map.
#include <dnnl.h>
