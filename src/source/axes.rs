//! Axes of memory: the number of steps of each axis, and the number of bytes of each step. Views, rows and outputs know
//! nothing else about shape.

/// One axis, outermost first: how many steps, and how many bytes each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Axis {
    pub(super) len: usize,
    pub(super) stride: isize,
}

/// The distance in bytes of step `index`. Wraps instead of overflowing: within a view the true product always fits.
#[inline(always)]
pub(super) fn offset(index: usize, stride: isize) -> isize {
    index.cast_signed().wrapping_mul(stride)
}

/// The distance in bytes of the row `index` of the outer axes.
pub(super) fn offset_of(outer: &[Axis], mut index: usize) -> isize {
    let mut bytes = 0_isize;
    for axis in outer.iter().rev() {
        bytes = bytes.wrapping_add(offset(index % axis.len, axis.stride));
        index /= axis.len;
    }
    bytes
}

#[inline(always)]
pub(super) const fn stride_of<T>() -> isize {
    size_of::<T>().cast_signed()
}

/// Drops axes of one step and joins axes that continue each other, so that most arrays end with one axis.
pub(super) fn merge(axes: Vec<Axis>) -> Vec<Axis> {
    let mut merged: Vec<Axis> = Vec::with_capacity(axes.len());
    for axis in axes.into_iter().filter(|axis| axis.len != 1) {
        match merged.last_mut() {
            Some(outer) if outer.stride == offset(axis.len, axis.stride) => {
                *outer = Axis { len: outer.len.saturating_mul(axis.len), stride: axis.stride };
            }
            _ => merged.push(axis),
        }
    }
    merged
}
