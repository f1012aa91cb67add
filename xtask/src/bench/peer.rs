//! Whom the same work is given to, and what matrices are multiplied in there.

use clap::ValueEnum;

use super::case::Case;

/// What matrices are multiplied in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Dtype {
    /// Single precision
    F32,
    /// Factors of sixteen bits; autocast in PyTorch
    Bf16,
    /// Weights of eight bits, and inputs that are rounded to eight as they come; of inference alone
    Int8,
}

/// A library that does the same work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    Torch,
    Onnxruntime,
    Ctranslate2,
}

/// What the Python side of any case needs. Without numpy PyTorch warns at every start.
pub(super) const PACKAGES: [&str; 3] = ["torch", "numpy", "transformers"];

impl Peer {
    pub(super) const ALL: [Self; 3] = [Self::Torch, Self::Onnxruntime, Self::Ctranslate2];

    /// As its lines name it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Torch => "torch",
            Self::Onnxruntime => "onnxruntime",
            Self::Ctranslate2 => "ctranslate2",
        }
    }

    /// The script with its side of the cases.
    pub(super) fn script(self) -> String {
        format!("benches/peers/{}_cases.py", self.name())
    }

    /// `true` where it can do the work of `case`.
    pub(super) fn runs(self, case: Case, dtype: Dtype) -> bool {
        match self {
            Self::Torch => dtype != Dtype::Int8 && runs(case, dtype),
            Self::Onnxruntime => matches!(case, Case::Embed | Case::EmbedOne) && dtype != Dtype::Bf16,
            Self::Ctranslate2 => case == Case::Beam && dtype != Dtype::Bf16,
        }
    }

    /// The packages that `case` needs beside [`PACKAGES`].
    pub(super) fn packages(self, case: Case) -> &'static [&'static str] {
        match self {
            Self::Torch if case == Case::LoraStep => &["peft"],
            Self::Torch => &[],
            Self::Onnxruntime => &["onnx", "onnxruntime"],
            Self::Ctranslate2 => &["ctranslate2"],
        }
    }
}

/// `true` where our side can do the work of `case`.
pub(super) fn runs(case: Case, dtype: Dtype) -> bool {
    match dtype {
        Dtype::F32 => true,
        Dtype::Bf16 => !matches!(case, Case::Load | Case::Start),
        Dtype::Int8 => matches!(case, Case::Embed | Case::EmbedOne | Case::Beam),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_library_is_asked_for_what_ours_cannot_do() {
        for peer in Peer::ALL {
            for case in Case::value_variants() {
                for dtype in Dtype::value_variants() {
                    assert!(!peer.runs(*case, *dtype) || runs(*case, *dtype), "{peer:?}, {case:?}, {dtype:?}");
                }
            }
        }
    }

    #[test]
    fn every_case_has_something_to_compare_with() {
        for case in Case::value_variants() {
            assert!(Peer::Torch.runs(*case, Dtype::F32), "{case:?}");
        }
    }
}
