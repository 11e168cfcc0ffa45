"""The text of ``glance``: LLVM's assembly that asks CPython's stable interface (see ``compiler.glance``)."""

from __future__ import annotations

FUNCTIONS = {
    "PyDict_Next": "i32 (ptr, ptr, ptr, ptr)",
    "PyDict_GetItem": "ptr (ptr, ptr)",
    "PyList_Size": "i64 (ptr)",
    "PyList_GetItem": "ptr (ptr, i64)",
    "PyList_SetItem": "i32 (ptr, i64, ptr)",
    "PyTuple_GetItem": "ptr (ptr, i64)",
    "PyObject_GenericGetAttr": "ptr (ptr, ptr)",
    "PyObject_GenericGetDict": "ptr (ptr, ptr)",
    "PyObject_GetAttr": "ptr (ptr, ptr)",
    "PyObject_Type": "ptr (ptr)",
    "PyCapsule_GetPointer": "ptr (ptr, ptr)",
    "PyErr_Clear": "void ()",
    "Py_DecRef": "void (ptr)",
    "Py_IncRef": "void (ptr)",
}

# glance(block, args, arrays, now): 1 where nothing changed; then the memory that is about to be written to gets ``now``
# for its write time, and the step is run if its function is given. The block: rows, their number, expected addresses,
# names, what the arrays must be, number of arguments, of arrays, table, CPython's function that reads a slot, the
# step's function or null, its gate, FOREIGN, number of cells that get a new time, cells. Names:
# "__array_struct__", the descriptors of Tensor._node and ._cell, Tensor, ndarray, None, number of cells, cells. The
# first arrays are those of the arguments, the others results; their addresses go into the table.
TEXT = """
define internal i1 @is_attribute(ptr %object, ptr %name, ptr %wanted) #0 {
entry:
  %found = call ptr @PyObject_GenericGetAttr(ptr %object, ptr %name)
  %missing = icmp eq ptr %found, null
  br i1 %missing, label %no, label %yes
no:
  call void @PyErr_Clear()
  ret i1 false
yes:
  %same = icmp eq ptr %found, %wanted
  call void @Py_DecRef(ptr %found)
  ret i1 %same
}

define internal i1 @is_slot(ptr %object, ptr %descriptor, ptr %wanted, ptr %get) #0 {
entry:
  %found = call ptr %get(ptr %descriptor, ptr %object, ptr null)
  %missing = icmp eq ptr %found, null
  br i1 %missing, label %no, label %yes
no:
  call void @PyErr_Clear()
  ret i1 false
yes:
  %same = icmp eq ptr %found, %wanted
  call void @Py_DecRef(ptr %found)
  ret i1 %same
}

define internal i1 @is_space(ptr %object, ptr %wanted) #0 {
entry:
  %found = call ptr @PyObject_GenericGetDict(ptr %object, ptr null)
  %missing = icmp eq ptr %found, null
  br i1 %missing, label %no, label %yes
no:
  call void @PyErr_Clear()
  ret i1 false
yes:
  %same = icmp eq ptr %found, %wanted
  call void @Py_DecRef(ptr %found)
  ret i1 %same
}

define internal i1 @is_type(ptr %object, ptr %wanted) #0 {
entry:
  %found = call ptr @PyObject_Type(ptr %object)
  %same = icmp eq ptr %found, %wanted
  call void @Py_DecRef(ptr %found)
  ret i1 %same
}

define internal i1 @is_dictionary(ptr %d, ptr %expected, i64 %count) #0 {
entry:
  %place = alloca i64
  %key = alloca ptr
  %value = alloca ptr
  store i64 0, ptr %place
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %more, %kept ]
  %got = call i32 @PyDict_Next(ptr %d, ptr %place, ptr %key, ptr %value)
  %end = icmp eq i32 %got, 0
  %all = icmp eq i64 %i, %count
  br i1 %end, label %ended, label %pair
ended:
  ret i1 %all
pair:
  br i1 %all, label %other, label %compare
compare:
  %two = mul i64 %i, 2
  %at = getelementptr ptr, ptr %expected, i64 %two
  %behind = getelementptr ptr, ptr %at, i64 1
  %key_wanted = load ptr, ptr %at
  %value_wanted = load ptr, ptr %behind
  %key_now = load ptr, ptr %key
  %value_now = load ptr, ptr %value
  %same_key = icmp eq ptr %key_now, %key_wanted
  %same_value = icmp eq ptr %value_now, %value_wanted
  %same = and i1 %same_key, %same_value
  br i1 %same, label %kept, label %other
kept:
  %more = add i64 %i, 1
  br label %next
other:
  ret i1 false
}

define internal i1 @is_sequence(ptr %items, ptr %expected, i64 %count) #0 {
entry:
  %size = call i64 @PyList_Size(ptr %items)
  %fits = icmp eq i64 %size, %count
  br i1 %fits, label %next, label %other
next:
  %i = phi i64 [ 0, %entry ], [ %more, %kept ]
  %end = icmp eq i64 %i, %count
  br i1 %end, label %all, label %compare
compare:
  %now = call ptr @PyList_GetItem(ptr %items, i64 %i)
  %at = getelementptr ptr, ptr %expected, i64 %i
  %wanted = load ptr, ptr %at
  %same = icmp eq ptr %now, %wanted
  br i1 %same, label %kept, label %other
kept:
  %more = add i64 %i, 1
  br label %next
all:
  ret i1 true
other:
  ret i1 false
}

define internal i1 @is_place(ptr %row, ptr %expected, ptr %none, ptr %get) #0 {
entry:
  %kind = load i64, ptr %row
  %at1 = getelementptr i64, ptr %row, i64 1
  %at2 = getelementptr i64, ptr %row, i64 2
  %at3 = getelementptr i64, ptr %row, i64 3
  %at4 = getelementptr i64, ptr %row, i64 4
  %object = load ptr, ptr %at1
  %name = load ptr, ptr %at2
  %start = load i64, ptr %at3
  %count = load i64, ptr %at4
  %first = getelementptr ptr, ptr %expected, i64 %start
  switch i64 %kind, label %attribute [
    i64 0, label %dictionary
    i64 1, label %sequence
    i64 3, label %item
    i64 4, label %absent
    i64 5, label %present
    i64 6, label %slot
    i64 7, label %class
    i64 8, label %space
  ]
dictionary:
  %a = call i1 @is_dictionary(ptr %object, ptr %first, i64 %count)
  ret i1 %a
sequence:
  %b = call i1 @is_sequence(ptr %object, ptr %first, i64 %count)
  ret i1 %b
attribute:
  %wanted = load ptr, ptr %first
  %c = call i1 @is_attribute(ptr %object, ptr %name, ptr %wanted)
  ret i1 %c
item:
  %now = call ptr @PyDict_GetItem(ptr %object, ptr %name)
  %then = load ptr, ptr %first
  %d = icmp eq ptr %now, %then
  ret i1 %d
slot:
  %wanted_slot = load ptr, ptr %first
  %h = call i1 @is_slot(ptr %object, ptr %name, ptr %wanted_slot, ptr %get)
  ret i1 %h
class:
  %wanted_class = load ptr, ptr %first
  %j = call i1 @is_type(ptr %object, ptr %wanted_class)
  ret i1 %j
space:
  %wanted_space = load ptr, ptr %first
  %k = call i1 @is_space(ptr %object, ptr %wanted_space)
  ret i1 %k
absent:
  %e = call i1 @is_slot(ptr %object, ptr %name, ptr %none, ptr %get)
  ret i1 %e
present:
  %f = call i1 @is_slot(ptr %object, ptr %name, ptr %none, ptr %get)
  %g = xor i1 %f, true
  ret i1 %g
}

define internal i1 @is_among(ptr %what, ptr %all, i64 %count) #0 {
entry:
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %more, %compare ]
  %end = icmp eq i64 %i, %count
  br i1 %end, label %no, label %compare
compare:
  %at = getelementptr ptr, ptr %all, i64 %i
  %one = load ptr, ptr %at
  %same = icmp eq ptr %one, %what
  %more = add i64 %i, 1
  br i1 %same, label %yes, label %next
yes:
  ret i1 true
no:
  ret i1 false
}

define internal i1 @are_within(ptr %data, i64 %count, i64 %low, i64 %high, i64 %also) #0 {
entry:
  %span = sub i64 %high, %low
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %more, %compare ]
  %end = icmp eq i64 %i, %count
  br i1 %end, label %yes, label %compare
compare:
  %at = getelementptr i64, ptr %data, i64 %i
  %x = load i64, ptr %at
  %moved = sub i64 %x, %low
  %in = icmp ult i64 %moved, %span
  %extra = icmp eq i64 %x, %also
  %good = or i1 %in, %extra
  %more = add i64 %i, 1
  br i1 %good, label %next, label %no
yes:
  ret i1 true
no:
  ret i1 false
}

define internal i1 @is_array(ptr %array, ptr %names, ptr %spec, ptr %table) #0 {
entry:
  %name = load ptr, ptr %names
  %class_at = getelementptr ptr, ptr %names, i64 4
  %class = load ptr, ptr %class_at
  %plain = call i1 @is_type(ptr %array, ptr %class)
  br i1 %plain, label %describe, label %wrong
describe:
  %capsule = call ptr @PyObject_GetAttr(ptr %array, ptr %name)
  %missing = icmp eq ptr %capsule, null
  br i1 %missing, label %clear, label %look
clear:
  call void @PyErr_Clear()
  ret i1 false
wrong:
  ret i1 false
look:
  %about = call ptr @PyCapsule_GetPointer(ptr %capsule, ptr null)
  %nd_at = getelementptr i8, ptr %about, i64 4
  %kind_at = getelementptr i8, ptr %about, i64 8
  %size_at = getelementptr i8, ptr %about, i64 12
  %flags_at = getelementptr i8, ptr %about, i64 16
  %shape_at = getelementptr i8, ptr %about, i64 24
  %data_at = getelementptr i8, ptr %about, i64 40
  %nd = load i32, ptr %nd_at
  %kind = load i8, ptr %kind_at
  %size = load i32, ptr %size_at
  %flags = load i32, ptr %flags_at
  %shape = load ptr, ptr %shape_at
  %data = load ptr, ptr %data_at
  %s0 = load i64, ptr %spec
  %s1_at = getelementptr i64, ptr %spec, i64 1
  %s2_at = getelementptr i64, ptr %spec, i64 2
  %s3_at = getelementptr i64, ptr %spec, i64 3
  %dims_at = getelementptr i64, ptr %spec, i64 8
  %s1 = load i64, ptr %s1_at
  %s2 = load i64, ptr %s2_at
  %place = load i64, ptr %s3_at
  %nd64 = sext i32 %nd to i64
  %kind64 = zext i8 %kind to i64
  %size64 = sext i32 %size to i64
  %straight = and i32 %flags, 769
  %a = icmp eq i64 %nd64, %s0
  %b = icmp eq i64 %kind64, %s1
  %c = icmp eq i64 %size64, %s2
  %d = icmp eq i32 %straight, 769
  %ab = and i1 %a, %b
  %cd = and i1 %c, %d
  %abcd = and i1 %ab, %cd
  br i1 %abcd, label %dimensions, label %done
dimensions:
  %same = call i1 @is_same(ptr %shape, ptr %dims_at, i64 %nd64)
  br i1 %same, label %write, label %done
write:
  %used = icmp sge i64 %place, 0
  br i1 %used, label %put, label %check
put:
  %cell = getelementptr ptr, ptr %table, i64 %place
  store ptr %data, ptr %cell
  br label %check
check:
  %labels_at = getelementptr i64, ptr %spec, i64 4
  %low_at = getelementptr i64, ptr %spec, i64 5
  %high_at = getelementptr i64, ptr %spec, i64 6
  %also_at = getelementptr i64, ptr %spec, i64 7
  %labels = load i64, ptr %labels_at
  %low = load i64, ptr %low_at
  %high = load i64, ptr %high_at
  %also = load i64, ptr %also_at
  %inside = call i1 @are_within(ptr %data, i64 %labels, i64 %low, i64 %high, i64 %also)
  br label %done
done:
  %result = phi i1 [ false, %look ], [ false, %dimensions ], [ %inside, %check ]
  call void @Py_DecRef(ptr %capsule)
  ret i1 %result
}

define internal i1 @is_same(ptr %a, ptr %b, i64 %count) #0 {
entry:
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %more, %compare ]
  %end = icmp eq i64 %i, %count
  br i1 %end, label %yes, label %compare
compare:
  %a_at = getelementptr i64, ptr %a, i64 %i
  %b_at = getelementptr i64, ptr %b, i64 %i
  %x = load i64, ptr %a_at
  %y = load i64, ptr %b_at
  %same = icmp eq i64 %x, %y
  %more = add i64 %i, 1
  br i1 %same, label %next, label %no
yes:
  ret i1 true
no:
  ret i1 false
}

define internal i1 @is_argument(ptr %args, ptr %arrays, i64 %i, ptr %names, ptr %spec, ptr %table,
                                ptr %get) #0 {
entry:
  %t = call ptr @PyTuple_GetItem(ptr %args, i64 %i)
  %node_at = getelementptr ptr, ptr %names, i64 1
  %cell_at = getelementptr ptr, ptr %names, i64 2
  %tensor_at = getelementptr ptr, ptr %names, i64 3
  %none_at = getelementptr ptr, ptr %names, i64 5
  %count_at = getelementptr ptr, ptr %names, i64 6
  %cells = getelementptr ptr, ptr %names, i64 7
  %node = load ptr, ptr %node_at
  %cell = load ptr, ptr %cell_at
  %tensor = load ptr, ptr %tensor_at
  %none = load ptr, ptr %none_at
  %count = load i64, ptr %count_at
  %a = call i1 @is_type(ptr %t, ptr %tensor)
  br i1 %a, label %second, label %no
second:
  %b = call i1 @is_slot(ptr %t, ptr %node, ptr %none, ptr %get)
  br i1 %b, label %third, label %no
third:
  %own = call ptr %get(ptr %cell, ptr %t, ptr null)
  %c = call i1 @is_among(ptr %own, ptr %cells, i64 %count)
  call void @Py_DecRef(ptr %own)
  br i1 %c, label %no, label %twins
twins:
  %j = phi i64 [ 0, %third ], [ %more, %twin ]
  %all = icmp eq i64 %j, %i
  br i1 %all, label %fourth, label %twin
twin:
  %other = call ptr @PyTuple_GetItem(ptr %args, i64 %j)
  %more = add i64 %j, 1
  %same = icmp eq ptr %other, %t
  br i1 %same, label %no, label %twins
fourth:
  %array = call ptr @PyTuple_GetItem(ptr %arrays, i64 %i)
  %d = call i1 @is_array(ptr %array, ptr %names, ptr %spec, ptr %table)
  ret i1 %d
no:
  ret i1 false
}

define internal void @stamp(ptr %foreign, i64 %count, ptr %cells, ptr %now) #0 {
entry:
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %more, %stamped ]
  %done = icmp eq i64 %i, %count
  br i1 %done, label %end, label %look
look:
  %at = getelementptr ptr, ptr %cells, i64 %i
  %cell = load ptr, ptr %at
  %before = call ptr @PyList_GetItem(ptr %cell, i64 0)
  %open = icmp eq ptr %before, %foreign
  br i1 %open, label %stamped, label %write
write:
  call void @Py_IncRef(ptr %now)
  %r = call i32 @PyList_SetItem(ptr %cell, i64 0, ptr %now)
  br label %stamped
stamped:
  %more = add i64 %i, 1
  br label %next
end:
  ret void
}

define i64 @glance(ptr %block, ptr %args, ptr %arrays, ptr %now) #0 {
entry:
  %rows_at = getelementptr i64, ptr %block, i64 0
  %rows = load ptr, ptr %rows_at
  %count_at = getelementptr i64, ptr %block, i64 1
  %count = load i64, ptr %count_at
  %expected_at = getelementptr i64, ptr %block, i64 2
  %expected = load ptr, ptr %expected_at
  %names_at = getelementptr i64, ptr %block, i64 3
  %names = load ptr, ptr %names_at
  %spec_at = getelementptr i64, ptr %block, i64 4
  %spec = load ptr, ptr %spec_at
  %n_at = getelementptr i64, ptr %block, i64 5
  %n = load i64, ptr %n_at
  %all_arrays_at = getelementptr i64, ptr %block, i64 6
  %all_arrays = load i64, ptr %all_arrays_at
  %table_at = getelementptr i64, ptr %block, i64 7
  %table = load ptr, ptr %table_at
  %none_at = getelementptr ptr, ptr %names, i64 5
  %none = load ptr, ptr %none_at
  %get_at = getelementptr i64, ptr %block, i64 8
  %get = load ptr, ptr %get_at
  br label %place
place:
  %i = phi i64 [ 0, %entry ], [ %i_more, %place_kept ]
  %places = icmp eq i64 %i, %count
  br i1 %places, label %argument, label %place_look
place_look:
  %offset = mul i64 %i, 5
  %row = getelementptr i64, ptr %rows, i64 %offset
  %a = call i1 @is_place(ptr %row, ptr %expected, ptr %none, ptr %get)
  br i1 %a, label %place_kept, label %no
place_kept:
  %i_more = add i64 %i, 1
  br label %place
argument:
  %j = phi i64 [ 0, %place ], [ %j_more, %argument_kept ]
  %all = icmp eq i64 %j, %all_arrays
  br i1 %all, label %yes, label %argument_look
argument_look:
  %spec_offset = mul i64 %j, 16
  %own = getelementptr i64, ptr %spec, i64 %spec_offset
  %is_result = icmp sge i64 %j, %n
  br i1 %is_result, label %result, label %given
result:
  %r = call ptr @PyTuple_GetItem(ptr %arrays, i64 %j)
  %fits = call i1 @is_array(ptr %r, ptr %names, ptr %own, ptr %table)
  br i1 %fits, label %argument_kept, label %no
given:
  %b = call i1 @is_argument(ptr %args, ptr %arrays, i64 %j, ptr %names, ptr %own, ptr %table, ptr %get)
  br i1 %b, label %argument_kept, label %no
argument_kept:
  %j_more = add i64 %j, 1
  br label %argument
yes:
  %foreign_at = getelementptr i64, ptr %block, i64 11
  %foreign = load ptr, ptr %foreign_at
  %cells_at = getelementptr i64, ptr %block, i64 13
  %number_at = getelementptr i64, ptr %block, i64 12
  %number = load i64, ptr %number_at
  call void @stamp(ptr %foreign, i64 %number, ptr %cells_at, ptr %now)
  %step_at = getelementptr i64, ptr %block, i64 9
  %step = load ptr, ptr %step_at
  %gate_at = getelementptr i64, ptr %block, i64 10
  %gate = load ptr, ptr %gate_at
  %only_look = icmp eq ptr %step, null
  br i1 %only_look, label %looked, label %run
run:
  call void %step(ptr %table, i64 1, ptr %gate)
  br label %looked
looked:
  ret i64 1
no:
  ret i64 0
}
"""
