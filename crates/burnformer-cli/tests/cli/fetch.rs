//! `burnformer fetch`, from a server that plays the hub.

use std::fs;
use std::path::PathBuf;

use crate::hub::{COMMIT, Hub, Trick};
use crate::support::{DEVICE, Folder, Run};

const WEIGHTS: &str = "model.safetensors";
const INTENTS: &str = "harbour/intents";

/// A folder with models, and a hub that has one of them.
fn intents() -> (Folder, Hub) {
    let folder = Folder::with_models();
    let hub = Hub::with(INTENTS, &folder.path("runs/intents"));
    (folder, hub)
}

/// A hub that has a model of no meaning.
fn small() -> (Folder, Hub) {
    let hub = Hub::new();
    hub.add(INTENTS, "config.json", b"{}");
    hub.add(INTENTS, WEIGHTS, &weights());
    (Folder::new(), hub)
}

/// More than a buffer takes.
fn weights() -> Vec<u8> {
    (0..300_000_u32).map(|n| (n % 251) as u8).collect()
}

/// The folder of the only commit in the cache.
fn snapshot(folder: &Folder) -> PathBuf {
    folder.path(&format!("home/hub/models--harbour--intents/snapshots/{COMMIT}"))
}

/// What the cache has of weights that are not whole.
fn part(folder: &Folder) -> Option<Vec<u8>> {
    let paths = folder.names().into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "part"));
    let [path] = <[PathBuf; 1]>::try_from(paths.collect::<Vec<_>>()).ok()?;
    Some(fs::read(path).unwrap())
}

/// Makes sure that the whole model is in the cache, and in the folder that the program has named.
#[track_caller]
fn check_weights(folder: &Folder, run: &Run) {
    assert_eq!(run.stdout, format!("{}\n", snapshot(folder).display()));
    assert!(fs::read(snapshot(folder).join(WEIGHTS)).unwrap() == weights());
    assert_eq!(part(folder), None);
}

#[test]
fn a_fetched_model_is_used_by_every_command() {
    let (folder, hub) = intents();
    hub.add(INTENTS, "README.md", b"# Intents");
    hub.add(INTENTS, "pytorch_model.bin", b"the same weights again");
    let fetched = hub.run(&folder, &format!("fetch {INTENTS}")).succeeds();
    assert_eq!(fetched.stdout, format!("{}\n", snapshot(&folder).display()));
    assert!(fetched.stderr.contains(&format!("files of `{INTENTS}` at commit {COMMIT}\n")), "{}", fetched.stderr);
    let files = hub.sent().into_iter().map(|(file, _)| file).collect::<Vec<_>>();
    // The way to large files leads over another address.
    let expected = ["config.json", WEIGHTS, WEIGHTS, "tokenizer.json", "tokenizer_config.json"];
    assert!(expected.iter().all(|name| files.iter().any(|file| file.starts_with(name))), "{files:?}");
    assert!(!files.iter().any(|file| file.contains("README") || file.contains("bin")), "{files:?}");

    hub.run(&folder, &format!("fetch {INTENTS} --out models/intents -q")).succeeds();
    let predict =
        |model: &str| folder.run_with(&format!("predict {model} {DEVICE}"), "Kettle 3 leaks.").succeeds().stdout;
    let expected = predict("runs/intents");
    assert_eq!(predict(fetched.stdout.trim()), expected);
    assert_eq!(predict("models/intents"), expected);
}

#[test]
fn what_is_in_the_cache_is_not_sent_again() {
    let (folder, hub) = small();
    let first = hub.run(&folder, &format!("fetch {INTENTS}")).succeeds();
    check_weights(&folder, &first);
    hub.requests();
    for line in ["fetch harbour/intents", "fetch harbour/intents --revision refs/pr/1"] {
        assert_eq!(hub.run(&folder, line).succeeds().stdout, first.stdout);
        let requests = hub.requests();
        assert!(requests.len() == 1 && requests[0].path.ends_with("?blobs=true"), "{requests:?}");
    }
    let reference = |name: &str| folder.read(&format!("home/hub/models--harbour--intents/refs/{name}"));
    assert_eq!([reference("main"), reference("refs/pr/1")], [COMMIT, COMMIT]);

    // Another commit may have the same weights.
    fs::remove_dir_all(snapshot(&folder)).unwrap();
    check_weights(&folder, &hub.run(&folder, &format!("fetch {INTENTS}")).succeeds());
    assert_eq!(hub.sent(), []);
}

#[test]
fn a_plain_folder_is_made_on_request() {
    let (folder, hub) = small();
    hub.add(INTENTS, "modules.json", br#"[{"path": ""}, {"path": "1_Pooling"}]"#);
    hub.add(INTENTS, "1_Pooling/config.json", b"{}");
    hub.add(INTENTS, "2_Other/config.json", b"{}");
    let run = hub.run(&folder, &format!("fetch {INTENTS} --out models/intents")).succeeds();
    assert_eq!(run.stdout, "models/intents\n");
    let names = folder.names();
    let within: Vec<_> =
        names.iter().filter_map(|path| path.strip_prefix(folder.path("models/intents")).ok()).collect();
    let expected = ["", "1_Pooling", "1_Pooling/config.json", "config.json", WEIGHTS, "modules.json"];
    assert_eq!(within.iter().map(|path| path.to_str().unwrap()).collect::<Vec<_>>(), expected);
    assert!(names.iter().filter(|path| path.starts_with(folder.path("models"))).all(|path| !path.is_symlink()));
    assert!(fs::read(folder.path("models/intents").join(WEIGHTS)).unwrap() == weights());

    let before = folder.names();
    let taken = hub.run(&folder, &format!("fetch {INTENTS} --out models/intents"));
    taken.fails_with(&["`models/intents` already exists: remove it or choose another name"]);
    assert_eq!(folder.names(), before);
}

#[test]
fn weights_in_several_files_come_with_their_index() {
    let (folder, hub) = small();
    hub.remove(INTENTS, WEIGHTS);
    let index = br#"{"weight_map": {"a": "model-1-of-2.safetensors", "b": "model-2-of-2.safetensors"}}"#;
    hub.add(INTENTS, "model.safetensors.index.json", index);
    hub.add(INTENTS, "model-1-of-2.safetensors", b"one");
    let line = format!("fetch {INTENTS} --out model");
    hub.run(&folder, &line)
        .fails_with(&["error: cannot fetch `harbour/intents`\n  caused by: `model.safetensors.index.json` names \
         `model-2-of-2.safetensors`, which the repository does not have\nhint: choose a model"]);
    hub.add(INTENTS, "model-2-of-2.safetensors", b"two");
    hub.run(&folder, &line).succeeds();
    let content = [1, 2].map(|n| folder.read(&format!("model/model-{n}-of-2.safetensors")));
    assert_eq!(content, ["one", "two"]);
}

#[test]
fn a_file_that_broke_off_goes_on_where_it_did() {
    let (folder, hub) = small();
    hub.play(WEIGHTS, Trick::BreakOff(100_000));
    let line = format!("fetch {INTENTS} --out model");
    hub.run(&folder, &line).fails_with(&[
        "the connection was lost while downloading `model.safetensors`\n  caused by: ",
        "hint: run the command again: it continues where this download stopped",
    ]);
    assert!(!snapshot(&folder).join(WEIGHTS).exists() && !folder.path("model").exists());
    assert!(part(&folder).unwrap() == weights()[..100_000]);
    hub.requests();
    check_weights(&folder, &hub.run(&folder, &format!("fetch {INTENTS}")).succeeds());
    let sent = hub.sent();
    assert!(
        sent.iter().all(|(file, from)| file.starts_with(WEIGHTS) && *from == 100_000) && !sent.is_empty(),
        "{sent:?}"
    );
}

#[cfg(unix)]
#[test]
fn a_signal_ends_a_transfer_that_stands_still() {
    use std::io::{BufRead, BufReader, Read};
    use std::process::{Command, Stdio};

    let (folder, hub) = small();
    hub.play(WEIGHTS, Trick::Stall(100_000));
    let mut command = hub.command(&folder, &format!("fetch {INTENTS} --out model"));
    let mut program = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while part(&folder).is_none_or(|part| part.len() < 100_000) {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert!(Command::new("kill").args(["-INT", &program.id().to_string()]).status().unwrap().success());
    let mut stderr = BufReader::new(program.stderr.take().unwrap());
    let mut said = String::new();
    stderr.read_line(&mut said).unwrap();
    stderr.read_to_string(&mut said).unwrap();
    assert_eq!(said, "stopping at the next safe point; press Ctrl-C again to stop at once\ninterrupted\n");
    assert_eq!(program.wait().unwrap().code(), Some(130));
    // Not even a hidden beginning is left of it.
    let left = folder.names().into_iter().filter(|path| !path.starts_with(folder.path("home")));
    assert_eq!(left.collect::<Vec<_>>(), Vec::<PathBuf>::new());

    hub.requests();
    check_weights(&folder, &hub.run(&folder, &format!("fetch {INTENTS}")).succeeds());
    assert!(hub.sent().iter().all(|(_, from)| *from == 100_000));
}

#[test]
fn a_file_that_is_not_as_listed_is_thrown_away() {
    let (folder, hub) = small();
    hub.play(WEIGHTS, Trick::BreakOff(100_000));
    let line = format!("fetch {INTENTS}");
    hub.run(&folder, &line).fails_with(&["was lost"]);
    hub.play(WEIGHTS, Trick::Restart);
    hub.run(&folder, &line)
        .fails_with(&["`model.safetensors` does not match the size or checksum that the hub lists", "hint: run the"]);
    assert!(!snapshot(&folder).join(WEIGHTS).exists());
    check_weights(&folder, &hub.run(&folder, &line).succeeds());

    // A program that was ended before it could give the whole file its name.
    let blobs = folder.path("home/hub/models--harbour--intents/blobs");
    let blob = fs::canonicalize(snapshot(&folder).join(WEIGHTS)).unwrap();
    fs::rename(&blob, blobs.join(blob.file_name().unwrap()).with_extension("part")).unwrap();
    check_weights(&folder, &hub.run(&folder, &line).succeeds());
}

#[test]
fn a_token_goes_with_every_request() {
    let (folder, hub) = small();
    hub.close(INTENTS, "hf_secret");
    let line = format!("fetch {INTENTS}");
    let gated = ["caused by: the model is gated", "hint: accept its licence on `http://127.0.0.1:"];
    hub.run(&folder, &line).fails_with(&[gated[0], gated[1], "/harbour/intents`, and set `HF_TOKEN` to a token of"]);
    let with = |token: &str| Run::of(hub.command(&folder, &line).env("HF_TOKEN", token).output().unwrap());
    with("hf_other").fails_with(&[gated[0], gated[1], "make sure that the token in `HF_TOKEN` is of the same account"]);
    hub.requests();
    check_weights(&folder, &with("hf_secret").succeeds());
    let requests = hub.requests();
    assert!(requests.iter().all(|request| request.token.as_deref() == Some("Bearer hf_secret")), "{requests:?}");

    fs::remove_dir_all(folder.path("home")).unwrap();
    folder.write("home/token", "hf_secret\n");
    let elsewhere = hub.command(&folder, &line).env("HF_HUB_CACHE", folder.path("cache")).output().unwrap();
    let expected = folder.path(&format!("cache/models--harbour--intents/snapshots/{COMMIT}"));
    assert_eq!(Run::of(elsewhere).succeeds().stdout, format!("{}\n", expected.display()));
}

#[test]
fn what_the_hub_does_not_have_is_told_apart() {
    let (folder, hub) = small();
    hub.add("harbour/gguf", "model.gguf", b"");
    hub.add("harbour/tf", "config.json", b"{}");
    hub.add("harbour/tf", "tf_model.h5", b"");
    for (line, said) in [
        (
            "fetch harbour/intent",
            &["error: cannot fetch `harbour/intent`\n", " has no such model, or it is private\n", "in `HF_TOKEN`"][..],
        ),
        ("fetch harbour/intents --revision v2", &["caused by: there is no revision `v2`\nhint: `http://127.0.0.1:"]),
        ("fetch harbour/gguf", &["the repository has no `config.json`\nhint: ", "this one holds `model.gguf`"]),
        (
            "fetch harbour/tf",
            &["the repository has no weights, expected one of `model.safetensors`, ", "`tf_model.h5`"],
        ),
        ("fetch intents", &["invalid value 'intents' for '<ORG/NAME>': expected ORG/NAME, as in"]),
        ("fetch harbour/intents --revision a..b", &["expected a branch, a tag or a commit"]),
    ] {
        hub.run(&folder, &format!("{line} --out model")).fails_with(said);
        assert_eq!(folder.names(), Vec::<PathBuf>::new(), "after `{line}`");
    }
    hub.play("config.json", Trick::Status("503 Service Unavailable"));
    hub.run(&folder, &format!("fetch {INTENTS}")).fails_with(&["answers with status 503", "hint: try again later"]);
}

#[test]
fn a_hub_that_cannot_be_reached_is_named() {
    let (folder, hub) = small();
    let line = format!("fetch {INTENTS} --out model");
    for endpoint in ["http://127.0.0.1:1", "nonsense"] {
        let run = Run::of(hub.command(&folder, &line).env("HF_ENDPOINT", endpoint).output().unwrap());
        run.fails_with(&[
            &format!("cannot reach `{endpoint}`\n  caused by: "),
            "hint: check the network, and `HF_ENDPOINT`",
        ]);
        assert_eq!(folder.names(), Vec::<PathBuf>::new());
    }
    folder.write("home", "no folder");
    hub.run(&folder, &line).fails_with(&["cannot write to the cache `", "hint: free disk space, or set `HF_HOME`"]);
}
