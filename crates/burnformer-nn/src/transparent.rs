//! Modules that add no name to the paths of their parameters.

/// Implements burn's `Module` for a type each of whose constructors holds one module.
///
/// Unlike `derive(Module)` it leaves paths as they are: the weight of `Norm::RmsNorm` is `norm_attn.weight` and not
/// `norm_attn.RmsNorm.weight`, so that the names in checkpoints do not depend on the choice of a variant.
macro_rules! transparent_module {
    ($type:ident: $($constructor:path),+) => {
        impl burn::module::Module for $type {
            fn collect_devices(&self, devices: burn::module::Devices) -> burn::module::Devices {
                match self { $($constructor(inner) => burn::module::Module::collect_devices(inner, devices)),+ }
            }

            fn fork(self, device: &burn::tensor::Device) -> Self {
                match self { $($constructor(inner) => $constructor(burn::module::Module::fork(inner, device))),+ }
            }

            fn to_device(self, device: &burn::tensor::Device) -> Self {
                match self { $($constructor(inner) => $constructor(burn::module::Module::to_device(inner, device))),+ }
            }

            fn train(self) -> Self {
                match self { $($constructor(inner) => $constructor(burn::module::Module::train(inner))),+ }
            }

            fn valid(&self) -> Self {
                match self { $($constructor(inner) => $constructor(burn::module::Module::valid(inner))),+ }
            }

            fn materialize(self) -> Self {
                match self { $($constructor(inner) => $constructor(burn::module::Module::materialize(inner))),+ }
            }

            fn visit<V: burn::module::ModuleVisitor>(&self, visitor: &mut V) {
                match self { $($constructor(inner) => burn::module::Module::visit(inner, visitor)),+ }
            }

            fn map<M: burn::module::ModuleMapper>(self, mapper: &mut M) -> Self {
                match self { $($constructor(inner) => $constructor(burn::module::Module::map(inner, mapper))),+ }
            }
        }

        impl burn::module::ModuleDisplayDefault for $type {
            fn content(&self, content: burn::module::Content) -> Option<burn::module::Content> {
                match self { $($constructor(inner) => burn::module::ModuleDisplayDefault::content(inner, content)),+ }
            }

            fn num_params(&self) -> usize {
                burn::module::Module::num_params(self)
            }
        }

        impl burn::module::ModuleDisplay for $type {}

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&burn::module::ModuleDisplay::format(self, burn::module::DisplaySettings::default()))
            }
        }
    };
}

pub(crate) use transparent_module;
