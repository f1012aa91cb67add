//! Precision of the matrix products in linear maps.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use std::cell::Cell;

use crate::cpu::processor::Processor;

/// Type that the factors of a product are rounded to. Sums are always `f32`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Single precision, not rounded.
    #[default]
    F32,
    /// bfloat16, rounded to nearest with ties to even. Subnormal numbers count as zero. Factors are not rounded on processors
    /// that multiply bfloat16 no faster than `f32`: see [`Precision::on_host`].
    Bf16,
}

/// How this machine's processor multiplies a type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HostProducts {
    /// Name of the type, such as `bf16`.
    pub dtype: &'static str,
    /// The instructions, or why there are none.
    pub by: String,
}

/// How this machine's processor multiplies each type.
#[must_use]
pub fn host_products() -> Vec<HostProducts> {
    Processor::this().products().into_iter().map(|(dtype, by)| HostProducts { dtype, by }).collect()
}

/// Reason why a precision is not available.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PrecisionError {
    /// The device has only single precision.
    #[error("bf16 products are made on `ndarray` and `flex` only, choose one of them or `dtype = \"f32\"`")]
    Device,
}

thread_local! {
    static PRECISION: Cell<Precision> = const { Cell::new(Precision::F32) };
}

impl Precision {
    /// Checks that `device` supports the precision.
    ///
    /// # Errors
    /// If it does not.
    pub fn check(self, device: &Device) -> Result<(), PrecisionError> {
        if self == Self::Bf16 && !crate::is_on_host(device) { Err(PrecisionError::Device) } else { Ok(()) }
    }

    /// The precision that this machine's processor multiplies in if it is asked for this one: `F32` where `Bf16` would be no
    /// faster, so that nobody loses digits for nothing.
    #[must_use]
    pub fn on_host(self) -> Self {
        if Processor::this().bf16.is_some() { self } else { Self::F32 }
    }
}

/// Calls `body` with [`linear`](crate::linear), [`qkv`](crate::qkv) and [`feed_forward`](crate::feed_forward)
/// multiplying in `precision` on this thread, in forward and backward passes. Outside of such a call they multiply in
/// [`Precision::F32`].
///
/// Weights, outputs, moments, norms, softmax and losses stay `f32`.
///
/// # Errors
/// If `device` does not support the precision; `body` is not called then.
pub fn with_matmul_precision<R>(
    precision: Precision,
    device: &Device,
    body: impl FnOnce() -> R,
) -> Result<R, PrecisionError> {
    precision.check(device)?;
    Ok(scope(precision, body))
}

/// Precision of [`linear`](crate::linear) on the CPU for calls from this thread.
#[must_use]
pub fn matmul_precision() -> Precision {
    PRECISION.get()
}

fn scope<R>(precision: Precision, body: impl FnOnce() -> R) -> R {
    /// Restores a precision when dropped, also during a panic.
    struct Restore(Precision);
    impl Drop for Restore {
        fn drop(&mut self) {
            PRECISION.set(self.0);
        }
    }
    let _before = Restore(PRECISION.replace(precision));
    body()
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::thread;

    use super::*;

    #[test]
    fn a_precision_holds_in_its_scope_and_on_its_thread_alone() {
        assert_eq!(matmul_precision(), Precision::F32);
        let (inside, nested, elsewhere) = scope(Precision::Bf16, || {
            let nested = scope(Precision::F32, matmul_precision);
            let elsewhere = thread::spawn(matmul_precision).join().unwrap();
            (matmul_precision(), nested, elsewhere)
        });
        assert_eq!((inside, nested, elsewhere), (Precision::Bf16, Precision::F32, Precision::F32));
        assert_eq!(matmul_precision(), Precision::F32);
    }

    #[test]
    fn a_panic_ends_the_scope() {
        let panicked = catch_unwind(AssertUnwindSafe(|| scope(Precision::Bf16, || panic!("in the scope"))));
        assert!(panicked.is_err());
        assert_eq!(matmul_precision(), Precision::F32);
    }
}
