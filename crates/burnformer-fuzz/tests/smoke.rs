//! Every target on its seeds and on some of their mutations. `fuzz/` looks further, for as long as it is let.

use burnformer_fuzz::{TARGETS, Target, mutations};

/// Mutations of a target, all of which take some seconds together.
const MUTATIONS: u64 = 300;

fn targets() -> impl Iterator<Item = &'static Target> {
    TARGETS.iter().flat_map(|group| group.iter())
}

#[test]
fn every_target_survives_its_seeds_and_their_mutations() {
    for target in targets() {
        let seeds = (target.seeds)();
        for (number, bytes) in seeds.iter().cloned().chain(mutations(&seeds, MUTATIONS)).enumerate() {
            let shown = bytes.clone();
            let survived = std::panic::catch_unwind(|| (target.run)(&bytes)).is_ok();
            assert!(survived, "{}: input {number} makes it panic: {}", target.name, shown.escape_ascii());
        }
    }
}

/// So that none is forgotten there: `fuzz/` is not part of the workspace.
#[test]
fn every_target_has_a_program_for_cargo_fuzz() {
    let fuzz = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz");
    let manifest = std::fs::read_to_string(format!("{fuzz}/Cargo.toml")).unwrap();
    for target in targets() {
        let path = format!("fuzz_targets/{}.rs", target.name);
        assert!(manifest.contains(&format!("path = \"{path}\"")), "fuzz/Cargo.toml lacks {path}");
        let program = std::fs::read_to_string(format!("{fuzz}/{path}")).unwrap();
        assert!(program.contains(&format!("burnformer_fuzz::run(\"{}\", bytes)", target.name)), "{path}");
    }
}
