//! Checks that tensors fit together, with messages that name the axes.

/// Panics unless two tensors agree along an axis each.
///
/// # Panics
/// With operator, axis name and both shapes.
#[track_caller]
pub fn assert_same_axis(operator: &str, name: &str, first: (&str, &[usize], usize), second: (&str, &[usize], usize)) {
    let (first_name, first_shape, first_axis) = first;
    let (second_name, second_shape, second_axis) = second;
    assert!(
        first_shape[first_axis] == second_shape[second_axis],
        "{operator}: `{name}` differs between `{first_name}` {first_shape:?} (axis {first_axis}) and `{second_name}` \
         {second_shape:?} (axis {second_axis})"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "attention: `d_head` differs between `q` [2, 3, 4] (axis 2) and `k` [2, 3, 5] (axis 2)")]
    fn both_shapes_and_the_axis_are_named() {
        assert_same_axis("attention", "d_head", ("q", &[2, 3, 4], 2), ("k", &[2, 3, 5], 2));
    }
}
