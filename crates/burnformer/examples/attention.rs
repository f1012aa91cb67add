//! Multi-head attention on random input, on any device:
//!
//! ```text
//! cargo run --release --package burnformer --example attention
//! cargo run --release --package burnformer --features flex,wgpu --example attention -- --device wgpu
//! ```
//!
//! The setting is that of many introductions to attention in PyTorch: width 512, 8 heads, query = key = value of shape
//! (60, 100, 512), uniform. Where the usual code of such articles differs from ours:
//!
//! - It masks the scores where `mask == 0`, so 1 means "look". Ours blocks where the mask is `true`, as PyTorch's own
//!   boolean masks in `nn.MultiheadAttention` do: a mask says what is special, the default is to look at everything, and two
//!   masks are joined by `or`. `mask::from_attention_mask` turns the other polarity into ours.
//! - It fills masked scores with a large negative number, which gives a query without any key equal weights on keys that it
//!   must not see. Ours gives such a query weights of zero, and an output of zero before the output projection.
//! - It returns the weights after dropout, which no longer sum to one and differ from call to call. Ours hands them out before
//!   dropout: they are what the model attends to; the output is computed from the dropped ones all the same.

use burn::tensor::{Tensor, TensorData};
use burnformer::core::random::{Key, Purpose, Stream};
use burnformer::nn::{AttentionInput, DropoutRng, MultiHeadAttentionConfig, init};
use burnformer::ops::DeviceChoice;
use std::error::Error;
use std::process::ExitCode;

const SEED: u64 = 42;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let device = device_choice()?.open()?;
    println!("device  {device:?}");

    let attention = MultiHeadAttentionConfig::new(512, 8).with_dropout(0.1).init(&device);
    let attention = init::by_name(attention, SEED, init::xavier_uniform);
    let shape = [60, 100, 512];
    let mut uniform = Stream::new(Key::new(SEED, Purpose::Weights, "x"), 0);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| uniform.uniform() as f32).collect();
    let x = Tensor::<3>::from_data(TensorData::new(values, shape), &device);

    // In training: the rows of the batch are samples 0 to 59.
    let rng = DropoutRng::training(SEED, (0..60).collect::<Vec<u64>>());
    let input = AttentionInput::self_attention(x).rng(rng);
    let (output, weights) = attention.forward_with_attn_weights(input);

    println!("output  {:?}", output.dims());
    println!("weights {:?}", weights.dims());
    let sums = weights.sum_dim(3);
    let (min, max) = (sums.clone().min().into_scalar::<f32>(), sums.max().into_scalar::<f32>());
    println!("the weights of every query sum to between {min:.6} and {max:.6}");
    Ok(())
}

fn device_choice() -> Result<DeviceChoice, Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => Ok(DeviceChoice::Auto),
        ["--device", name] => Ok(name.parse()?),
        _ => Err("usage: attention [--device ndarray|flex|wgpu[:N]|auto]".into()),
    }
}
