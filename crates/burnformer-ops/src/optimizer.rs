//! One update of one parameter, on burn's tensors. They are meant for tensors without gradient tracking
//! ([`Tensor::inner`]); with it, the update becomes part of the graph.

use crate::AdamOptions;
use crate::extension::TransformerOps;
use crate::functions::maybe;
use burn::backend::Dispatch;
use burn::tensor::Tensor;

/// Sum of the squares of all elements, `[1]`: the square of the norm that clipping compares.
pub fn sum_of_squares<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    Tensor::from_dispatch(<Dispatch as TransformerOps>::sum_of_squares(x.into_dispatch()))
}

/// One update of a parameter by Adam, AdamW or LAMB, as the options say.
///
/// Takes parameter, gradient, first and second moment (zeros before the first update), a factor `[1]` on the gradient, and the
/// settings; returns parameter, first and second moment.
///
/// Source: see [`AdamVariant`](crate::AdamVariant).
///
/// # Panics
/// If gradient or moments do not have the parameter's shape, the factor is not `[1]`, or the step is 0.
pub fn adam<const D: usize>(
    param: Tensor<D>,
    grad: Tensor<D>,
    moments: [Tensor<D>; 2],
    scale: Option<Tensor<1>>,
    options: AdamOptions,
) -> (Tensor<D>, [Tensor<D>; 2]) {
    for (name, tensor) in [("grad", &grad), ("first", &moments[0]), ("second", &moments[1])] {
        assert!(
            tensor.dims() == param.dims(),
            "adam: `{name}` {:?} must have the shape of `param` {:?}",
            tensor.dims(),
            param.dims()
        );
    }
    if let Some(scale) = &scale {
        assert!(scale.dims() == [1], "adam: `scale` {:?} must have the shape [1]", scale.dims());
    }
    assert!(options.step > 0, "adam: steps count from 1");
    let [first, second] = moments.map(Tensor::into_dispatch);
    let (param, first, second) = <Dispatch as TransformerOps>::adam(
        param.into_dispatch(),
        grad.into_dispatch(),
        first,
        second,
        maybe(scale),
        options,
    );
    (Tensor::from_dispatch(param), [first, second].map(Tensor::from_dispatch))
}
