// The part of Python's stable ABI that operators.c uses, declared here so that building needs no Python headers.
// Every name, number and layout is one that Python promises to keep for all versions from 3.10 on.
#ifndef MARTLET_STABLE_ABI_H
#define MARTLET_STABLE_ABI_H

#include <stddef.h>
#include <stdint.h>

typedef ptrdiff_t Py_ssize_t;
typedef struct PyTypeObject PyTypeObject;
typedef struct PyObject {
    Py_ssize_t references;
    PyTypeObject *type;
} PyObject;
typedef struct PyThreadState PyThreadState;

typedef PyObject *(*PyCFunction)(PyObject *self, PyObject *arguments);
typedef struct {
    const char *name;
    PyCFunction function;
    int flags;
    const char *words;
} PyMethodDef;
typedef struct {
    const char *name;
    int kind;
    Py_ssize_t offset;
    int flags;
    const char *words;
} PyMemberDef;
typedef struct {
    const char *name;
    PyObject *(*get)(PyObject *self, void *closure);
    int (*set)(PyObject *self, PyObject *value, void *closure);
    const char *words;
    void *closure;
} PyGetSetDef;
typedef struct {
    int slot;
    void *function;
} PyType_Slot;
typedef struct {
    const char *name;
    int size, item_size;
    unsigned int flags;
    PyType_Slot *slots;
} PyType_Spec;
typedef struct {
    PyObject head;
    PyObject *(*make)(void);
    Py_ssize_t index;
    PyObject *copy;
    const char *name, *words;
    Py_ssize_t size;
    PyMethodDef *methods;
    void *slots, *traverse, *clear, *free;
} PyModuleDef;

enum { METH_VARARGS = 1, METH_NOARGS = 4, METH_O = 8 };
enum { T_OBJECT_EX = 16, T_ULONGLONG = 18, T_PYSSIZET = 19, READONLY = 1 };
enum { Py_TPFLAGS_DEFAULT = 1 << 18, Py_TPFLAGS_BASETYPE = 1 << 10 };
enum { Py_LT, Py_LE, Py_EQ, Py_NE, Py_GT, Py_GE };
enum {
    Py_bf_getbuffer = 1, Py_nb_absolute = 6, Py_nb_add = 7, Py_nb_and = 8, Py_nb_floor_divide = 12, Py_nb_invert = 27, Py_nb_lshift = 28,
    Py_nb_multiply = 29, Py_nb_negative = 30, Py_nb_or = 31, Py_nb_power = 33, Py_nb_remainder = 34,
    Py_nb_rshift = 35, Py_nb_subtract = 36, Py_nb_true_divide = 37, Py_nb_xor = 38, Py_tp_dealloc = 52,
    Py_tp_hash = 59, Py_tp_methods = 64, Py_tp_richcompare = 67, Py_tp_members = 72, Py_tp_getset = 73,
    Py_tp_free = 74, Py_nb_matrix_multiply = 75
};

PyObject *PyType_FromSpec(PyType_Spec *spec);
PyObject *PyType_GenericAlloc(PyTypeObject *type, Py_ssize_t items);
int PyType_IsSubtype(PyTypeObject *type, PyTypeObject *base);
void *PyType_GetSlot(PyTypeObject *type, int slot);
int PyObject_GetBuffer(PyObject *object, void *view, int flags);
void PyObject_ClearWeakRefs(PyObject *object);
PyObject *PyObject_CallFunctionObjArgs(PyObject *callable, ...);
PyThreadState *PyEval_SaveThread(void);
void PyEval_RestoreThread(PyThreadState *state);
PyObject *PyModule_Create2(PyModuleDef *module, int version);
int PyModule_AddObjectRef(PyObject *module, const char *name, PyObject *value);
int PyArg_ParseTuple(PyObject *arguments, const char *format, ...);
PyObject *PyLong_FromLongLong(long long value);
PyObject *PyBool_FromLong(long value);
PyObject *PyTuple_New(Py_ssize_t length);
int PyTuple_SetItem(PyObject *tuple, Py_ssize_t index, PyObject *item);
void Py_IncRef(PyObject *object);
void Py_DecRef(PyObject *object);
extern PyObject _Py_NoneStruct, _Py_NotImplementedStruct;

#endif
