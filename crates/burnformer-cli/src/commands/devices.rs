//! `burnformer devices`: what tensors can live on.

use std::fmt::{self, Display, Formatter};

use anyhow::Result;
use burnformer::ops::DeviceChoice;
use serde::Serialize;

use super::{Context, Outcome};
use crate::args::DevicesArgs;

/// The devices of this machine that this program can use.
#[derive(Serialize)]
struct Report {
    devices: Vec<Row>,
    /// What was asked for.
    choice: String,
    /// The device that is meant by it.
    chosen: Option<String>,
    /// The backends that are compiled in.
    features: Vec<&'static str>,
}

#[derive(Serialize)]
struct Row {
    device: String,
    description: String,
}

pub(super) fn run(args: &DevicesArgs, context: &Context) -> Result<Outcome> {
    let choice = args.device.device;
    let available = DeviceChoice::available();
    let opened = choice.open();
    let chosen = opened.as_ref().ok().and_then(|device| {
        let same = available.iter().find(|(other, _)| other.open().as_ref() == Ok(device));
        same.map(|(name, _)| name.to_string())
    });
    let row = |(device, description): (DeviceChoice, String)| Row { device: device.to_string(), description };
    let devices = available.into_iter().map(row).collect();
    let report = Report { devices, choice: choice.to_string(), chosen, features: DeviceChoice::compiled() };
    context.terminal.report(&report, args.report.format)?;
    match opened {
        Ok(_) => Ok(Outcome::Done),
        Err(error) => {
            context.terminal.warn(error);
            Ok(Outcome::NotMet)
        }
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for row in &self.devices {
            let mark = if self.chosen.as_ref() == Some(&row.device) { '*' } else { ' ' };
            writeln!(f, "{mark} {:<10} {}", row.device, row.description)?;
        }
        match &self.chosen {
            Some(chosen) => writeln!(f, "\n`--device {}` selects `{chosen}`", self.choice)?,
            None => writeln!(f, "\n`--device {}` is not available", self.choice)?,
        }
        writeln!(f, "built with {}", self.features.join(", "))
    }
}
