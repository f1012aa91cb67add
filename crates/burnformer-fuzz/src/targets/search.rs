//! Files of searches.

use std::collections::BTreeSet;

use burnformer_search::{
    AshaConfig, Sampler, Space, Study, history_picture, importance, importance_picture, parallel_picture,
};

use crate::Target;
use crate::file::file;

pub(super) const TARGETS: &[Target] = &[
    Target { name: "journal", run: journal, seeds: || vec![JOURNAL.to_vec()] },
    Target { name: "space", run: space, seeds: || vec![SPACE.to_vec()] },
];

const SPACE: &[u8] = br#"{"rate":{"kind":"log-uniform","low":1e-5,"high":0.1},"n":{"kind":"integer","low":2,"high":8},
"a":{"b":{"kind":"choice","values":["x",2,true]},"c":{"kind":"uniform","low":-1.0,"high":1.0}}}"#;
const JOURNAL: &[u8] = br#"{"op_code":0,"worker_id":"w","study_name":"s","directions":[1]}
{"op_code":3,"worker_id":"w","study_id":0,"system_attr":{"study:metric_names":["loss"]}}
{"op_code":4,"worker_id":"w","study_id":0,"state":0,"params":{"rate":0.001,"n":4,"a.b":1,"a.c":0.5}}
{"op_code":7,"worker_id":"w","trial_id":0,"step":1,"intermediate_value":0.7}
{"op_code":9,"worker_id":"w","trial_id":0,"system_attr":{"completed_rung_0":0.7}}
{"op_code":9,"worker_id":"w","trial_id":0,"system_attr":{"promoted_rung_0":true}}
{"op_code":6,"worker_id":"w","trial_id":0,"state":1,"values":[0.5]}
{"op_code":4,"worker_id":"w","study_id":0,"state":0,"params":{"rate":0.01,"n":2,"a.b":0,"a.c":0.5}}
{"op_code":8,"worker_id":"w","trial_id":1,"user_attr":{"diverged":"NaN"}}
{"op_code":6,"worker_id":"w","trial_id":1,"state":2,"values":null}
{"op"#;

/// A journal, and all that is made of its trials.
fn journal(bytes: &[u8]) {
    let table = serde_json::from_slice(SPACE).expect("a table");
    let space = Space::new(&table).expect("a space");
    file("journal.log", bytes, |path| {
        let Ok(study) = Study::open(path, space.clone()) else { return };
        let known = study.observations();
        let _ = study.next(Some(&AshaConfig::default()), 9, &BTreeSet::new());
        let _ = Sampler::default().propose(&space, 1, 9, &known);
        let _ = (history_picture(&study), parallel_picture(&study));
        let _ = importance(&space, &known).map(|shares| importance_picture(&space, &shares));
    });
}

/// A space, and values in it.
fn space(bytes: &[u8]) {
    let Ok(table) = serde_json::from_slice(bytes) else { return };
    let Ok(space) = Space::new(&table) else { return };
    let values = Sampler::Random.propose(&space, 1, 0, &[]);
    let _ = (space.sets(&values), space.settings(&values));
}
