// martlet.h seen from C, and from nothing else.
//
// usage: test_martlet [MODEL.mlpackage [INPUTS.bin EXPECTED.bin]]
//
// Without a model a small program is parsed from text. INPUTS.bin holds the elements of all inputs in order, EXPECTED.bin
// the fp32 elements of all outputs in order; outputs may differ by 1e-3 of the largest expected magnitude.
#define _XOPEN_SOURCE 700  // symlink
#include "martlet.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int passed, failed;

static int check(int good, const char *what, int line) {
    if (good) {
        passed++;
    } else {
        failed++;
        fprintf(stderr, "line %d: %s (last error: %s)\n", line, what, mlt_last_error());
    }
    return good;
}

#define CHECK(condition) check(condition, #condition, __LINE__)
#define OK(call) check((call) == MLT_OK, #call, __LINE__)
// A failing call has its status and says why.
#define FAILS(status, call) check((call) == (status) && mlt_last_error()[0] != 0, #call " must fail with " #status, __LINE__)

static const char *program =
    "program(1.3) { func main<ios18>(tensor<fp32, [2, 3]> a, tensor<fp32, [2, 3]> b) {"
    "  tensor<fp32, [2, 3]> c = add(x = a, y = b)[name = string(\"c\")];"
    "  tensor<fp32, [2, 3]> d = mul(x = a, y = c)[name = string(\"d\")];"
    "} -> (d, c); }";

static const int64_t shape[2] = {2, 3};
static const float ones[6] = {1, 1, 1, 1, 1, 1}, numbers[6] = {1, 2, 3, 4, 5, 6};

// The text holds what it should; the text is released.
static void expect_text(mlt_status status, mlt_text *text, const char *part, int line) {
    if (!check(status == MLT_OK, "a text is given", line)) return;
    const char *chars = mlt_text_chars(text);
    check(chars && strstr(chars, part), part, line);
    check(mlt_release(text) == MLT_OK, "the text is released", line);
}

#define TEXT(part, call)                             \
    do {                                             \
        mlt_text *text = NULL;                       \
        mlt_status status = call;                    \
        expect_text(status, text, part, __LINE__);   \
    } while (0)

static void library(void) {
    CHECK(mlt_version()[0] != 0);
    TEXT("\"version\"", mlt_info(&text));
    TEXT("\"cpu\"", mlt_devices(&text));
    TEXT("\"leaky_relu\"", mlt_ops(&text));
    int32_t threads = 0;
    OK(mlt_set_num_threads(1));
    OK(mlt_num_threads(&threads));
    CHECK(threads == 1);
    OK(mlt_set_num_threads(0));
    OK(mlt_num_threads(&threads));
    CHECK(threads >= 1);
    FAILS(MLT_INVALID_ARGUMENT, mlt_set_num_threads(-1));
    FAILS(MLT_INVALID_ARGUMENT, mlt_num_threads(NULL));
    FAILS(MLT_INVALID_ARGUMENT, mlt_info(NULL));
    FAILS(MLT_INVALID_ARGUMENT, mlt_devices(NULL));
    FAILS(MLT_INVALID_ARGUMENT, mlt_ops(NULL));
}

static atomic_int released;
static void count_release(void *context) { atomic_fetch_add((atomic_int *)context, 1); }

static void tensors(void) {
    mlt_tensor *tensor = NULL;
    mlt_view view;
    OK(mlt_tensor_copy(&tensor, MLT_FLOAT32, 2, shape, numbers, sizeof numbers));
    OK(mlt_tensor_view(&view, tensor));
    CHECK(view.dtype == MLT_FLOAT32 && view.rank == 2 && view.shape[0] == 2 && view.shape[1] == 3);
    CHECK(view.bytes == sizeof numbers && view.data != numbers && !memcmp(view.data, numbers, sizeof numbers));
    OK(mlt_release(tensor));

    double scalar = 4;
    OK(mlt_tensor_copy(&tensor, MLT_FLOAT64, 0, NULL, &scalar, sizeof scalar));
    OK(mlt_tensor_view(&view, tensor));
    CHECK(view.rank == 0 && view.bytes == sizeof scalar && *(const double *)view.data == 4);
    OK(mlt_release(tensor));

    const int64_t empty[2] = {0, 3};
    OK(mlt_tensor_copy(&tensor, MLT_INT8, 2, empty, NULL, 0));
    OK(mlt_release(tensor));

    const int64_t two[1] = {2};
    const char *words[2] = {"cat", "h\xc3\xb6r"};
    OK(mlt_tensor_copy(&tensor, MLT_STRING, 1, two, words, sizeof words));
    OK(mlt_tensor_view(&view, tensor));
    CHECK(view.bytes == sizeof words && !strcmp(((const char *const *)view.data)[1], words[1]));
    OK(mlt_release(tensor));

    float *own = malloc(sizeof numbers);
    memcpy(own, numbers, sizeof numbers);
    atomic_store(&released, 0);
    OK(mlt_tensor_wrap(&tensor, MLT_FLOAT32, 2, shape, own, sizeof numbers, count_release, &released));
    OK(mlt_tensor_view(&view, tensor));
    CHECK(view.data == own && atomic_load(&released) == 0);
    OK(mlt_release(tensor));
    CHECK(atomic_load(&released) == 1);
    OK(mlt_tensor_wrap(&tensor, MLT_FLOAT32, 2, shape, own, sizeof numbers, NULL, NULL));
    OK(mlt_release(tensor));

    mlt_tensor *const before = tensor = (mlt_tensor *)(uintptr_t)0x1234;
    const int64_t negative[2] = {2, -3}, huge[3] = {INT64_MAX, INT64_MAX, 2}, hidden[3] = {INT64_MAX, 0, 8};
    const int64_t large[1] = {(int64_t)1 << 45};
    FAILS(MLT_INVALID_ARGUMENT, mlt_tensor_copy(NULL, MLT_FLOAT32, 2, shape, numbers, sizeof numbers));
    FAILS(MLT_WRONG_TYPE, mlt_tensor_copy(&tensor, 99, 2, shape, numbers, sizeof numbers));
    FAILS(MLT_WRONG_TYPE, mlt_tensor_copy(&tensor, -1, 2, shape, numbers, sizeof numbers));
    FAILS(MLT_INVALID_ARGUMENT, mlt_tensor_copy(&tensor, MLT_FLOAT32, -1, shape, numbers, sizeof numbers));
    FAILS(MLT_INVALID_ARGUMENT, mlt_tensor_copy(&tensor, MLT_FLOAT32, 1 << 30, shape, numbers, sizeof numbers));
    FAILS(MLT_INVALID_ARGUMENT, mlt_tensor_copy(&tensor, MLT_FLOAT32, 2, NULL, numbers, sizeof numbers));
    FAILS(MLT_INVALID_ARGUMENT, mlt_tensor_copy(&tensor, MLT_FLOAT32, 2, shape, NULL, sizeof numbers));
    FAILS(MLT_INVALID_ARGUMENT, mlt_tensor_copy(&tensor, MLT_FLOAT32, 2, shape, numbers, sizeof numbers - 1));
    FAILS(MLT_INVALID_ARGUMENT, mlt_tensor_copy(&tensor, MLT_FLOAT32, 2, shape, numbers, SIZE_MAX));
    FAILS(MLT_INVALID_ARGUMENT, mlt_tensor_copy(&tensor, MLT_FLOAT32, 2, negative, numbers, sizeof numbers));
    FAILS(MLT_OUT_OF_MEMORY, mlt_tensor_copy(&tensor, MLT_FLOAT32, 3, huge, numbers, sizeof numbers));
    FAILS(MLT_OUT_OF_MEMORY, mlt_tensor_copy(&tensor, MLT_FLOAT32, 3, hidden, numbers, 0));
    FAILS(MLT_OUT_OF_MEMORY, mlt_tensor_copy(&tensor, MLT_FLOAT32, 1, large, numbers, (size_t)1 << 47));
    atomic_store(&released, 0);
    FAILS(MLT_INVALID_ARGUMENT, mlt_tensor_wrap(&tensor, MLT_FLOAT32, 2, shape, own, 1, count_release, &released));
    FAILS(MLT_INVALID_ARGUMENT,
          mlt_tensor_wrap(&tensor, MLT_FLOAT32, 1, two, (char *)own + 1, 8, count_release, &released));
    FAILS(MLT_WRONG_TYPE, mlt_tensor_wrap(&tensor, MLT_STRING, 1, two, words, sizeof words, count_release, &released));
    CHECK(atomic_load(&released) == 0);
    CHECK(tensor == before);
    free(own);
}

static void handles(void) {
    mlt_tensor *tensor = NULL, *again = NULL;
    mlt_text *text = NULL;
    mlt_view view;
    int foreign = 0;
    OK(mlt_tensor_copy(&tensor, MLT_FLOAT32, 2, shape, ones, sizeof ones));
    FAILS(MLT_BAD_HANDLE, mlt_model_info(&text, (const mlt_model *)tensor));
    FAILS(MLT_BAD_HANDLE, mlt_executable_info(&text, (const mlt_executable *)tensor));
    CHECK(mlt_text_chars((const mlt_text *)tensor) == NULL);
    OK(mlt_release(tensor));
    FAILS(MLT_BAD_HANDLE, mlt_release(tensor));
    FAILS(MLT_BAD_HANDLE, mlt_tensor_view(&view, tensor));
    OK(mlt_tensor_copy(&again, MLT_FLOAT32, 2, shape, ones, sizeof ones));
    FAILS(MLT_BAD_HANDLE, mlt_release(tensor));
    OK(mlt_release(again));
    FAILS(MLT_BAD_HANDLE, mlt_release(NULL));
    FAILS(MLT_BAD_HANDLE, mlt_release(&foreign));
    FAILS(MLT_BAD_HANDLE, mlt_tensor_view(&view, (const mlt_tensor *)&foreign));
    FAILS(MLT_BAD_HANDLE, mlt_tensor_view(&view, NULL));
    FAILS(MLT_BAD_HANDLE, mlt_model_info(&text, NULL));
    FAILS(MLT_BAD_HANDLE, mlt_model_text(&text, NULL));
    FAILS(MLT_BAD_HANDLE, mlt_model_save(NULL, "/tmp/none.mlpackage"));
    FAILS(MLT_BAD_HANDLE, mlt_plan(&text, NULL));
    FAILS(MLT_BAD_HANDLE, mlt_run(NULL, 0, NULL, NULL, 0));
    CHECK(mlt_text_chars(NULL) == NULL && mlt_last_error()[0] != 0);
    CHECK(text == NULL);
}

// A package whose manifest is a link loads, unless links are refused.
static void links(const char *path) {
    mlt_model *model = NULL;
    char manifest[4096 + 32], moved[4096 + 32];
    snprintf(manifest, sizeof manifest, "%s/Manifest.json", path);
    snprintf(moved, sizeof moved, "%s.json", path);
    OK(mlt_model_load_with(&model, path, MLT_LINKS_REFUSE));
    OK(mlt_release(model));
    CHECK(!rename(manifest, moved) && !symlink(moved, manifest));
    FAILS(MLT_MALFORMED, mlt_model_load_with(&model, path, MLT_LINKS_REFUSE));
    FAILS(MLT_INVALID_ARGUMENT, mlt_model_load_with(&model, path, 2));
    OK(mlt_model_load_with(&model, path, MLT_LINKS_FOLLOW));
    OK(mlt_release(model));
    OK(mlt_model_load(&model, path));
    OK(mlt_release(model));
}

// Softmax over three logits, with text labels: coremltools made it.
static void classifier(const char *folder) {
    mlt_model *model = NULL;
    mlt_executable *executable = NULL;
    mlt_tensor *input = NULL, *outputs[2] = {NULL};
    mlt_view label, probabilities;
    char path[4096];
    if (!folder) return;
    snprintf(path, sizeof path, "%s/classifier.mlpackage", folder);
    OK(mlt_model_load(&model, path));
    TEXT("\"labels\": [\"cat\", \"dog\", \"bird\"]", mlt_model_info(&text, model));
    OK(mlt_compile(&executable, model, "cpu", NULL));
    OK(mlt_tensor_copy(&input, MLT_FLOAT32, 2, (int64_t[]){1, 3}, (float[]){1, 3, 2}, 3 * sizeof(float)));
    OK(mlt_run(outputs, 2, executable, (const mlt_tensor *const *)&input, 1));
    OK(mlt_tensor_view(&label, outputs[0]));
    OK(mlt_tensor_view(&probabilities, outputs[1]));
    CHECK(label.dtype == MLT_STRING && !strcmp(*(const char *const *)label.data, "dog"));
    const float *values = probabilities.data;
    CHECK(probabilities.bytes == 3 * sizeof(float) && values[1] > values[2] && values[2] > values[0]);
    for (int index = 0; index < 2; index++) OK(mlt_release(outputs[index]));
    OK(mlt_release(input));
    OK(mlt_release(executable));
    OK(mlt_release(model));
}

static void models(const char *folder) {
    mlt_model *model = NULL, *other = NULL;
    mlt_executable *executable = NULL;
    FAILS(MLT_NOT_FOUND, mlt_model_load(&model, "/there/is/no.mlpackage"));
    FAILS(MLT_INVALID_ARGUMENT, mlt_model_load(&model, NULL));
    FAILS(MLT_INVALID_ARGUMENT, mlt_model_load(&model, "\xff\xfe"));
    FAILS(MLT_MALFORMED, mlt_model_parse(&model, "program(1.3) {"));
    FAILS(MLT_INVALID_ARGUMENT, mlt_model_parse(&model, NULL));
    FAILS(MLT_INVALID_ARGUMENT, mlt_model_parse(NULL, program));
    CHECK(model == NULL);
    OK(mlt_model_parse(&model, program));
    TEXT("\"operations\": 2", mlt_model_info(&text, model));
    TEXT("mul(", mlt_model_text(&text, model));
    FAILS(MLT_INVALID_ARGUMENT, mlt_compile(&executable, model, "no such device", NULL));
    FAILS(MLT_INVALID_ARGUMENT, mlt_compile(&executable, model, NULL, "no such function"));
#ifndef __APPLE__
    FAILS(MLT_UNSUPPORTED, mlt_compile(&executable, model, "metal", NULL));
#endif
    FAILS(MLT_BAD_HANDLE, mlt_compile(&executable, NULL, NULL, NULL));
    FAILS(MLT_INVALID_ARGUMENT, mlt_compile_with(&executable, model, NULL, NULL, -1));
    FAILS(MLT_INVALID_ARGUMENT, mlt_compile_with(&executable, model, NULL, NULL, 257));
    CHECK(executable == NULL);
    if (folder) {
        char path[4096];
        snprintf(path, sizeof path, "%s/sum.mlpackage", folder);
        OK(mlt_model_save(model, path));
        OK(mlt_model_load(&other, path));
        TEXT("\"operations\": 2", mlt_model_info(&text, other));
        OK(mlt_release(other));
        links(path);
    }
    OK(mlt_release(model));
}

static mlt_executable *compiled(void) {
    mlt_model *model = NULL;
    mlt_executable *executable = NULL;
    OK(mlt_model_parse(&model, program));
    OK(mlt_compile(&executable, model, NULL, NULL));
    OK(mlt_release(model));  // the executable keeps what it needs
    return executable;
}

static int holds(mlt_tensor *tensor, const float *expected, size_t count) {
    mlt_view view;
    return mlt_tensor_view(&view, tensor) == MLT_OK && view.dtype == MLT_FLOAT32 && view.bytes == count * sizeof(float)
           && !memcmp(view.data, expected, view.bytes);
}

static void runs(void) {
    mlt_executable *executable = compiled();
    if (!executable) return;
    const float c[6] = {2, 3, 4, 5, 6, 7}, d[6] = {2, 6, 12, 20, 30, 42};
    const int64_t turned[2] = {3, 2};
    mlt_tensor *inputs[2] = {NULL, NULL}, *outputs[2] = {NULL, NULL}, *wrong = NULL, *bytes = NULL;
    TEXT("\"outputs\"", mlt_executable_info(&text, executable));
    TEXT("\"steps\"", mlt_plan(&text, executable));
    atomic_store(&released, 0);
    OK(mlt_tensor_copy(&inputs[0], MLT_FLOAT32, 2, shape, numbers, sizeof numbers));
    OK(mlt_tensor_wrap(&inputs[1], MLT_FLOAT32, 2, shape, (void *)ones, sizeof ones, count_release, &released));
    OK(mlt_tensor_copy(&wrong, MLT_FLOAT32, 2, turned, ones, sizeof ones));
    OK(mlt_tensor_copy(&bytes, MLT_INT32, 2, shape, ones, sizeof ones));
    OK(mlt_run(outputs, 2, executable, (const mlt_tensor *const *)inputs, 2));
    CHECK(holds(outputs[0], d, 6));
    CHECK(holds(outputs[1], c, 6));
    OK(mlt_release(outputs[0]));
    OK(mlt_release(outputs[1]));

    outputs[0] = outputs[1] = NULL;
    const mlt_tensor *bad[2] = {inputs[0], wrong};
    FAILS(MLT_INVALID_ARGUMENT, mlt_run(outputs, 2, executable, bad, 2));
    bad[1] = bytes;
    FAILS(MLT_WRONG_TYPE, mlt_run(outputs, 2, executable, bad, 2));
    bad[1] = NULL;
    FAILS(MLT_BAD_HANDLE, mlt_run(outputs, 2, executable, bad, 2));
    bad[1] = (const mlt_tensor *)executable;
    FAILS(MLT_BAD_HANDLE, mlt_run(outputs, 2, executable, bad, 2));
    FAILS(MLT_INVALID_ARGUMENT, mlt_run(outputs, 2, executable, bad, 1));
    FAILS(MLT_INVALID_ARGUMENT, mlt_run(outputs, 1, executable, bad, 2));
    FAILS(MLT_INVALID_ARGUMENT, mlt_run(outputs, -1, executable, bad, 2));
    FAILS(MLT_INVALID_ARGUMENT, mlt_run(NULL, 2, executable, bad, 2));
    FAILS(MLT_INVALID_ARGUMENT, mlt_run(outputs, 2, executable, NULL, 2));
    CHECK(outputs[0] == NULL && outputs[1] == NULL);
    OK(mlt_release(inputs[0]));
    OK(mlt_release(inputs[1]));
    CHECK(atomic_load(&released) == 1);
    OK(mlt_release(wrong));
    OK(mlt_release(bytes));
    OK(mlt_release(executable));
    FAILS(MLT_BAD_HANDLE, mlt_run(outputs, 2, executable, bad, 2));
}

// Two runs at once, then states: what one run leaves, the next one finds.
static void batches(void) {
    mlt_executable *executable = compiled();
    if (!executable) return;
    const float c[2][6] = {{2, 3, 4, 5, 6, 7}, {2, 2, 2, 2, 2, 2}}, d[2][6] = {{2, 6, 12, 20, 30, 42}, {2, 2, 2, 2, 2, 2}};
    mlt_tensor *inputs[4], *outputs[4] = {NULL, NULL, NULL, NULL};
    for (int index = 0; index < 4; index++)
        OK(mlt_tensor_copy(&inputs[index], MLT_FLOAT32, 2, shape, index ? ones : numbers, sizeof ones));
    const mlt_tensor *const *given = (const mlt_tensor *const *)inputs;
    OK(mlt_run_batch(outputs, 2, executable, given, 2, 2));
    for (int run = 0; run < 2; run++) {
        CHECK(holds(outputs[2 * run], d[run], 6));
        CHECK(holds(outputs[2 * run + 1], c[run], 6));
        OK(mlt_release(outputs[2 * run]));
        OK(mlt_release(outputs[2 * run + 1]));
        outputs[2 * run] = outputs[2 * run + 1] = NULL;
    }
    OK(mlt_run_batch(NULL, 0, executable, NULL, 2, 0));
    const mlt_tensor *bad[4] = {inputs[0], inputs[1], inputs[2], NULL};
    FAILS(MLT_BAD_HANDLE, mlt_run_batch(outputs, 2, executable, bad, 2, 2));
    FAILS(MLT_INVALID_ARGUMENT, mlt_run_batch(outputs, 2, executable, given, 2, -1));
    FAILS(MLT_INVALID_ARGUMENT, mlt_run_batch(outputs, 1, executable, given, 2, 2));
    FAILS(MLT_INVALID_ARGUMENT, mlt_run_batch(outputs, 2, executable, given, -1, 2));
    FAILS(MLT_INVALID_ARGUMENT, mlt_run_batch(NULL, 2, executable, given, 2, 2));
    CHECK(!outputs[0] && !outputs[1] && !outputs[2] && !outputs[3]);
    for (int index = 0; index < 4; index++) OK(mlt_release(inputs[index]));
    OK(mlt_release(executable));
}

static void states(void) {
    const char *text =
        "program(1.3) { func main<ios18>(state<tensor<fp32, [2, 3]>> total, tensor<fp32, [2, 3]> x) {"
        "  tensor<fp32, [2, 3]> before = read_state(input = total)[name = string(\"before\")];"
        "  tensor<fp32, [2, 3]> sum = add(x = before, y = x)[name = string(\"sum\")];"
        "  write_state(input = total, data = sum);"
        "} -> (before); }";
    const float zeros[6] = {0}, twice[6] = {2, 4, 6, 8, 10, 12};
    const int64_t turned[2] = {3, 2};
    mlt_model *model = NULL;
    mlt_executable *executable = NULL, *other = compiled();
    mlt_state *state = NULL, *foreign = NULL;
    mlt_tensor *x = NULL, *y = NULL, *wrong = NULL;
    if (!OK(mlt_model_parse(&model, text)) || !OK(mlt_compile(&executable, model, "cpu", NULL))) return;
    OK(mlt_release(model));
    TEXT("\"states\": [{\"name\": \"total\"", mlt_executable_info(&text, executable));
    OK(mlt_state_make(&state, executable));
    OK(mlt_tensor_copy(&x, MLT_FLOAT32, 2, shape, numbers, sizeof numbers));
    OK(mlt_tensor_copy(&wrong, MLT_FLOAT32, 2, turned, ones, sizeof ones));
    const mlt_tensor *given[1] = {x};
    const float *expected[3] = {zeros, numbers, twice};
    for (int step = 0; step < 3; step++) {
        OK(mlt_run_with_state(&y, 1, executable, state, given, 1));
        CHECK(holds(y, expected[step], 6));
        OK(mlt_release(y));
    }
    OK(mlt_state_set(state, "total", x));
    OK(mlt_state_get(&y, state, "total"));
    CHECK(holds(y, numbers, 6));
    OK(mlt_release(y));
    y = NULL;
    FAILS(MLT_INVALID_ARGUMENT, mlt_run(&y, 1, executable, given, 1));
    FAILS(MLT_INVALID_ARGUMENT, mlt_run_batch(&y, 1, executable, given, 1, 1));
    FAILS(MLT_BAD_HANDLE, mlt_run_with_state(&y, 1, executable, NULL, given, 1));
    FAILS(MLT_BAD_HANDLE, mlt_run_with_state(&y, 1, executable, (mlt_state *)x, given, 1));
    FAILS(MLT_INVALID_ARGUMENT, mlt_state_set(state, "total", wrong));
    FAILS(MLT_INVALID_ARGUMENT, mlt_state_set(state, "other", x));
    FAILS(MLT_INVALID_ARGUMENT, mlt_state_set(state, NULL, x));
    FAILS(MLT_BAD_HANDLE, mlt_state_set(state, "total", NULL));
    FAILS(MLT_INVALID_ARGUMENT, mlt_state_get(&y, state, "other"));
    FAILS(MLT_INVALID_ARGUMENT, mlt_state_get(NULL, state, "total"));
    FAILS(MLT_BAD_HANDLE, mlt_state_make(&foreign, NULL));
    OK(mlt_state_make(&foreign, other));
    FAILS(MLT_INVALID_ARGUMENT, mlt_run_with_state(&y, 1, executable, foreign, given, 1));
    CHECK(y == NULL);
    OK(mlt_release(foreign));
    OK(mlt_release(state));
    FAILS(MLT_BAD_HANDLE, mlt_run_with_state(&y, 1, executable, state, given, 1));
    OK(mlt_release(x));
    OK(mlt_release(wrong));
    OK(mlt_release(executable));
    OK(mlt_release(other));
}

enum { THREADS = 8, TURNS = 500 };

static mlt_executable *shared;
static atomic_int mistakes, released_in_threads;

static int32_t stop_at_once(void *context, int32_t done, int32_t total, const char *next) {
    CHECK(done >= 0 && total > 0 && next[0] != 0);
    return ++*(int *)context;
}

static void selection(void) {
    const char *devices = "[\"cpu\", {\"name\": \"gpu\", \"kind\": \"metal\", \"refuses\": [\"relu\"]}]";
    const char *profile = "{\"op\": \"add\", \"shape\": [64, 64], \"dtype\": \"fp32\"}";
    const char *refused = "{\"op\": \"relu\", \"shape\": [64, 64]}";
    mlt_selector *selector = NULL;
    TEXT("\"element_wise\"", mlt_profile(&text, profile));
    if (!OK(mlt_selector_make(&selector, devices, "{\"metal_min_size\": 16}"))) return;
    TEXT("\"device\": \"gpu\"", mlt_selector_select(&text, selector, profile));
    TEXT("\"device\": \"cpu\"", mlt_selector_select(&text, selector, refused));
    TEXT("\"reason\"", mlt_selector_chain(&text, selector, profile));
    TEXT("\"standing\": \"refused\"", mlt_selector_explain(&text, selector, refused));
    OK(mlt_selector_pin(selector, "add", "cpu"));
    TEXT("pinned: add runs on cpu", mlt_selector_select(&text, selector, profile));
    OK(mlt_selector_pin(selector, "add", NULL));
    TEXT("\"device\": \"gpu\"", mlt_selector_select(&text, selector, profile));
    TEXT("cache_hit_rate", mlt_device_cache(&text, "warmup", NULL));
    TEXT("true", mlt_device_cache(&text, "available", "cpu"));

    mlt_text *text = NULL;
    mlt_selector *other = NULL;
    int calls = 0;
    FAILS(MLT_INVALID_ARGUMENT, mlt_selector_pin(selector, "add", "tpu"));
    FAILS(MLT_INVALID_ARGUMENT, mlt_selector_make(&other, "[\"tpu\"]", NULL));
    FAILS(MLT_MALFORMED, mlt_selector_make(&other, "[", NULL));
    FAILS(MLT_INVALID_ARGUMENT, mlt_selector_make(&other, NULL, "{\"size\": 1}"));
    FAILS(MLT_INVALID_ARGUMENT, mlt_profile(&text, "{\"op\": \"nothing\", \"shape\": []}"));
    FAILS(MLT_INVALID_ARGUMENT, mlt_profile(&text, NULL));
    FAILS(MLT_INVALID_ARGUMENT, mlt_device_cache(&text, "forget", NULL));
    FAILS(MLT_BAD_HANDLE, mlt_selector_select(&text, NULL, profile));
    FAILS(MLT_INVALID_ARGUMENT, mlt_calibrate(&text, 1, 0.2, stop_at_once, &calls));
    CHECK(calls == 1 && text == NULL && other == NULL);
    OK(mlt_release(selector));
    FAILS(MLT_BAD_HANDLE, mlt_selector_select(&text, selector, profile));
}

static void *run_in_thread(void *argument) {
    const float own = (float)(intptr_t)argument;
    for (int turn = 0; turn < TURNS; turn++) {
        float a[6], expected[6];
        for (int i = 0; i < 6; i++) a[i] = own + i, expected[i] = a[i] + 1;
        mlt_tensor *inputs[2] = {NULL, NULL}, *outputs[2] = {NULL, NULL};
        int good = mlt_tensor_wrap(&inputs[0], MLT_FLOAT32, 2, shape, a, sizeof a, count_release, &released_in_threads) == MLT_OK
                   && mlt_tensor_copy(&inputs[1], MLT_FLOAT32, 2, shape, ones, sizeof ones) == MLT_OK
                   && mlt_run(outputs, 2, shared, (const mlt_tensor *const *)inputs, 2) == MLT_OK
                   && holds(outputs[1], expected, 6);
        for (int i = 0; i < 2; i++) good = good && !mlt_release(inputs[i]) && !mlt_release(outputs[i]);
        // Messages belong to the thread that failed.
        good = good && mlt_release(outputs[0]) == MLT_BAD_HANDLE && strstr(mlt_last_error(), "tensor");
        if (!good) atomic_fetch_add(&mistakes, 1);
    }
    return NULL;
}

// One thread releases what others are using: each use gives the numbers or MLT_BAD_HANDLE.
static _Atomic(mlt_tensor *) current;
static atomic_int done;

static void *view_in_thread(void *argument) {
    (void)argument;
    while (!atomic_load(&done)) {
        mlt_view view;
        mlt_status status = mlt_tensor_view(&view, atomic_load(&current));
        if (status != MLT_OK && status != MLT_BAD_HANDLE) atomic_fetch_add(&mistakes, 1);
    }
    return NULL;
}

static void threads(void) {
    pthread_t workers[THREADS];
    atomic_store(&mistakes, 0);
    shared = compiled();
    if (shared) {
        for (intptr_t i = 0; i < THREADS; i++) pthread_create(&workers[i], NULL, run_in_thread, (void *)i);
        for (int i = 0; i < THREADS; i++) pthread_join(workers[i], NULL);
        CHECK(atomic_load(&mistakes) == 0);
        CHECK(atomic_load(&released_in_threads) == THREADS * TURNS);
        OK(mlt_release(shared));
    }
    for (int i = 0; i < 4; i++) pthread_create(&workers[i], NULL, view_in_thread, NULL);
    int good = 1;
    for (int turn = 0; turn < 20000; turn++) {
        mlt_tensor *next = NULL;
        good = good && mlt_tensor_copy(&next, MLT_FLOAT32, 2, shape, ones, sizeof ones) == MLT_OK;
        mlt_tensor *last = atomic_exchange(&current, next);
        good = good && (!last || mlt_release(last) == MLT_OK);
    }
    atomic_store(&done, 1);
    for (int i = 0; i < 4; i++) pthread_join(workers[i], NULL);
    OK(mlt_release(atomic_load(&current)));
    CHECK(good && atomic_load(&mistakes) == 0);
}

static atomic_int lines_seen;

static void count_line(int32_t level, const char *message, void *context) {
    if (level >= MLT_LOG_ERROR && level <= MLT_LOG_DEBUG && message[0]) atomic_fetch_add((atomic_int *)context, 1);
}

static void backends(void) {
    mlt_backend *backend = NULL;
    mlt_model *model = NULL;
    mlt_executable *executable = NULL;
    mlt_recording *recording = NULL;
    mlt_tensor *input = NULL, *outputs[2] = {NULL, NULL};
    OK(mlt_set_log(count_line, &lines_seen, MLT_LOG_DEBUG));
    FAILS(MLT_INVALID_ARGUMENT, mlt_set_log(NULL, NULL, 7));
    FAILS(MLT_MALFORMED, mlt_backend_make(&backend, "no JSON"));
    FAILS(MLT_INVALID_ARGUMENT, mlt_backend_make(&backend, "{\"cache\": 1}"));
    FAILS(MLT_WRONG_TYPE, mlt_backend_make(&backend, "{\"max_cache_size\": \"many\"}"));
    FAILS(MLT_INVALID_ARGUMENT, mlt_backend_make(&backend, "{\"max_cache_bytes\": -1}"));
    if (!OK(mlt_backend_make(&backend, "{\"devices\": [{\"name\": \"first\", \"kind\": \"cpu\", \"fails\": \"run\"},"
                                       "{\"name\": \"second\", \"kind\": \"cpu\"}]}")))
        return;
    OK(mlt_model_parse(&model, program));
    OK(mlt_backend_compile(&executable, backend, model, NULL));
    FAILS(MLT_BAD_HANDLE, mlt_backend_compile(&executable, (mlt_backend *)model, model, NULL));
    OK(mlt_tensor_copy(&input, MLT_FLOAT32, 2, shape, ones, sizeof ones));
    const mlt_tensor *inputs[2] = {input, input};
    OK(mlt_profile_begin(&recording));
    for (int turn = 0; turn < 3; turn++) {
        if (!OK(mlt_run(outputs, 2, executable, inputs, 2))) return;
        mlt_view view;
        OK(mlt_tensor_view(&view, outputs[1]));
        CHECK(((const float *)view.data)[5] == 2);
        for (int i = 0; i < 2; i++) OK(mlt_release(outputs[i]));
    }
    OK(mlt_profile_end(recording));
    TEXT("\"second\"", mlt_profile_read(&text, recording));
    TEXT("traceEvents", mlt_profile_trace(&text, recording));
    TEXT("\"total_operations\": 3", mlt_backend_stats(&text, backend));
    TEXT("\"fallback_operations\": 3", mlt_backend_stats(&text, backend));
    TEXT("\"cache_hits\": 2", mlt_backend_stats(&text, backend));
    OK(mlt_backend_config(backend, "{\"fallback\": \"error\"}"));
    FAILS(MLT_UNSUPPORTED, mlt_run(outputs, 2, executable, inputs, 2));
    FAILS(MLT_INVALID_ARGUMENT, mlt_backend_config(backend, "{\"fallback\": \"perhaps\"}"));
    FAILS(MLT_INVALID_ARGUMENT, mlt_backend_config(backend, "{\"devices\": []}"));
    OK(mlt_backend_cleanup(backend));
    TEXT("\"cache_entries\": 0", mlt_backend_stats(&text, backend));
    TEXT("\"folder\"", mlt_disk_cache(&text, "size", NULL));
    FAILS(MLT_INVALID_ARGUMENT, mlt_disk_cache(NULL, "size", NULL));
    mlt_text *none = NULL;
    FAILS(MLT_INVALID_ARGUMENT, mlt_disk_cache(&none, "size", "clothes"));
    CHECK(none == NULL);
    CHECK(atomic_load(&lines_seen) > 0);
    OK(mlt_set_log(NULL, NULL, -1));
    OK(mlt_release(recording));
    OK(mlt_release(backend));
    OK(mlt_release(input));
    OK(mlt_release(model));
    OK(mlt_release(executable));
}

static void *read_file(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (!check(file != NULL, path, __LINE__)) return NULL;
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    void *bytes = malloc(*size + 1);
    CHECK(fread(bytes, 1, *size, file) == *size);
    fclose(file);
    return bytes;
}

// The ports of mlt_executable_info, as far as this test needs them.
static int ports(const char *json, const char *key, mlt_dtype *dtypes, int64_t shapes[][8], int *ranks) {
    static const char *const names[] = {"bool",   "int8",   "uint8", "int16", "uint16", "int32",     "uint32",    "int64",
                                        "uint64", "fp16",   "fp32",  "fp64",  "complex64", "complex128", "string"};
    const char *at = strstr(json, key), *end;
    int count = 0;
    if (!at || !(end = strstr(at, "]}]"))) return at ? 0 : -1;
    while ((at = strstr(at, "\"dtype\": \"")) && at < end && count < 16) {
        at += strlen("\"dtype\": \"");
        for (int i = 0; i < 15; i++) {
            size_t length = strlen(names[i]);
            if (!strncmp(at, names[i], length) && at[length] == '"') dtypes[count] = i;
        }
        at = strstr(at, "\"shape\": [") + strlen("\"shape\": [");
        for (ranks[count] = 0; *at != ']' && ranks[count] < 8; ranks[count]++) {
            char *next;
            shapes[count][ranks[count]] = strtoll(at, &next, 10);
            at = next + strspn(next, ", ");
        }
        count++;
    }
    return count;
}

static void package(const char *path, const char *input_path, const char *expected_path) {
    static const size_t sizes[] = {1, 1, 1, 2, 2, 4, 4, 8, 8, 2, 4, 8, 8, 16};
    mlt_model *model = NULL;
    mlt_executable *executable = NULL;
    OK(mlt_model_load(&model, path));
    TEXT("\"functions\"", mlt_model_info(&text, model));
    if (!input_path) {
        OK(mlt_release(model));
        return;
    }
    OK(mlt_compile(&executable, model, NULL, NULL));
    OK(mlt_release(model));
    if (!executable) return;

    mlt_text *info = NULL;
    mlt_dtype dtypes[16];
    int64_t shapes[16][8];
    int ranks[16];
    OK(mlt_executable_info(&info, executable));
    int input_count = ports(mlt_text_chars(info), "\"inputs\"", dtypes, shapes, ranks);
    mlt_tensor *inputs[16] = {NULL}, *outputs[16] = {NULL};
    size_t given = 0, wanted = 0, offset = 0;
    char *data = read_file(input_path, &given);
    float *expected = read_file(expected_path, &wanted);
    for (int i = 0; data && i < input_count; i++) {
        size_t bytes = sizes[dtypes[i]];
        for (int axis = 0; axis < ranks[i]; axis++) bytes *= (size_t)shapes[i][axis];
        if (CHECK(offset + bytes <= given)) OK(mlt_tensor_copy(&inputs[i], dtypes[i], ranks[i], shapes[i], data + offset, bytes));
        offset += bytes;
    }
    int output_count = ports(mlt_text_chars(info), "\"outputs\"", dtypes, shapes, ranks);
    if (OK(mlt_run(outputs, output_count, executable, (const mlt_tensor *const *)inputs, input_count))) {
        size_t done_count = 0;
        float largest = 0, difference = 0;
        for (int i = 0; i < output_count; i++) {
            mlt_view view;
            OK(mlt_tensor_view(&view, outputs[i]));
            CHECK(view.dtype == MLT_FLOAT32);
            for (size_t k = 0; k < view.bytes / 4 && done_count < wanted / 4; k++, done_count++) {
                largest = fmaxf(largest, fabsf(expected[done_count]));
                difference = fmaxf(difference, fabsf(expected[done_count] - ((const float *)view.data)[k]));
            }
            OK(mlt_release(outputs[i]));
        }
        CHECK(done_count == wanted / 4);
        CHECK(difference <= 1e-3f * largest);
        printf("largest difference %g of %g\n", difference, largest);
    }
    for (int i = 0; i < input_count; i++) OK(mlt_release(inputs[i]));
    OK(mlt_release(info));
    OK(mlt_release(executable));
    free(data);
    free(expected);
}

// y = factor * x, where the context counts the calls.
static int32_t scale(void *context, mlt_view *outputs, int32_t output_count, const mlt_view *inputs,
                     int32_t input_count, char *message, size_t message_bytes) {
    if (output_count != 1 || input_count != 2 || message_bytes < 16) return 1;
    const float *x = inputs[0].data, factor = *(const float *)inputs[1].data;
    if (factor < 0) {
        snprintf(message, message_bytes, "%g is negative", (double)factor);
        return 2;
    }
    float *y = (float *)outputs[0].data;
    for (size_t i = 0; i < inputs[0].bytes / sizeof *x; i++) y[i] = factor * x[i];
    atomic_fetch_add((atomic_int *)context, 1);
    return 0;
}

// The transposed type of the first input.
static int32_t transposed(void *context, mlt_type *outputs, int32_t output_count, const mlt_view *inputs,
                          int32_t input_count, char *message, size_t message_bytes) {
    (void)context, (void)message, (void)message_bytes;
    if (output_count != 1 || input_count != 2 || inputs[0].rank != 2 || inputs[0].data || !inputs[1].data) return 1;
    outputs[0] = (mlt_type){inputs[0].dtype, 2, {inputs[0].shape[1], inputs[0].shape[0]}};
    return 0;
}

#define SCALE(outputs)                                                                              \
    "{\"name\": \"c_scale\", \"parameters\": [{\"name\": \"x\", \"dtypes\": [\"fp32\"]},"               \
    "{\"name\": \"factor\", \"dtypes\": [\"fp32\"], \"constant\": true, \"default\": 2}],"                \
    "\"outputs\": " outputs METAL "}"
// Its form for devices with Metal; with `run` NULL, clang's work on the CPU.
#define METAL                                                                                       \
    ", \"metal\": {\"source\": \"kernel void c_scale(device const float *x [[buffer(0)]], "            \
    "device float *y [[buffer(1)]], constant float &factor [[buffer(2)]], "                             \
    "uint i [[thread_position_in_grid]]) { y[i] = factor * x[i]; }\", \"grid\": [\"x.size\"], "         \
    "\"threadgroup\": [64]}"

static mlt_status run_scale(const char *arguments, int64_t rows, float *first) {
    char text[256];
    snprintf(text, sizeof text,
             "program(1.3) { func main<ios18>(tensor<fp32, [2, 3]> x) { y = c_scale(x = x%s); } -> (y); }", arguments);
    mlt_model *model = NULL;
    mlt_executable *executable = NULL;
    mlt_tensor *x = NULL, *y = NULL;
    mlt_view view;
    OK(mlt_model_parse(&model, text));
    OK(mlt_compile(&executable, model, NULL, NULL));
    OK(mlt_tensor_copy(&x, MLT_FLOAT32, 2, shape, numbers, sizeof numbers));
    mlt_status status = mlt_run(&y, 1, executable, (const mlt_tensor *const *)&x, 1);
    if (status == MLT_OK) {
        OK(mlt_tensor_view(&view, y));
        CHECK(view.rank == 2 && view.shape[0] == rows);
        *first = ((const float *)view.data)[0];
        OK(mlt_release(y));
    }
    OK(mlt_release(x));
    OK(mlt_release(executable));
    OK(mlt_release(model));
    return status;
}

static void custom_ops(void) {
    atomic_int calls = 0;
    float first = 0;
    mlt_text *kernels = NULL;
    OK(mlt_custom_op(SCALE("[{}]"), NULL, scale, &calls, NULL));
    TEXT("kernel void c_scale", mlt_ops(&text));
    OK(run_scale("", 2, &first));
    CHECK(first == 2 && atomic_load(&calls) == 1);
    FAILS(MLT_CALLBACK, run_scale(", factor = -1.0", 2, &first));
    CHECK(strstr(mlt_last_error(), "c_scale") && strstr(mlt_last_error(), "-1 is negative"));
    // The other one takes its place.
    atomic_store(&released, 0);
    OK(mlt_custom_op(SCALE("1"), transposed, scale, &released, count_release));
    OK(run_scale(", factor = 3.0", 3, &first));
    CHECK(first == 3 && atomic_load(&released) == 1);
    OK(mlt_custom_op_remove("c_scale"));
    CHECK(atomic_load(&released) == 2);
    // Without a function, the kernel does it, by clang.
    OK(mlt_custom_op(SCALE("[{}]"), NULL, NULL, NULL, NULL));
    OK(run_scale(", factor = 5.0", 2, &first));
    CHECK(first == 5);
    OK(mlt_custom_op_remove("c_scale"));
    TEXT("\"name\": \"k\"", mlt_metal_functions(&text, "kernel void k(uint i [[thread_position_in_grid]]) {}"));
    FAILS(MLT_MALFORMED, mlt_metal_functions(&kernels, "kernel void k("));
    FAILS(MLT_INVALID_ARGUMENT, mlt_metal_functions(&kernels, NULL));
    FAILS(MLT_INVALID_ARGUMENT, mlt_custom_op_remove("c_scale"));
    FAILS(MLT_INVALID_ARGUMENT, mlt_custom_op_remove(NULL));
    FAILS(MLT_INVALID_ARGUMENT, mlt_custom_op(NULL, NULL, scale, NULL, NULL));
    FAILS(MLT_INVALID_ARGUMENT, mlt_custom_op(SCALE("1"), NULL, scale, &released, count_release));
    FAILS(MLT_INVALID_ARGUMENT, mlt_custom_op(SCALE("[{}]"), transposed, scale, &released, count_release));
    FAILS(MLT_INVALID_ARGUMENT, mlt_custom_op(SCALE("[]"), NULL, scale, &released, count_release));
    FAILS(MLT_INVALID_ARGUMENT, mlt_custom_op(SCALE("[{\"shape\": {\"like\": \"z\"}}]"), NULL, scale, NULL, NULL));
    FAILS(MLT_MALFORMED, mlt_custom_op("{", NULL, scale, &released, count_release));
    FAILS(MLT_MALFORMED, mlt_custom_op("[]", NULL, scale, &released, count_release));
    FAILS(MLT_WRONG_TYPE, mlt_custom_op(SCALE("[{\"dtype\": \"fp7\"}]"), NULL, scale, &released, count_release));
    CHECK(atomic_load(&released) == 2);
}

static mlt_tensor *floats(int64_t count, const float *values) {
    mlt_tensor *tensor = NULL;
    mlt_tensor_copy(&tensor, MLT_FLOAT32, 1, &count, values, (size_t)count * sizeof *values);
    return tensor;
}

static float element(const mlt_tensor *tensor, int index) {
    mlt_view view;
    if (mlt_tensor_view(&view, tensor) || view.dtype != MLT_FLOAT32) return NAN;
    return ((const float *)view.data)[index];
}

static void eager(void) {
    const char *both[] = {"x", "y"}, *one[] = {"x"}, *alpha[] = {"alpha"}, *wrong[] = {"z"};
    float values[] = {1, -2, 3}, slope = 0.5f;
    mlt_tensor *x = floats(3, values), *scalar = NULL, *sum = NULL, *leaky = NULL, *whole = NULL, *results[2] = {0};
    mlt_op *add = NULL, *relu = NULL, *other = NULL;
    int32_t count = 2;
    OK(mlt_tensor_copy(&scalar, MLT_FLOAT32, 0, NULL, &slope, sizeof slope));
    OK(mlt_op_make(&add, "add", 2, both, 0, NULL, NULL, NULL));
    OK(mlt_op_make(&relu, "leaky_relu", 1, one, 1, alpha, (const mlt_tensor *const *)&scalar, NULL));
    FAILS(MLT_UNSUPPORTED, mlt_op_make(&other, "no_such_op", 1, one, 0, NULL, NULL, NULL));
    FAILS(MLT_INVALID_ARGUMENT, mlt_op_make(&other, "add", 1, wrong, 0, NULL, NULL, NULL));
    FAILS(MLT_BAD_HANDLE, mlt_op_make(&other, "add", 2, both, 0, NULL, NULL, (const mlt_backend *)x));

    CHECK(!mlt_brief2(add, x, x));  // not compiled yet, which is no failure
    CHECK((sum = mlt_call2(add, x, x)) && element(sum, 1) == -4);
    mlt_release(sum);
    CHECK((sum = mlt_call2(add, x, x)) && element(sum, 2) == 6);
    mlt_release(sum);
    CHECK((sum = mlt_brief2(add, x, x)) && element(sum, 0) == 2);
    CHECK((leaky = mlt_call1(relu, x)) && element(leaky, 1) == -1);
    CHECK(!mlt_call1(add, x) && mlt_last_status() == MLT_INVALID_ARGUMENT);
    CHECK(!mlt_call2(add, x, NULL) && mlt_last_status() == MLT_BAD_HANDLE);
    CHECK(!mlt_brief1(NULL, x));
    OK(mlt_call(results, &count, add, (const mlt_tensor *[]){x, sum}, 2));
    CHECK(count == 1 && element(results[0], 2) == 9);
    count = 0;
    FAILS(MLT_INVALID_ARGUMENT, mlt_call(results, &count, add, (const mlt_tensor *[]){x, sum}, 2));

    // Promotion: int32 beside fp32 is fp32.
    int32_t numbers[] = {10, 20, 30};
    int64_t three = 3, two = 2, five = 5;
    OK(mlt_tensor_copy(&whole, MLT_INT32, 1, &three, numbers, sizeof numbers));
    mlt_tensor *mixed = mlt_call2(add, x, whole), *part = NULL, *pinned = NULL, *again = NULL;
    CHECK(mixed && element(mixed, 2) == 33);

    // Parts share memory; devices are named.
    OK(mlt_tensor_part(&part, x, 4, 1, &two));
    CHECK(element(part, 1) == 3);
    FAILS(MLT_OUT_OF_RANGE, mlt_tensor_part(&again, x, 4, 1, &five));
    FAILS(MLT_OUT_OF_RANGE, mlt_tensor_part(&again, x, -4, 1, &two));
    OK(mlt_tensor_to(&pinned, x, "cpu:portable"));
    TEXT("auto", mlt_tensor_device(&text, x));
    TEXT("cpu:portable", mlt_tensor_device(&text, pinned));
    FAILS(MLT_INVALID_ARGUMENT, mlt_tensor_to(&again, x, "abacus"));
    FAILS(MLT_UNSUPPORTED, mlt_tensor_to(&again, x, "coreml"));

    void *all[] = {x, scalar, sum, leaky, whole, mixed, part, pinned, results[0], add, relu};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) OK(mlt_release(all[k]));
}

static void traces(void) {
    const char *both[] = {"x", "y"}, *names[] = {"twice"};
    float values[] = {1, 2};
    int64_t two = 2;
    mlt_tensor *input = NULL, *doubled = NULL, *x = floats(2, values), *output = NULL, *none = NULL;
    mlt_trace *trace = NULL;
    mlt_op *add = NULL;
    mlt_model *model = NULL;
    mlt_executable *executable = NULL;
    mlt_view view;
    OK(mlt_op_make(&add, "add", 2, both, 0, NULL, NULL, NULL));
    OK(mlt_trace_begin(&trace));
    OK(mlt_trace_input(&input, trace, "given", MLT_FLOAT32, 1, &two));
    FAILS(MLT_INVALID_ARGUMENT, mlt_trace_input(&none, trace, "given", MLT_FLOAT32, 1, &two));
    CHECK((doubled = mlt_call2(add, input, input)) != NULL);
    OK(mlt_tensor_view(&view, doubled));
    CHECK(view.data == NULL && view.bytes == 0 && view.rank == 1 && view.shape[0] == 2);
    FAILS(MLT_UNSUPPORTED, mlt_tensor_part(&none, doubled, 0, 1, &two));
    OK(mlt_trace_end(&model, trace, 1, names, (const mlt_tensor *const *)&doubled));
    FAILS(MLT_INVALID_ARGUMENT, mlt_trace_end(&model, trace, 1, names, (const mlt_tensor *const *)&doubled));
    CHECK(!mlt_call2(add, input, input));
    OK(mlt_compile(&executable, model, NULL, NULL));
    FAILS(MLT_UNSUPPORTED, mlt_run(&output, 1, executable, (const mlt_tensor *const *)&doubled, 1));
    OK(mlt_run(&output, 1, executable, (const mlt_tensor *const *)&x, 1));
    CHECK(element(output, 1) == 4);
    void *all[] = {input, doubled, x, output, trace, add, model, executable};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) OK(mlt_release(all[k]));
}

int main(int count, char **arguments) {
    library();
    tensors();
    handles();
    models(getenv("TEST_FOLDER"));
    classifier(getenv("TEST_DATA"));
    runs();
    batches();
    states();
    selection();
    threads();
    eager();
    traces();
    custom_ops();
    backends();
    if (count > 1) package(arguments[1], count > 3 ? arguments[2] : NULL, count > 3 ? arguments[3] : NULL);
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
