// The operators of Tensor as a Python type in C. What an operation on a small tensor costs is mostly the way through
// Python; from here a call goes straight to the library. Whatever is not two tensors goes to Python.
#include "stable_abi.h"

typedef struct {
    PyObject head;
    void *handle;
    PyObject *kept;
    PyObject *references;
} Tensor;

// An operator: the library's handle of its op, and who does what is not done here.
typedef struct {
    const char *name;
    void *op;
    PyObject *otherwise;
} Operator;

// mlt_view of martlet.h.
typedef struct {
    int32_t dtype, rank;
    const int64_t *shape;
    const void *data;
    size_t bytes;
} View;

static void *(*call1)(const void *op, const void *x), *(*brief1)(const void *op, const void *x);
static void *(*call2)(const void *op, const void *x, const void *y);
static void *(*brief2)(const void *op, const void *x, const void *y);
static int32_t (*release)(void *handle);
static int32_t (*view)(View *out, const void *tensor);
static PyTypeObject *tensor_type;

enum { dtype_count = 32 };
static PyObject *dtypes[dtype_count];  // by the library's codes

static PyObject *tensor(void *handle) {
    Tensor *made = (Tensor *)PyType_GenericAlloc(tensor_type, 0);
    if (made) made->handle = handle;
    else release(handle);
    return (PyObject *)made;
}

static int is_tensor(const PyObject *object) { return object->type == tensor_type && tensor_type; }

// What is brief runs under the interpreter's lock, since giving that away and taking it again would cost more.
static PyObject *binary(const Operator *operator, PyObject *x, PyObject *y) {
    if (is_tensor(x) && is_tensor(y)) {
        void *a = ((Tensor *)x)->handle, *b = ((Tensor *)y)->handle, *handle = brief2(operator->op, a, b);
        if (handle) return tensor(handle);
        PyThreadState *state = PyEval_SaveThread();
        handle = call2(operator->op, a, b);
        PyEval_RestoreThread(state);
        if (handle) return tensor(handle);
    }
    return PyObject_CallFunctionObjArgs(operator->otherwise, x, y, NULL);
}

static PyObject *unary(const Operator *operator, PyObject *x) {
    if (is_tensor(x)) {
        void *a = ((Tensor *)x)->handle, *handle = brief1(operator->op, a);
        if (handle) return tensor(handle);
        PyThreadState *state = PyEval_SaveThread();
        handle = call1(operator->op, a);
        PyEval_RestoreThread(state);
        if (handle) return tensor(handle);
    }
    return PyObject_CallFunctionObjArgs(operator->otherwise, x, NULL);
}

// One row an operator: its name and the slot of Python's that it fills.
#define BINARY(ROW) \
    ROW(add, add) ROW(subtract, sub) ROW(multiply, mul) ROW(true_divide, divide) ROW(floor_divide, floor_div) \
    ROW(remainder, mod) ROW(and, bitwise_and) ROW(or, bitwise_or) ROW(xor, bitwise_xor) ROW(lshift, shift_left) \
    ROW(rshift, shift_right) ROW(matrix_multiply, matmul)
#define COMPARISON(ROW) \
    ROW(LT, less) ROW(LE, less_equal) ROW(EQ, equal) ROW(NE, not_equal) ROW(GT, greater) ROW(GE, greater_equal)
#define UNARY(ROW) ROW(negative, negative) ROW(invert, bitwise_not) ROW(absolute, abs)
#define METHOD(ROW) \
    ROW(relu) ROW(relu6) ROW(sigmoid) ROW(silu) ROW(softplus) ROW(softsign) ROW(gelu) ROW(tanh) ROW(exp) ROW(sqrt) \
    ROW(sin) ROW(cos) ROW(tan) ROW(floor) ROW(ceil) ROW(round) ROW(sign) ROW(square) ROW(erf) ROW(asin) ROW(acos) \
    ROW(atan) ROW(sinh) ROW(cosh)

enum {
#define ROW(slot, name) of_##name,
    BINARY(ROW) COMPARISON(ROW) UNARY(ROW)
#undef ROW
#define ROW(name) of_##name,
    METHOD(ROW)
#undef ROW
    of_pow, of_numpy, of_shape, of_ndim, of_dtype, of_is_traced, operator_count
};

static Operator operators[] = {
#define ROW(slot, name) {#name, 0, 0},
    BINARY(ROW) COMPARISON(ROW) UNARY(ROW)
#undef ROW
#define ROW(name) {#name, 0, 0},
    METHOD(ROW)
#undef ROW
    {"pow", 0, 0},
    {"numpy", 0, 0},  // what shows the elements as an array
    {"shape", 0, 0}, {"ndim", 0, 0}, {"dtype", 0, 0}, {"is_traced", 0, 0}
};

#define ROW(slot, name) \
    static PyObject *slot_##slot(PyObject *x, PyObject *y) { return binary(&operators[of_##name], x, y); }
BINARY(ROW)
#undef ROW
#define ROW(slot, name) static PyObject *slot_##slot(PyObject *x) { return unary(&operators[of_##name], x); }
UNARY(ROW)
#undef ROW
#define ROW(name) \
    static PyObject *method_##name(PyObject *x, PyObject *none) { (void)none; return unary(&operators[of_##name], x); }
METHOD(ROW)
#undef ROW

static PyObject *slot_power(PyObject *x, PyObject *y, PyObject *modulus) {
    if (modulus != &_Py_NoneStruct) {
        Py_IncRef(&_Py_NotImplementedStruct);
        return &_Py_NotImplementedStruct;
    }
    return binary(&operators[of_pow], x, y);
}

static PyObject *compare(PyObject *x, PyObject *y, int comparison) {
    static const int of[] = {of_less, of_less_equal, of_equal, of_not_equal, of_greater, of_greater_equal};
    return binary(&operators[of[comparison]], x, y);
}

static Py_ssize_t hash(PyObject *object) {
    Py_ssize_t value = (Py_ssize_t)((uintptr_t)object >> 4);
    return value == -1 ? -2 : value;
}

static void dealloc(PyObject *object) {
    Tensor *old = (Tensor *)object;
    PyTypeObject *type = object->type;
    if (old->references) PyObject_ClearWeakRefs(object);
    if (old->handle && release) release(old->handle);
    if (old->kept) Py_DecRef(old->kept);
    ((void (*)(void *))PyType_GetSlot(type, Py_tp_free))(object);
    Py_DecRef((PyObject *)type);
}

// The buffer of the array that shows the elements; that array is what the taker holds on to.
static int buffer(PyObject *object, void *view, int flags) {
    PyObject *array = PyObject_CallFunctionObjArgs(operators[of_numpy].otherwise, object, NULL);
    if (!array) return -1;
    int status = PyObject_GetBuffer(array, view, flags);
    Py_DecRef(array);
    return status;
}

// What a tensor is. Where the library refuses, Python's own getters ask again and raise what it says.
static int has_view(PyObject *object, View *out) { return view && view(out, ((Tensor *)object)->handle) == 0; }

static PyObject *in_python(int getter, PyObject *object) {
    return PyObject_CallFunctionObjArgs(operators[getter].otherwise, object, NULL);
}

static PyObject *get_shape(PyObject *object, void *none) {
    View found;
    (void)none;
    if (!has_view(object, &found)) return in_python(of_shape, object);
    PyObject *shape = PyTuple_New(found.rank);
    for (int32_t k = 0; shape && k < found.rank; k++) {
        PyObject *size = PyLong_FromLongLong(found.shape[k]);
        if (size && PyTuple_SetItem(shape, k, size) == 0) continue;
        Py_DecRef(shape);
        shape = NULL;
    }
    return shape;
}

static PyObject *get_ndim(PyObject *object, void *none) {
    View found;
    (void)none;
    return has_view(object, &found) ? PyLong_FromLongLong(found.rank) : in_python(of_ndim, object);
}

static PyObject *get_dtype(PyObject *object, void *none) {
    View found;
    (void)none;
    if (!has_view(object, &found) || found.dtype < 0 || found.dtype >= dtype_count || !dtypes[found.dtype])
        return in_python(of_dtype, object);
    Py_IncRef(dtypes[found.dtype]);
    return dtypes[found.dtype];
}

static PyObject *get_is_traced(PyObject *object, void *none) {
    View found;
    (void)none;
    return has_view(object, &found) ? PyBool_FromLong(!found.data) : in_python(of_is_traced, object);
}

static PyGetSetDef getters[] = {
    {"shape", get_shape, 0,
     "The size of each dimension; -1 in a function that is being traced, where the size is not known yet.", 0},
    {"ndim", get_ndim, 0, "The number of dimensions.", 0},
    {"dtype", get_dtype, 0, "The element type.", 0},
    {"is_traced", get_is_traced, 0,
     "Whether it stands for a value of a function that is being traced, and has no elements.", 0},
    {0, 0, 0, 0, 0}};

static PyMemberDef members[] = {
    {"_address", T_ULONGLONG, offsetof(Tensor, handle), 0, "The library's handle as a number."},
    {"_kept", T_OBJECT_EX, offsetof(Tensor, kept), 0, "Handles whose elements some array still shows."},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Tensor, references), READONLY, 0},
    {0, 0, 0, 0, 0}};

// Two tensors exchange their handles, at once for all other threads.
static PyObject *swap(PyObject *x, PyObject *y) {
    if (tensor_type && PyType_IsSubtype(y->type, tensor_type)) {
        void *handle = ((Tensor *)x)->handle;
        ((Tensor *)x)->handle = ((Tensor *)y)->handle;
        ((Tensor *)y)->handle = handle;
    }
    Py_IncRef(&_Py_NoneStruct);
    return &_Py_NoneStruct;
}

static PyMethodDef methods[] = {
    {"_swap", swap, METH_O, 0},
#define ROW(name) {#name, method_##name, METH_NOARGS, 0},
    METHOD(ROW)
#undef ROW
    {0, 0, 0, 0}};

static PyType_Slot slots[] = {
#define ROW(slot, name) {Py_nb_##slot, slot_##slot},
    BINARY(ROW) UNARY(ROW)
#undef ROW
    {Py_nb_power, slot_power}, {Py_tp_richcompare, compare}, {Py_tp_hash, hash}, {Py_tp_dealloc, dealloc},
    {Py_tp_members, members}, {Py_tp_methods, methods}, {Py_tp_getset, getters},
    {Py_bf_getbuffer, buffer}, {0, 0}};

static PyType_Spec spec = {
    "martlet.tensor.Tensor", sizeof(Tensor), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots};

// bind(type, call1, call2, brief1, brief2, release, view): the library's functions by address.
static PyObject *bind(PyObject *module, PyObject *arguments) {
    PyObject *type;
    unsigned long long address[6];
    (void)module;
    if (!PyArg_ParseTuple(arguments, "OKKKKKK", &type, address, address + 1, address + 2, address + 3, address + 4,
                          address + 5))
        return NULL;
    Py_IncRef(type);
    tensor_type = (PyTypeObject *)type;
    call1 = (void *(*)(const void *, const void *))(uintptr_t)address[0];
    call2 = (void *(*)(const void *, const void *, const void *))(uintptr_t)address[1];
    brief1 = (void *(*)(const void *, const void *))(uintptr_t)address[2];
    brief2 = (void *(*)(const void *, const void *, const void *))(uintptr_t)address[3];
    release = (int32_t (*)(void *))(uintptr_t)address[4];
    view = (int32_t (*)(View *, const void *))(uintptr_t)address[5];
    Py_IncRef(&_Py_NoneStruct);
    return &_Py_NoneStruct;
}

// set(name, op, otherwise): False where there is no such operator.
static PyObject *set(PyObject *module, PyObject *arguments) {
    const char *name;
    unsigned long long op;
    PyObject *otherwise;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "sKO", &name, &op, &otherwise)) return NULL;
    for (int k = 0; k < operator_count; k++) {
        const char *a = operators[k].name, *b = name;
        while (*a && *a == *b) a++, b++;
        if (*a != *b) continue;
        operators[k].op = (void *)(uintptr_t)op;
        Py_IncRef(otherwise);
        operators[k].otherwise = otherwise;
    }
    Py_IncRef(&_Py_NoneStruct);
    return &_Py_NoneStruct;
}

// dtype(code, object): what stands for an element type in Python.
static PyObject *dtype(PyObject *module, PyObject *arguments) {
    unsigned long long code;
    PyObject *object;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "KO", &code, &object)) return NULL;
    if (code < dtype_count) {
        Py_IncRef(object);
        dtypes[code] = object;
    }
    Py_IncRef(&_Py_NoneStruct);
    return &_Py_NoneStruct;
}

static PyMethodDef functions[] = {
    {"bind", bind, METH_VARARGS, 0}, {"set", set, METH_VARARGS, 0}, {"dtype", dtype, METH_VARARGS, 0},
    {0, 0, 0, 0}};

static PyModuleDef module = {
    .head = {1, 0}, .name = "martlet._operators", .size = -1, .methods = functions};

__attribute__((visibility("default"))) PyObject *PyInit__operators(void) {
    PyObject *made = PyModule_Create2(&module, 3), *type = made ? PyType_FromSpec(&spec) : 0;
    if (!type || PyModule_AddObjectRef(made, "Operators", type) < 0) return NULL;
    Py_DecRef(type);
    return made;
}
