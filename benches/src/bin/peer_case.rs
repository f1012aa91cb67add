//! Times one case on one device and prints a line of JSON for each of its passes; `benches/peers/torch_cases.py` does
//! so for PyTorch. Each case has a process of its own, so that its peak memory is that of the case.

use std::time::Instant;

use anyhow::{Result, ensure};
use burn::tensor::Device;
use burnformer_benches::Size;
use burnformer_benches::cases::Case;
use burnformer_ops::{DeviceChoice, Precision, WeightFormat, with_matmul_precision};
use clap::{Parser, ValueEnum};
use serde_json::json;

/// Time a case of `cargo xtask bench --peers` on one device.
#[derive(Debug, Parser)]
struct Args {
    #[arg(value_enum)]
    case: Case,

    /// `ndarray`, `flex`, `wgpu` or `wgpu:N`
    #[arg(long, default_value = "ndarray")]
    device: DeviceChoice,

    /// What the factors of matrix products are rounded to; int8: of inference alone
    #[arg(long, value_enum, default_value = "f32")]
    dtype: Dtype,

    /// Timed runs of each pass, after three to warm up
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Dtype {
    F32,
    Bf16,
    Int8,
}

impl Dtype {
    /// Of training, and of inference.
    fn products(self) -> (Precision, WeightFormat) {
        match self {
            Self::F32 => (Precision::F32, WeightFormat::F32),
            Self::Bf16 => (Precision::Bf16, WeightFormat::Bf16),
            Self::Int8 => (Precision::F32, WeightFormat::Int8),
        }
    }
}

const WARM_UP: u32 = 3;

fn main() -> Result<()> {
    let args = Args::parse();
    ensure!(args.case != Case::Start, "`start` is timed from outside, by `cargo xtask bench --peers`");
    // On a thread of the pool, as a training step is.
    rayon::scope(|_| measure(&args))
}

fn measure(args: &Args) -> Result<()> {
    let device = args.device.open()?;
    with_matmul_precision(args.dtype.products().0, &device, || measure_on(&device, args))?
}

fn measure_on(device: &Device, &Args { case, device: choice, dtype, repeat }: &Args) -> Result<()> {
    for work in case.works(Size::Large, dtype.products().1) {
        let mut run = work.start(device);
        let mut timed = || -> Result<f64> {
            let start = Instant::now();
            run();
            device.sync()?;
            Ok(start.elapsed().as_secs_f64() * 1e3)
        };
        for _ in 0..WARM_UP {
            timed()?;
        }
        let mut ms = (0..repeat).map(|_| timed()).collect::<Result<Vec<f64>>>()?;
        ms.sort_by(f64::total_cmp);
        let median = (ms[(ms.len() - 1) / 2] + ms[ms.len() / 2]) / 2.0;
        let rounded = |ms: f64| (ms * 100.0).round() / 100.0;
        let line = json!({
            "peer": "burnformer",
            "case": work.name,
            "device": choice.to_string(),
            "dtype": dtype.to_possible_value().expect("no type is hidden").get_name(),
            "ms": rounded(median),
            "min": rounded(ms[0]),
            "max": rounded(ms[ms.len() - 1]),
            "tokens_per_s": (work.n_elements as f64 / median * 1e3).round() as u64,
            "peak_rss_mib": peak_rss_mib(),
            "threads": rayon::current_num_threads(),
        });
        println!("{line}");
    }
    Ok(())
}

/// The most memory that the process has had, that of a GPU not included; nothing where there is no `/proc`.
fn peak_rss_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    kib.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib / 1024)
}
