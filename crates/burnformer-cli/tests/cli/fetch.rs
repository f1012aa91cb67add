//! `burnformer fetch`, from a server that plays the hub.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::hub::{COMMIT, Hub, LISTING, Trick};
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
    let line = format!("fetch {INTENTS}");
    // Of the right size, in both kinds of files.
    for file in ["config.json", WEIGHTS] {
        hub.play(file, Trick::Change);
        hub.run(&folder, &line).fails_with(&[
            &format!("`{file}` does not match the checksum that the hub lists"),
            "hint: run the command again; a proxy may have changed the file",
        ]);
        assert!(!snapshot(&folder).join(file).exists() && part(&folder).is_none());
    }
    // More than was listed, without an end.
    hub.play(WEIGHTS, Trick::GoOn);
    hub.run(&folder, &line).fails_with(&["sends more of `model.safetensors` than the 300000 bytes that the hub lists"]);
    assert!(!snapshot(&folder).join(WEIGHTS).exists() && part(&folder).is_none());
    check_weights(&folder, &hub.run(&folder, &line).succeeds());
}

#[test]
fn a_beginning_is_used_only_if_it_is_right() {
    let (folder, hub) = small();
    let line = format!("fetch {INTENTS}");
    hub.play(WEIGHTS, Trick::BreakOff(100_000));
    hub.run(&folder, &line).fails_with(&["was lost"]);
    // A server that does not know about parts of files.
    hub.play(WEIGHTS, Trick::Restart);
    check_weights(&folder, &hub.run(&folder, &line).succeeds());

    // What a program has left that was ended before it could give the whole file its name; and the same, damaged.
    let blobs = folder.path("home/hub/models--harbour--intents/blobs");
    let blob = fs::canonicalize(snapshot(&folder).join(WEIGHTS)).unwrap();
    let left = blobs.join(blob.file_name().unwrap()).with_extension("part");
    fs::rename(&blob, &left).unwrap();
    hub.requests();
    check_weights(&folder, &hub.run(&folder, &line).succeeds());
    assert_eq!(hub.sent(), []);
    for damaged in [vec![0; 300_000], vec![0; 300_001]] {
        fs::remove_file(&blob).unwrap();
        fs::write(&left, damaged).unwrap();
        check_weights(&folder, &hub.run(&folder, &line).succeeds());
    }
    fs::remove_file(&blob).unwrap();
    fs::write(&left, vec![0; 100_000]).unwrap();
    hub.run(&folder, &line).fails_with(&["does not match the checksum"]);
    check_weights(&folder, &hub.run(&folder, &line).succeeds());

    // A file of this name and size that another program has left, with other content.
    fs::remove_dir_all(snapshot(&folder)).unwrap();
    fs::write(&blob, vec![0; 300_000]).unwrap();
    check_weights(&folder, &hub.run(&folder, &line).succeeds());
}

#[test]
fn no_name_of_the_server_leads_out_of_the_cache() {
    let (folder, hub) = small();
    let line = format!("fetch {INTENTS}");
    let secret = folder.path("secret");
    fs::write(&secret, "mine").unwrap();
    let outside = secret.to_str().unwrap();
    // Headers are not believed.
    for text in [outside, "../../../../secret"] {
        for file in ["config.json", WEIGHTS] {
            hub.play(file, Trick::Headers(text.to_owned()));
            check_weights(&folder, &hub.run(&folder, &line).succeeds());
            fs::remove_dir_all(folder.path("home")).unwrap();
        }
    }
    // Nor are lists.
    let before = folder.names();
    type Change<'a> = &'a dyn Fn(&mut Value, &str);
    let changes: [(&str, Change<'_>, &str); 4] = [
        ("the commit is `", &|list, text| list["sha"] = json!(text), "expected 40 or 64 hexadecimal digits"),
        ("lists `", &|list, text| list["siblings"][0]["blobId"] = json!(text), "as checksum of `config.json`"),
        ("lists `", &|list, text| list["siblings"][1]["lfs"]["sha256"] = json!(text), "as checksum of `model.saf"),
        ("the hub's answer is not a list of files", &|list, _| list["siblings"][0]["size"] = json!(-1), "-1"),
    ];
    for text in [outside, "..", "../../../../secret"] {
        for (said, change, more) in &changes {
            let mut listing = hub.listing(INTENTS);
            change(&mut listing, text);
            hub.list(INTENTS, &listing);
            hub.run(&folder, &line).fails_with(&[said, more, "hint: use a server that answers as the hub does"]);
        }
    }
    // A file that another one names.
    for name in [format!("../../../../../{outside}"), "../../../../secret".to_owned(), "..\\secret".to_owned()] {
        let index = json!({ "weight_map": { "a": name } }).to_string();
        hub.add(INTENTS, "model.safetensors.index.json", index.as_bytes());
        let mut listing = hub.listing(INTENTS);
        listing["siblings"].as_array_mut().unwrap().retain(|file| file["rfilename"] != WEIGHTS);
        let mut file = listing["siblings"][0].clone();
        file["rfilename"] = json!(name);
        listing["siblings"].as_array_mut().unwrap().push(file);
        hub.list(INTENTS, &listing);
        hub.run(&folder, &line).fails_with(&["the hub lists `", "which is no path inside a folder"]);
    }
    assert_eq!(fs::read_to_string(&secret).unwrap(), "mine");
    let inside = |path: &&PathBuf| !path.starts_with(folder.path("home"));
    let (now, before) = (folder.names(), before);
    assert!(now.iter().filter(inside).eq(before.iter().filter(inside)));
}

#[test]
fn redirects_end() {
    let (folder, hub) = small();
    let line = format!("fetch {INTENTS}");
    for file in ["config.json", WEIGHTS, LISTING] {
        for (to, said) in [
            (None, "the server redirects without saying where to"),
            (Some("/endless"), "the server redirects more than 10 times"),
            (Some("ftp://127.0.0.1/x"), "found `ftp://127.0.0.1/x`"),
            (Some("http://"), "found `http://`"),
        ] {
            hub.play(file, Trick::Lead(to.map(str::to_owned)));
            hub.run(&folder, &line).fails_with(&["cannot follow where `http://127.0.0.1:", said, "hint: use a server"]);
        }
    }
    check_weights(&folder, &hub.run(&folder, &line).succeeds());
}

#[test]
fn a_server_that_keeps_silent_is_left() {
    let (folder, hub) = small();
    let line = format!("fetch {INTENTS}");
    let waits = |seconds: &str| {
        let mut command = hub.command(&folder, &line);
        Run::of(command.env("HF_HUB_DOWNLOAD_TIMEOUT", seconds).output().unwrap())
    };
    hub.play(LISTING, Trick::Stall(10));
    waits("1")
        .fails_with(&["` has sent nothing for 1 seconds", "hint: try again later; `HF_HUB_DOWNLOAD_TIMEOUT` sets"]);
    hub.play(WEIGHTS, Trick::Stall(100_000));
    let said = "less than 1024 bytes a second of `model.safetensors` have come for 1 seconds";
    waits("1").fails_with(&[said, "hint: run the command again: it continues where this download stopped"]);
    assert_eq!(part(&folder).unwrap().len(), 100_000);
    hub.play(WEIGHTS, Trick::Drip);
    waits("1").fails_with(&[said]);
    waits("soon")
        .fails_with(&["`HF_HUB_DOWNLOAD_TIMEOUT` is `soon`, expected a whole number of seconds", "or unset it"]);
    check_weights(&folder, &hub.run(&folder, &line).succeeds());
}

#[test]
fn what_is_too_large_is_refused_before_it_is_asked_for() {
    let (folder, hub) = small();
    let line = format!("fetch {INTENTS}");
    let mut listing = hub.listing(INTENTS);
    listing["siblings"][1]["size"] = json!(1_u64 << 60);
    hub.list(INTENTS, &listing);
    hub.run(&folder, &line).fails_with(&["the download needs 11529215046068469", " left\nhint: free disk space"]);
    assert_eq!(hub.sent(), []);
    hub.add(INTENTS, "modules.json", b"[]");
    let mut listing = hub.listing(INTENTS);
    listing["siblings"][2]["size"] = json!(100 << 20);
    hub.list(INTENTS, &listing);
    hub.run(&folder, &line).fails_with(&["`modules.json` has 104857600 bytes, expected at most 67108864"]);
    hub.list(INTENTS, " ".repeat((16 << 20) + 1));
    hub.run(&folder, &line).fails_with(&["is not a list of files\n  caused by: it has more than 16777216 bytes"]);
    hub.list(INTENTS, "[".repeat(1 << 20));
    hub.run(&folder, &line).fails_with(&["is not a list of files\n  caused by: it is not the expected JSON"]);
    assert_eq!(folder.names(), Vec::<PathBuf>::new());
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
fn a_token_stays_with_the_hub() {
    let (folder, hub) = small();
    hub.send_large_from("localhost");
    let line = format!("fetch {INTENTS}");
    let with = |token: &str| Run::of(hub.command(&folder, &line).env("HF_TOKEN", token).output().unwrap());
    check_weights(&folder, &with("hf_secret").succeeds());
    let (elsewhere, here): (Vec<_>, Vec<_>) =
        hub.requests().into_iter().partition(|request| request.host.starts_with("localhost"));
    assert!(!elsewhere.is_empty() && elsewhere.iter().all(|request| request.token.is_none()), "{elsewhere:?}");
    assert!(!here.is_empty() && here.iter().all(|request| request.token.is_some()), "{here:?}");
    with("hf_a\tb\u{1}").fails_with(&["the token has characters that no token has", "hint: check `HF_TOKEN`"]);
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
    for (endpoint, said, advised) in [
        ("http://127.0.0.1:1", "cannot reach `http://127.0.0.1:1`\n", "hint: check the network, and `HF_ENDPOINT`"),
        ("nonsense", "`nonsense` is no address of a hub\n", "hint: set `HF_ENDPOINT` to an address such as"),
    ] {
        let run = Run::of(hub.command(&folder, &line).env("HF_ENDPOINT", endpoint).output().unwrap());
        run.fails_with(&[said, "  caused by: ", advised]);
        assert_eq!(folder.names(), Vec::<PathBuf>::new());
    }
    folder.write("home", "no folder");
    hub.run(&folder, &line).fails_with(&["cannot write to the cache `", "hint: free disk space, or set `HF_HOME`"]);
}
