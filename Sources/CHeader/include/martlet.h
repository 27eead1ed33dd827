// martlet.h: Martlet for every language that can call C.
//
// Status   Functions that can fail return mlt_status and write their result to the leading `out`. On failure `out` is
//          untouched and mlt_last_error() tells why, on the same thread, until the next failure there.
// Handles  Whatever arrives through `**out` is owned by the caller: end it with mlt_release. Handles never change what
//          they stand for (mlt_state does, see there): share them between threads freely. A handle that is NULL, released
//          or of another kind gives MLT_BAD_HANDLE, never a crash. Releasing a handle that another thread is using is safe.
// Borrows  Every other pointer belongs to the handle it came from, or to the library. Never free it.
// Inputs   Strings and arrays are read during the call only, except the data of mlt_tensor_wrap.
// Text     UTF-8; structured answers are JSON.
#ifndef MARTLET_H
#define MARTLET_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef int32_t mlt_status;
enum {
    MLT_OK = 0,
    MLT_INVALID_ARGUMENT = 1,  // a shape, a size, a name or an option that is not acceptable
    MLT_WRONG_TYPE = 2,        // an element type that is not the one asked for
    MLT_NOT_FOUND = 3,         // no such file or folder
    MLT_MALFORMED = 4,         // a file or text that is not what it should be
    MLT_UNSUPPORTED = 5,       // correct, but nothing here can run it
    MLT_OUT_OF_MEMORY = 6,     // more memory than there is, or a size above a limit
    MLT_BAD_HANDLE = 7,        // NULL, released, or of another kind
    MLT_OUT_OF_RANGE = 8,      // an index outside its range
    MLT_BUG = 9,               // a fault of ours
    MLT_CALLBACK = 10          // code of the caller's that was called back failed
};

typedef int32_t mlt_dtype;
enum {
    MLT_BOOL = 0, MLT_INT8, MLT_UINT8, MLT_INT16, MLT_UINT16, MLT_INT32, MLT_UINT32, MLT_INT64, MLT_UINT64,
    MLT_FLOAT16, MLT_FLOAT32, MLT_FLOAT64, MLT_COMPLEX64, MLT_COMPLEX128, MLT_STRING
};

typedef struct mlt_text mlt_text;              // UTF-8 characters
typedef struct mlt_tensor mlt_tensor;          // elements in row-major order
typedef struct mlt_model mlt_model;            // a program with its interface
typedef struct mlt_executable mlt_executable;  // a compiled function
typedef struct mlt_op mlt_op;                  // an op with its constants bound
typedef struct mlt_trace mlt_trace;            // a function that is being written
typedef struct mlt_backend mlt_backend;        // devices in order, with what was compiled for them
typedef struct mlt_recording mlt_recording;    // runs, step by step
typedef struct mlt_selector mlt_selector;      // the rule that chooses devices
typedef struct mlt_state mlt_state;            // what a model remembers between runs

// What a tensor holds. Shape and data belong to the tensor.
typedef struct mlt_view {
    mlt_dtype dtype;
    int32_t rank;
    const int64_t *shape;
    const void *data;
    size_t bytes;
} mlt_view;

// Library.
const char *mlt_version(void);
const char *mlt_last_error(void);
mlt_status mlt_last_status(void);  // the status that went with it
mlt_status mlt_release(void *handle);
const char *mlt_text_chars(const mlt_text *text);  // NULL for a bad handle

// What there is: the op table, the devices, the build and the machine.
mlt_status mlt_ops(mlt_text **out);
mlt_status mlt_devices(mlt_text **out);
mlt_status mlt_info(mlt_text **out);

// Threads used by one run, 1 to 256; 0 takes every processor this process may use. Runs that are under way keep theirs.
mlt_status mlt_set_num_threads(int32_t count);
mlt_status mlt_num_threads(int32_t *out);

// Tensors. `bytes` must be exactly what dtype and shape need; a tensor has 0 to 64 dimensions. The data of MLT_STRING
// tensors is an array of `const char *`.
// mlt_tensor_wrap keeps `data`, which must be aligned to its element type and must not change until `release(context)`
// is called: once, from any thread, when neither a handle nor a run uses it any more. On failure `release` is not called.
// `release` may be NULL. Strings cannot be wrapped.
mlt_status mlt_tensor_copy(mlt_tensor **out, mlt_dtype dtype, int32_t rank, const int64_t *shape, const void *data,
                           size_t bytes);
mlt_status mlt_tensor_wrap(mlt_tensor **out, mlt_dtype dtype, int32_t rank, const int64_t *shape, void *data,
                           size_t bytes, void (*release)(void *context), void *context);
mlt_status mlt_tensor_view(mlt_view *out, const mlt_tensor *tensor);
// A part that lies in one piece, without a copy: `shape` of the same element type, from byte `offset` on.
mlt_status mlt_tensor_part(mlt_tensor **out, const mlt_tensor *tensor, ptrdiff_t offset, int32_t rank,
                           const int64_t *shape);
// The same elements, bound to a device by name: what is computed from them runs there. NULL lets the selector choose.
mlt_status mlt_tensor_to(mlt_tensor **out, const mlt_tensor *tensor, const char *device);
mlt_status mlt_tensor_device(mlt_text **out, const mlt_tensor *tensor);  // its name, or `auto`

// Eager calls. An op is made once, with the names of the parameters that calls give tensors for (a name that repeats
// stands for a list) and its other parameters bound to constants, and called any number of times from any thread.
// `backend` NULL takes the process's own, which goes by the smart selector.
// Element types are promoted by the rules of the Python array API standard. mlt_call writes at most *output_count
// results and their number there. mlt_call1 and mlt_call2 are for ops of one or two inputs and one result; they return
// NULL on failure.
mlt_status mlt_op_make(mlt_op **out, const char *name, int32_t input_count, const char *const *inputs,
                       int32_t constant_count, const char *const *constants, const mlt_tensor *const *values,
                       const mlt_backend *backend);
mlt_status mlt_call(mlt_tensor **outputs, int32_t *output_count, const mlt_op *op, const mlt_tensor *const *inputs,
                    int32_t input_count);
mlt_tensor *mlt_call1(const mlt_op *op, const mlt_tensor *x);
mlt_tensor *mlt_call2(const mlt_op *op, const mlt_tensor *x, const mlt_tensor *y);
// The same for callers that hold a lock, such as an interpreter's. The call is made only if it takes no more than a few
// microseconds. Otherwise NULL is returned at once and nothing is done. That is not a failure: mlt_call1 and mlt_call2
// then make the call.
mlt_tensor *mlt_brief1(const mlt_op *op, const mlt_tensor *x);
mlt_tensor *mlt_brief2(const mlt_op *op, const mlt_tensor *x, const mlt_tensor *y);

// Traces. The inputs of a trace are tensors without elements; calling ops on them writes the function instead of
// computing, and tensors with elements become constants. mlt_trace_end makes a model of what was written.
mlt_status mlt_trace_begin(mlt_trace **out);
mlt_status mlt_trace_input(mlt_tensor **out, const mlt_trace *trace, const char *name, mlt_dtype dtype, int32_t rank,
                           const int64_t *shape);
mlt_status mlt_trace_end(mlt_model **out, const mlt_trace *trace, int32_t output_count, const char *const *names,
                         const mlt_tensor *const *outputs);

// Models: from an .mlpackage, or from MIL text. Weights stay mapped: a package must not be cut while a model is in use.
// Files of a package may be symbolic links to regular files anywhere, as in the cache of Hugging Face. A program that is
// given packages by strangers should refuse links, which can name any file that it may read.
// mlt_model_info describes inputs and outputs as JSON. A classifier's outputs have `labels` there; mlt_run gives the label as
// a tensor of one MLT_STRING or MLT_INT64, and the probabilities as a tensor in the order of the labels.
typedef int32_t mlt_links;
enum { MLT_LINKS_FOLLOW = 0, MLT_LINKS_REFUSE };
mlt_status mlt_model_load(mlt_model **out, const char *path);  // follows links
mlt_status mlt_model_load_with(mlt_model **out, const char *path, mlt_links links);
mlt_status mlt_model_parse(mlt_model **out, const char *text);
mlt_status mlt_model_save(const mlt_model *model, const char *path);
mlt_status mlt_model_info(mlt_text **out, const mlt_model *model);
mlt_status mlt_model_text(mlt_text **out, const mlt_model *model);

// Explanations. mlt_rules: what keeps work off Apple's Neural Engine and GPU by public sources, each rule with an id, a
// severity (`note`, `slow`, `refused`), a sentence and its source. mlt_explain: for each operation of a function the step
// that covers it, how its place is known (`planned by Core ML`, `chosen by us`, `ran`), the reason, its median time over
// `runs` runs on random values (0 for none), the rules it breaks and the cheapest rewrite; then the rules with all that
// breaks them, and the stretches that would run on one processor. `device` and `function` as for mlt_compile; if
// `device` is NULL and no device takes the function, the answer has the rules alone. `progress` may be NULL; it is called
// on this thread before each run; an answer other than 0 ends the runs, and "runs" counts those that were made.
mlt_status mlt_rules(mlt_text **out);
mlt_status mlt_explain(mlt_text **out, const mlt_model *model, const char *device, const char *function, int32_t runs,
                       int32_t (*progress)(void *context, int32_t done, int32_t total), void *context);

// Executables. `device` NULL leaves the choice to the rule that eager calls go by; mlt_executable_info and mlt_plan name
// the device and the reason. `function` NULL takes the model's default function. Inputs and outputs go in the order of
// mlt_executable_info. Each input must have the declared dtype and a shape the model allows; NULL leaves
// out an optional one. A model with flexible shapes is compiled at the first run of each shape; mlt_plan shows the plan
// of the usual one. mlt_run writes all outputs or, on failure, none. mlt_compile_with bounds the threads that a run takes
// on the CPU, 1 to 256; 0, as in mlt_compile, leaves it to mlt_set_num_threads.
mlt_status mlt_compile(mlt_executable **out, const mlt_model *model, const char *device, const char *function);
mlt_status mlt_compile_with(mlt_executable **out, const mlt_model *model, const char *device, const char *function,
                            int32_t threads);
mlt_status mlt_executable_info(mlt_text **out, const mlt_executable *executable);
mlt_status mlt_plan(mlt_text **out, const mlt_executable *executable);
mlt_status mlt_run(mlt_tensor **outputs, int32_t output_count, const mlt_executable *executable,
                   const mlt_tensor *const *inputs, int32_t input_count);

// mlt_run_batch runs `batch` times: inputs and outputs are those of the first run, then those of the second, and so on;
// results are those of as many single runs. On failure there are no outputs at all.
mlt_status mlt_run_batch(mlt_tensor **outputs, int32_t output_count, const mlt_executable *executable,
                         const mlt_tensor *const *inputs, int32_t input_count, int32_t batch);

// States: what a model remembers from one run to the next, all zeros at first. A model that has states (`states` in
// mlt_executable_info) runs with one of them, which the run changes; mlt_run refuses it. A state belongs to one call at a
// time: a second one at the same moment gives MLT_INVALID_ARGUMENT, and nothing is mixed up. mlt_state_get gives what a
// state holds now, which does not change with it; mlt_state_set keeps the tensor, which must be of exactly its type.
mlt_status mlt_state_make(mlt_state **out, const mlt_executable *executable);
mlt_status mlt_state_get(mlt_tensor **out, const mlt_state *state, const char *name);
mlt_status mlt_state_set(const mlt_state *state, const char *name, const mlt_tensor *value);
mlt_status mlt_run_with_state(mlt_tensor **outputs, int32_t output_count, const mlt_executable *executable,
                              const mlt_state *state, const mlt_tensor *const *inputs, int32_t input_count);

// Backends ask the devices of the smart selector in turn, keep what was compiled by content, and count; where the device that
// its table wants is missing or refuses, that is a counted fallback. `config` is a JSON object, NULL for the defaults:
//   enable_caching true, max_cache_size 1000 (entries), max_cache_bytes 104857600, auto_fallback true,
//   fallback "allow" | "warn" | "error", enable_profiling false.
// mlt_backend_config changes the members it names, at once: with smaller limits, entries go before it returns. For tests,
// `devices` at mlt_backend_make describes devices, as mlt_selector_make takes them, that the CPU plays; further members are
// fails "compile" | "run", latency_ms, and keeps (whether it stores a note of each function on disk).
// What mlt_backend_compile gives counts every mlt_run with its backend, which it keeps alive.
mlt_status mlt_backend_make(mlt_backend **out, const char *config);
mlt_status mlt_backend_config(const mlt_backend *backend, const char *config);
mlt_status mlt_backend_stats(mlt_text **out, const mlt_backend *backend);
mlt_status mlt_backend_cleanup(const mlt_backend *backend);
mlt_status mlt_backend_compile(mlt_executable **out, const mlt_backend *backend, const mlt_model *model,
                               const char *function);

// Profiles: every run of the process between begin and end, or every run of a backend while it profiles, step by step.
// mlt_profile_read answers the numbers, mlt_profile_trace the trace that Chrome and Perfetto show; both at any time.
mlt_status mlt_profile_begin(mlt_recording **out);
mlt_status mlt_profile_end(const mlt_recording *recording);
mlt_status mlt_backend_profile(mlt_recording **out, const mlt_backend *backend);
mlt_status mlt_profile_read(mlt_text **out, const mlt_recording *recording);
mlt_status mlt_profile_trace(mlt_text **out, const mlt_recording *recording);

// What Martlet keeps on disk between processes, in the folder MARTLET_CACHE names or the user's folder for caches: `action`
// is "list", "size" or "clear"; `kind` is "model" (compiled by a device), "kernel" (compiled from the Metal Shading
// Language), "measurements" (of any machine and version), or NULL for all of them.
mlt_status mlt_disk_cache(mlt_text **out, const char *action, const char *kind);

// Log lines up to `level` go to `callback`, from any thread; NULL sends them to the error stream. Level -1 takes the one of
// MARTLET_LOG (debug, info, warning, error, off), else warnings. The message lives during the call only.
enum { MLT_LOG_OFF = 0, MLT_LOG_ERROR, MLT_LOG_WARNING, MLT_LOG_INFO, MLT_LOG_DEBUG };
mlt_status mlt_set_log(void (*callback)(int32_t level, const char *message, void *context), void *context,
                       int32_t level);

// Selection. A profile is {"op": name of an op or operation type, "shape": [..], "dtype": "fp32"}; mlt_profile answers what
// is known of it. Devices: NULL for all of mlt_devices, or an array of their names and of described devices
// {"name", "kind": "cpu" | "metal" | "coreml", "available", "reason", "refuses": [ops], "cost": {"a", "b"}}, which are ranked
// and never run; they take a + b * work seconds. Thresholds: NULL for the defaults, or {"coreml_min_size",
// "coreml_max_size", "metal_min_size", "gpu_min_memory"}, in elements and bytes. select keeps in mind what it chose for a
// class and size of work; explain keeps nothing. pin has an op or operation type run on a device; device NULL ends that.
mlt_status mlt_profile(mlt_text **out, const char *profile);
mlt_status mlt_selector_make(mlt_selector **out, const char *devices, const char *thresholds);
mlt_status mlt_selector_select(mlt_text **out, const mlt_selector *selector, const char *profile);
mlt_status mlt_selector_chain(mlt_text **out, const mlt_selector *selector, const char *profile);
mlt_status mlt_selector_explain(mlt_text **out, const mlt_selector *selector, const char *profile);
mlt_status mlt_selector_pin(const mlt_selector *selector, const char *name, const char *device);

// Calibration measures the devices present, in rounds, until the rounds agree within `tolerance` (0.2: the median of each
// operation at most 20 % above its fastest round). `quick` takes under a second, otherwise four; on a busy machine up to 3
// and 20 seconds. What it found is kept in the user's cache folder for this machine and version; eager calls, and models
// and selectors made later, go by it at once. If the rounds do not agree in time, nothing is kept: "path" is null, and
// "objection" is the reason. `progress` may be NULL; it is called on this thread before each visit of a point and, `next`
// empty, at the end; an answer other than 0 ends the measuring with nothing kept.
mlt_status mlt_calibrate(mlt_text **out, int32_t quick, double tolerance,
                         int32_t (*progress)(void *context, int32_t done, int32_t total, const char *next),
                         void *context);

// Statuses of devices, believed for 30 seconds. Actions: "warmup", "cleanup" and "stats" with device NULL; "available",
// "status" (null where none is kept) and "update" (asks again) for a device.
mlt_status mlt_device_cache(mlt_text **out, const char *action, const char *device);
// Custom ops: names added to the language. From then on MIL text, models and calls find them. The declaration is JSON:
//
//   {"name": "scale", "words": "x times a factor.",
//    "parameters": [{"name": "x", "dtypes": ["fp32", "fp16"]},
//                   {"name": "factor", "dtypes": ["fp32"], "constant": true, "default": 2.0}],
//    "outputs": [{"dtype": {"like": "x"}, "shape": {"like": "x"}}],
//    "pure": false}
//
// A parameter may also be a "list" (one of them at most). Only a constant may have a "default"; strings are constants.
// An output's dtype is a name or like a parameter's, by default the first parameter's; its shape is a list of sizes, like
// a parameter's, or "broadcast" of all parameters that are no constants, which is the default. Where types follow from
// something else, "outputs" is their number and `infer` says them. "pure" says that the same inputs always give the
// same outputs. `run` may be NULL only where "metal", a kernel, is there; see below.
//
// `run` gets the inputs in the order of the parameters, the values of a list one after the other, the default for a
// constant left out; and outputs whose `data` it must fill (the const of mlt_view is cast away). All data lie dense in
// row-major order and are valid during the call only. `infer` gets the inputs with data where they are known constants,
// NULL where they are not. Both answer 0, or another number and a message of up to `message_bytes` with its final 0: the
// call that led there then fails with MLT_CALLBACK. They are called on threads that run or compile programs, by several
// at once, and may call anything of this header. An op whose results are not read is not run.
//
// A name registered again stands for the new op; what was compiled before keeps the old one, as it does after
// mlt_custom_op_remove. `release(context)` is called once, when nothing uses the op any more, from any thread; never
// where mlt_custom_op failed. `release` may be NULL.
typedef struct mlt_type {
    mlt_dtype dtype;
    int32_t rank;
    int64_t shape[64];
} mlt_type;

typedef int32_t (*mlt_custom_run)(void *context, mlt_view *outputs, int32_t output_count, const mlt_view *inputs,
                                  int32_t input_count, char *message, size_t message_bytes);
typedef int32_t (*mlt_custom_infer)(void *context, mlt_type *outputs, int32_t output_count, const mlt_view *inputs,
                                    int32_t input_count, char *message, size_t message_bytes);
mlt_status mlt_custom_op(const char *declaration, mlt_custom_infer infer, mlt_custom_run run, void *context,
                         void (*release)(void *context));
mlt_status mlt_custom_op_remove(const char *name);

// Kernels in the Metal Shading Language: the member "metal" of a declaration. Devices with Metal run them; without `run`
// the CPU does, too, compiled by the machine's clang (MARTLET_CLANG, else found) when the op first runs:
//
//   {"source": "#include <metal_stdlib> ... kernel void scale(...) { ... }", "function": "scale",
//    "grid": ["x.size"], "threadgroup": [256], "grid_counts": "threads", "memory": [],
//    "buffers": ["x", "out", "factor", {"n": "x.size"}], "outputs": ["out"]}
//
// "function" is by default the op's name. "grid" and "threadgroup" have one to three sizes; a size is an integer or an
// expression: x.size, x.rank, x.shape[i] of parameters and outputs, constants that are integers, + - * / %,
// min(a, b), max(a, b), ceildiv(a, b). "grid" counts threads (groups at the edge may be smaller) or "threadgroups".
// "memory" is the bytes of [[threadgroup(0)]], [[threadgroup(1)]], ... "buffers" says what [[buffer(0)]],
// [[buffer(1)]], ... are: parameters, constants by value; outputs, by the names in "outputs" (by default "out", or "out0",
// "out1", ...); and sizes, by value as uint. By default tensors, then outputs, then constants. Inputs must be const in the
// kernel; outputs are zeros when it begins. A size may also stand in an output's "shape".
//
// mlt_metal_functions compiles a source for the CPU now and answers its kernels: [{"name", "arguments": [{"name", "kind":
// "buffer" | "threadgroup", "index", "dtype", "const"}], "max_threads", "memory"}].
mlt_status mlt_metal_functions(mlt_text **out, const char *source);

#ifdef __cplusplus
}
#endif
#endif
