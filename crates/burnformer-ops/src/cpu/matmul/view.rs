//! Matrices in somebody else's memory, read or written at any strides.

use std::{marker::PhantomData, ops::Range};

/// A matrix to read: element `(i, j)` is `data[i * row_stride + j * column_stride]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> View<'a> {
    /// A matrix stored row after row without gaps.
    ///
    /// # Panics
    /// If `data` is shorter than `rows * columns`.
    pub(crate) fn row_major(data: &'a [f32], rows: usize, columns: usize) -> Self {
        Self::strided(data, rows, columns, columns, 1)
    }

    /// A matrix at any strides, zero included, which repeats a row or column.
    ///
    /// # Panics
    /// If an element lies beyond `data`.
    pub(crate) fn strided(
        data: &'a [f32],
        rows: usize,
        columns: usize,
        row_stride: usize,
        column_stride: usize,
    ) -> Self {
        assert_inside(data.len(), rows, columns, row_stride, column_stride);
        Self { data, rows, columns, row_stride, column_stride }
    }

    /// The same memory with rows and columns exchanged.
    pub(crate) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    pub(crate) fn row_stride(&self) -> usize {
        self.row_stride
    }

    pub(crate) fn column_stride(&self) -> usize {
        self.column_stride
    }

    /// The memory from element `(0, 0)` on.
    pub(crate) fn data(&self) -> &'a [f32] {
        self.data
    }

    /// The elements where both ranges meet.
    ///
    /// # Panics
    /// If a range ends beyond the matrix.
    pub(crate) fn part(self, rows: Range<usize>, columns: Range<usize>) -> Self {
        assert!(rows.end <= self.rows && columns.end <= self.columns, "a part is larger than its matrix");
        let start = rows.start * self.row_stride + columns.start * self.column_stride;
        // A part without elements may begin behind the end.
        let data = self.data.get(start..).unwrap_or_default();
        Self { data, rows: rows.len(), columns: columns.len(), ..self }
    }

    /// The memory from element `(row, column)` on, which has to exist.
    pub(crate) fn from(&self, row: usize, column: usize) -> &'a [f32] {
        &self.data[row * self.row_stride + column * self.column_stride..]
    }
}

/// A matrix to write: element `(i, j)` is at `i * row_stride + j * column_stride`, no two at one place.
#[derive(Debug)]
pub(crate) struct ViewMut<'a> {
    start: *mut f32,
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
    memory: PhantomData<&'a mut [f32]>,
}

// SAFETY: it is a borrow of `f32`s that nobody else has, as `&mut [f32]` is.
unsafe impl Send for ViewMut<'_> {}

impl<'a> ViewMut<'a> {
    /// A matrix stored row after row without gaps.
    ///
    /// # Panics
    /// If `data` is shorter than `rows * columns`.
    pub(crate) fn row_major(data: &'a mut [f32], rows: usize, columns: usize) -> Self {
        Self::strided(data, rows, columns, columns, 1)
    }

    /// A matrix at any strides.
    ///
    /// # Panics
    /// If an element lies beyond `data`, or if rows (or else columns) overlap.
    pub(crate) fn strided(
        data: &'a mut [f32],
        rows: usize,
        columns: usize,
        row_stride: usize,
        column_stride: usize,
    ) -> Self {
        assert_inside(data.len(), rows, columns, row_stride, column_stride);
        let apart = |inner: usize, inner_stride: usize, outer: usize, outer_stride: usize| {
            (inner <= 1 || inner_stride > 0) && (outer <= 1 || outer_stride > inner.saturating_sub(1) * inner_stride)
        };
        assert!(
            rows == 0
                || columns == 0
                || apart(columns, column_stride, rows, row_stride)
                || apart(rows, row_stride, columns, column_stride),
            "two elements of an output at one place: [{rows}, {columns}] at strides {row_stride} and {column_stride}"
        );
        Self { start: data.as_mut_ptr(), rows, columns, row_stride, column_stride, memory: PhantomData }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    pub(crate) fn row_stride(&self) -> usize {
        self.row_stride
    }

    pub(crate) fn column_stride(&self) -> usize {
        self.column_stride
    }

    /// The address of element `(0, 0)`; within the bounds of this matrix it may be written through.
    pub(crate) fn start(&mut self) -> *mut f32 {
        self.start
    }
}

/// Unsafe code relies on this.
fn assert_inside(length: usize, rows: usize, columns: usize, row_stride: usize, column_stride: usize) {
    let last = |count: usize, stride: usize| (count - 1).checked_mul(stride);
    let inside = rows == 0
        || columns == 0
        || last(rows, row_stride)
            .zip(last(columns, column_stride))
            .and_then(|(down, along)| down.checked_add(along))
            .is_some_and(|last| last < length);
    assert!(
        inside,
        "a matrix [{rows}, {columns}] at strides {row_stride} and {column_stride} does not fit into {length} elements"
    );
}
