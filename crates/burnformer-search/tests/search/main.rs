//! Studies: what a search does next, and its journal.

mod asha;
mod journal;
mod optuna;
mod pictures;

use burnformer_search::{Direction, Objective, Space, Study};
use serde_json::json;
use tempfile::TempDir;

/// A space of all kinds of parameters.
fn space() -> Space {
    let table = json!({
        "layers": {"kind": "integer", "low": 2, "high": 8, "step": 2},
        "name": {"kind": "choice", "values": ["a", "b", "c"]},
        "rate": {"kind": "log-uniform", "low": 1e-5, "high": 1e-1},
    });
    Space::new(&serde_json::from_value(table).unwrap()).unwrap()
}

fn study(direction: Direction) -> (TempDir, Study) {
    let folder = tempfile::tempdir().unwrap();
    let objective = Objective { metric: "loss".to_owned(), direction };
    let study = Study::create(&folder.path().join("journal.log"), "demo", objective, space()).unwrap();
    (folder, study)
}
