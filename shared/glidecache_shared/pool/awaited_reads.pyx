"""Awaited reads: a hit costs what awaiting a bare coroutine costs (docs/design/0020-a-light-awaitable.md).

An asyncio client's `get` is a coroutine function in Python. A coroutine that suspends is worth its frame; a hit never
suspends. So a call returns a `ReadCoroutine`, whose first `send` looks the key up and ends with the value. After a miss
it hands all that comes to the coroutine of the client's `_read_miss`.

Where Python's own coroutine does better, there is one, made by the function that the method was written as: in
asyncio's debug mode, for other arguments than the key by position, for who asks for the frame, for an exception that is
thrown in before the beginning, and for the warning that a coroutine was never awaited.
"""

cimport cython
from libc.stdint cimport uint32_t

from cpython.object cimport PyObject

from glidecache_shared.pool.clock cimport monotonic_ns
from glidecache_shared.pool.reader cimport PoolReader

from types import CoroutineType

cdef extern from "Python.h":
    ctypedef enum PySendResult:
        PYGEN_RETURN
        PYGEN_ERROR
        PYGEN_NEXT

    ctypedef void (*destructor)(PyObject *) noexcept
    ctypedef int (*visitproc)(PyObject *, void *) noexcept
    ctypedef int (*traverseproc)(PyObject *, visitproc, void *) noexcept
    ctypedef object (*unaryfunc)(PyObject *)
    ctypedef object (*vectorcallfunc)(PyObject *, PyObject *const *, size_t, PyObject *)
    ctypedef PySendResult (*sendfunc)(PyObject *, PyObject *, PyObject **) except PYGEN_ERROR

    ctypedef struct PyAsyncMethods:
        unaryfunc am_await
        sendfunc am_send

    # Cython's own declaration lacks most of the slots.
    ctypedef struct PyTypeObject:
        unsigned long tp_flags
        destructor tp_dealloc
        traverseproc tp_traverse
        Py_ssize_t tp_weaklistoffset
        Py_ssize_t tp_vectorcall_offset
        PyAsyncMethods *tp_as_async

    ctypedef struct PyThreadState:
        int coroutine_origin_tracking_depth

    unsigned long Py_TPFLAGS_HAVE_VECTORCALL
    unsigned long Py_TPFLAGS_METHOD_DESCRIPTOR

    PyThreadState *PyThreadState_Get() noexcept
    Py_ssize_t PyVectorcall_NARGS(size_t count_and_flag) noexcept
    object PyObject_Vectorcall(object function, PyObject *const *args, size_t count_and_flag, PyObject *names)
    PySendResult PyIter_Send(object iterator, object value, PyObject **result) except PYGEN_ERROR
    object PyMethod_New(object function, object instance)
    void PyType_Modified(PyTypeObject *changed) noexcept
    # With pointers, which Cython does not count by itself.
    PyObject *Py_NewRef(PyObject *counted) noexcept
    void Py_DECREF(PyObject *counted) noexcept
    void Py_XDECREF(PyObject *counted) noexcept
    PyTypeObject *Py_TYPE(PyObject *typed) noexcept
    void PyObject_GC_Track(PyObject *tracked) noexcept
    void PyObject_GC_UnTrack(PyObject *tracked) noexcept
    void PyObject_ClearWeakRefs(PyObject *ending) noexcept
    void PyErr_Fetch(PyObject **kind, PyObject **value, PyObject **traceback) noexcept
    void PyErr_Restore(PyObject *kind, PyObject *value, PyObject *traceback) noexcept

cdef extern from *:
    """
    #define owned_object(reference) (reference)

    static inline void revive(PyObject *memory) {
    #if defined(Py_REF_DEBUG) || defined(Py_TRACE_REFS) || defined(Py_GIL_DISABLED)
        PyObject_Init(memory, Py_TYPE(memory));
    #else
        Py_SET_REFCNT(memory, 1);
    #endif
    }
    """
    object owned_object(PyObject *reference)  # an object whose reference the caller owns already
    void revive(PyObject *memory) noexcept    # make what was an object of the same type one again

cdef enum:
    MOST_SPARES = 64

    UNMADE     # it has no fields yet
    NEW        # nothing has been sent or thrown in
    BEGUN      # it has looked the key up, and has ended; or it was closed before
    DELEGATED  # `rest` goes on, and knows where it is


cdef class AwaitedReads:
    """The base of the asyncio clients: see awaited_reads.pyi."""

    cdef public PoolReader _reader


def awaited_read(uint32_t kind):
    def decorate(function):
        cdef AwaitedReadMethod method = AwaitedReadMethod.__new__(AwaitedReadMethod)
        method.vectorcall = begin_read
        method.function = function
        method.kind = kind
        return method

    return decorate


@cython.final
@cython.auto_pickle(False)
cdef class AwaitedReadMethod:
    """A method of an asyncio client, which shows itself as the coroutine function that it was written as.

    `inspect` and `unittest.mock` ask for a function's class and attributes.
    """

    cdef vectorcallfunc vectorcall
    cdef object function
    cdef uint32_t kind
    cdef object client_class  # the last client's

    cdef inline bint takes(self, PyObject *client) noexcept:
        """Return whether the fields of `AwaitedReads` are in this object."""
        if <PyObject *>Py_TYPE(client) == <PyObject *>self.client_class:
            return True
        if not isinstance(<object>client, AwaitedReads):
            return False
        self.client_class = <object><PyObject *>Py_TYPE(client)
        return True

    def __call__(self, *args, **named):
        return self.function(*args, **named)

    def __get__(self, instance, owner):
        return self if instance is None else PyMethod_New(self, instance)

    def __getattr__(self, name):
        return getattr(self.function, name)

    def __repr__(self):
        return repr(self.function)

    def __reduce__(self):
        return self.function.__qualname__  # by its name, as functions are pickled

    @property
    def __class__(self):
        return type(self.function)

    @property
    def __wrapped__(self):
        return self.function

    @property
    def __doc__(self):
        return self.function.__doc__

    @property
    def __module__(self):
        return self.function.__module__


cdef object begin_read(PyObject *called, PyObject *const *args, size_t count_and_flag, PyObject *names):
    """Return what a call of the method returns: as a method's, its first argument is the client."""
    if (
        PyVectorcall_NARGS(count_and_flag) != 2
        or names != NULL
        or not (<AwaitedReadMethod>called).takes(args[0])
        or PyThreadState_Get().coroutine_origin_tracking_depth
    ):
        return PyObject_Vectorcall((<AwaitedReadMethod>called).function, args, count_and_flag, names)
    return new_coroutine(called, args[0], args[1])


# The memory of coroutines that have ended with a hit, for the next ones.
cdef PyObject *spares[MOST_SPARES]
cdef int spare_count = 0
cdef bint may_be_made = False


cdef inline object new_coroutine(PyObject *method, PyObject *client, PyObject *key):
    global spare_count, may_be_made
    cdef PyObject *coroutine
    cdef ReadCoroutine made
    if spare_count:
        spare_count -= 1
        coroutine = spares[spare_count]
        revive(coroutine)
        return filled(coroutine, method, client, key)
    may_be_made = True
    made = ReadCoroutine.__new__(ReadCoroutine)
    PyObject_GC_UnTrack(<PyObject *>made)
    return filled(Py_NewRef(<PyObject *>made), method, client, key)


cdef inline object filled(PyObject *coroutine, PyObject *method, PyObject *client, PyObject *key):
    (<ReadCoroutine>coroutine).method = Py_NewRef(method)
    (<ReadCoroutine>coroutine).client = Py_NewRef(client)
    (<ReadCoroutine>coroutine).key = Py_NewRef(key)
    (<ReadCoroutine>coroutine).state = NEW
    PyObject_GC_Track(coroutine)
    return owned_object(coroutine)


@cython.final
@cython.auto_pickle(False)
@cython.no_gc_clear  # whatever cycle it is in goes through its client, its key or a task, which can be cleared
cdef class ReadCoroutine:
    """A coroutine that reads one key.

    It shows `types.CoroutineType` as its class: anyio and others ask `inspect.iscoroutine` before they run one.

    What each call sets are pointers that own a reference, and the memory is kept for the next call. Cython's own fields
    would be set to None in between, and its list of free objects clears them: a tenth of an awaited hit.
    """

    cdef PyObject *weak_references
    cdef PyObject *method
    cdef PyObject *client
    cdef PyObject *key
    cdef object rest
    cdef int state

    def __cinit__(self):
        global may_be_made
        if not may_be_made:
            raise TypeError("cannot create 'ReadCoroutine' instances")
        may_be_made = False

    def __await__(self):
        return ReadIterator(self)  # what Python code gets: `await` takes the slot below

    def __next__(self):
        return self.send(None)

    def send(self, value, /):
        """Begin or go on: return what the coroutine waits for, or raise `StopIteration` with its result."""
        cdef PyObject *result = NULL
        cdef PySendResult outcome = send_to(<PyObject *>self, <PyObject *>value, &result)
        given = <object>result
        Py_DECREF(result)
        if outcome == PYGEN_RETURN:
            raise StopIteration(given)
        return given

    def throw(self, kind, /, *value_and_traceback):
        """Go on with an exception that is raised where the coroutine waits."""
        if self.state == NEW:
            self.become_coroutine()
        elif self.state == BEGUN:
            self.become_coroutine()
            self.rest.close()
        return self.rest.throw(kind, *value_and_traceback)

    def close(self):
        """End the coroutine where it waits, by `GeneratorExit`."""
        if self.state == DELEGATED:
            self.rest.close()
        else:
            self.state = BEGUN

    def __repr__(self):
        return f"<coroutine object {self.__qualname__} at {id(self):#x}>"

    def __reduce_ex__(self, protocol):
        raise TypeError("cannot pickle 'coroutine' object")

    @property
    def __class__(self):
        return CoroutineType

    @property
    def __name__(self):
        return self.function().__name__

    @property
    def __qualname__(self):
        return self.function().__qualname__

    @property
    def cr_frame(self):
        if self.state == NEW:
            self.become_coroutine()
        return self.rest.cr_frame if self.is_open() else None

    @property
    def cr_code(self):
        return self.rest.cr_code if self.state == DELEGATED else self.function().__code__

    @property
    def cr_running(self):
        return self.state == DELEGATED and self.rest.cr_running

    @property
    def cr_suspended(self):
        return self.is_open() and not self.rest.cr_running and self.rest.cr_await is not None

    @property
    def cr_await(self):
        return self.rest.cr_await if self.state == DELEGATED else None

    @property
    def cr_origin(self):
        return None  # a coroutine whose origin is known is Python's own

    cdef object function(self):
        return (<AwaitedReadMethod>self.method).function

    cdef bint is_open(self) except -1:
        """Return whether `rest` has not ended. Cython's coroutines do not tell; as long as they wait, they have not."""
        if self.state != DELEGATED:
            return False
        if type(self.rest) is CoroutineType:
            return self.rest.cr_frame is not None
        return self.rest.cr_running or self.rest.cr_await is not None

    cdef int become_coroutine(self) except -1:
        """Go on, from the beginning, as the coroutine of the method's function."""
        self.rest = self.function()(<object>self.client, <object>self.key)
        self.state = DELEGATED
        return 0


cdef PySendResult send_to(PyObject *coroutine, PyObject *sent, PyObject **result) except PYGEN_ERROR:
    cdef ReadCoroutine read = <ReadCoroutine>coroutine
    cdef PoolReader reader
    cdef uint32_t kind
    cdef object value
    result[0] = NULL
    if read.state == NEW:
        if <object>sent is not None:
            raise TypeError("can't send non-None value to a just-started coroutine")
        read.state = BEGUN
        kind = (<AwaitedReadMethod>read.method).kind
        reader = (<AwaitedReads>read.client)._reader
        if reader is not None:
            value = reader.read(<object>read.key, kind, monotonic_ns())
            if value is not None:
                result[0] = Py_NewRef(<PyObject *>value)
                return PYGEN_RETURN
        read.rest = (<object>read.client)._read_miss(kind, <object>read.key)
        read.state = DELEGATED
    elif read.state == BEGUN:
        raise RuntimeError("cannot reuse already awaited coroutine")
    return PyIter_Send(read.rest, <object>sent, result)


cdef object itself(PyObject *coroutine):
    return <object>coroutine


# Cython's own slots: of the memory, and of `rest`.
cdef destructor free_coroutine
cdef traverseproc traverse_rest

cdef destructor never_awaited = warn_never_awaited  # through a pointer, so that its stack is not the usual end's


cdef int traverse_coroutine(PyObject *coroutine, visitproc visit, void *argument) noexcept:
    cdef int stop = 0
    if (<ReadCoroutine>coroutine).state != UNMADE:
        stop = visit((<ReadCoroutine>coroutine).method, argument)
        stop = stop or visit((<ReadCoroutine>coroutine).client, argument)
        stop = stop or visit((<ReadCoroutine>coroutine).key, argument)
    return stop or traverse_rest(coroutine, visit, argument)


cdef void end_coroutine(PyObject *coroutine) noexcept:
    global spare_count
    PyObject_GC_UnTrack(coroutine)  # it has no reference any more, and Python code may run
    if (<ReadCoroutine>coroutine).state == NEW:
        never_awaited(coroutine)
    if (<ReadCoroutine>coroutine).weak_references != NULL:
        PyObject_ClearWeakRefs(coroutine)
    Py_XDECREF((<ReadCoroutine>coroutine).method)
    Py_XDECREF((<ReadCoroutine>coroutine).client)
    Py_XDECREF((<ReadCoroutine>coroutine).key)
    if (<ReadCoroutine>coroutine).state == BEGUN and spare_count < MOST_SPARES:
        spares[spare_count] = coroutine
        spare_count += 1
    else:
        free_coroutine(coroutine)


cdef void warn_never_awaited(PyObject *coroutine) noexcept:
    """Make the coroutine of the method's function, and drop it: Python warns."""
    cdef PyObject *kind
    cdef PyObject *value
    cdef PyObject *traceback
    PyErr_Fetch(&kind, &value, &traceback)
    drop_coroutine(
        (<AwaitedReadMethod>(<ReadCoroutine>coroutine).method).function,
        <object>(<ReadCoroutine>coroutine).client,
        <object>(<ReadCoroutine>coroutine).key,
    )
    PyErr_Restore(kind, value, traceback)


cdef void drop_coroutine(object function, object client, object key) noexcept:
    function(client, key)


@cython.final
cdef class ReadIterator:
    """A coroutine's iterator for Python code: the coroutine itself is none, or a loop over it would do nothing."""

    cdef ReadCoroutine read

    def __cinit__(self, ReadCoroutine read):
        self.read = read

    def __iter__(self):
        return self

    def __next__(self):
        return self.read.send(None)

    def send(self, value, /):
        return self.read.send(value)

    def throw(self, kind, /, *value_and_traceback):
        return self.read.throw(kind, *value_and_traceback)

    def close(self):
        self.read.close()


cdef void fill_slots(AwaitedReadMethod method, ReadCoroutine coroutine):
    """Give the two types what Cython has no words for: once, before any other of their objects is there."""
    global free_coroutine, traverse_rest
    cdef PyTypeObject *methods = <PyTypeObject *><PyObject *>AwaitedReadMethod
    cdef PyTypeObject *coroutines = <PyTypeObject *><PyObject *>ReadCoroutine
    # Calls by attribute make no bound method, as with Python's functions.
    methods.tp_vectorcall_offset = <char *>&method.vectorcall - <char *><PyObject *>method
    methods.tp_flags |= Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR
    PyType_Modified(methods)
    coroutines.tp_weaklistoffset = <char *>&coroutine.weak_references - <char *><PyObject *>coroutine
    coroutines.tp_as_async.am_await = itself
    coroutines.tp_as_async.am_send = send_to
    free_coroutine, coroutines.tp_dealloc = coroutines.tp_dealloc, end_coroutine
    traverse_rest, coroutines.tp_traverse = coroutines.tp_traverse, traverse_coroutine
    PyType_Modified(coroutines)


may_be_made = True
fill_slots(AwaitedReadMethod.__new__(AwaitedReadMethod), ReadCoroutine.__new__(ReadCoroutine))
