//! Two hosts on one machine: namespaces of the system, joined by a cable of the network.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::invocation::{find_program, is_root};

/// The programs by which hosts are made, with the packages of Debian and Ubuntu.
const PROGRAMS: [(&str, &str); 5] = [
    ("ip", "iproute2"),
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
    ("setpriv", "util-linux"),
    ("mpirun", "openmpi-bin"),
];

const NAMES: [&str; 2] = ["alpha", "beta"];
/// The network card of each host.
const CARD: &str = "eth0";

/// Seconds of silence after which Open MPI asks whether a host is still there, and gives it up: two, and two more.
const KEEPALIVE: [&str; 6] =
    ["oob_tcp_keepalive_time", "2", "oob_tcp_keepalive_intvl", "1", "oob_tcp_keepalive_probes", "2"];

/// A host waits in this line: it has a name, a network card of its own, and a folder for temporary files that no other host sees.
const HOST: &str =
    "hostname \"$1\" && ip link set lo up && mount -t tmpfs tmpfs \"$2\" && echo ready && exec sleep infinity";

/// Why there can be no two hosts here, if so.
pub(super) fn obstacle() -> Option<String> {
    if !cfg!(target_os = "linux") {
        return Some("namespaces of Linux are needed".into());
    }
    for (program, package) in PROGRAMS {
        if find_program(program).is_none() {
            return Some(format!("`{program}` is not installed: apt-get install {package} (Debian, Ubuntu)"));
        }
    }
    let mut words = world().into_iter();
    let program = words.next().expect("a program comes first");
    let output = Command::new(program).args(words).arg("true").output();
    match output {
        Ok(output) if output.status.success() => None,
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Some(format!("the system allows no namespaces ({said}): run as root, in a container with `--privileged`"))
        }
        Err(error) => Some(format!("cannot start `{program}`: {error}")),
    }
}

/// The words in front of a command that runs in a world of its own: processes, mounts and networks in it end with the command,
/// and the command ends with the process that starts it, however that ends.
pub(super) fn world() -> Vec<&'static str> {
    let mut words = vec!["setpriv", "--pdeathsig", "KILL", "unshare"];
    if !is_root() {
        words.push("--map-root-user");
    }
    words.extend(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    words
}

/// Two hosts, which end with this value. Only in a [`world`] of their own.
pub(super) struct Hosts {
    hosts: Vec<Child>,
    folder: PathBuf,
}

impl Hosts {
    /// Starts the hosts, which share all files but those of `folder/tmp`.
    ///
    /// # Errors
    /// If the system does not allow one of the steps.
    pub(super) fn start(folder: &Path) -> Result<Self> {
        let tmp = folder.join("tmp");
        fs::create_dir_all(&tmp).with_context(|| format!("cannot create `{}`", tmp.display()))?;
        ip(&["link", "add", "card0", "type", "veth", "peer", "name", "card1"])?;
        let mut hosts = Self { hosts: Vec::new(), folder: folder.to_owned() };
        for (number, name) in NAMES.iter().enumerate() {
            hosts.add(number, name, &tmp)?;
        }
        hosts.write_agent()?;
        Ok(hosts)
    }

    fn add(&mut self, number: usize, name: &str, tmp: &Path) -> Result<()> {
        let mut host = Command::new("unshare")
            .args(["--net", "--uts", "--ipc", "--mount", "sh", "-c", HOST, "sh", name])
            .arg(tmp)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start a host")?;
        let stdout = host.stdout.take();
        let process = host.id().to_string();
        self.hosts.push(host);
        let mut line = String::new();
        stdout.map(|stdout| BufReader::new(stdout).read_line(&mut line)).transpose()?;
        ensure!(line == "ready\n", "the host `{name}` does not start");
        let address = format!("10.0.0.{}/24", number + 1);
        ip(&["link", "set", &format!("card{number}"), "netns", &process, "name", CARD])?;
        self.ip(number, &["address", "add", &address, "dev", CARD])?;
        self.ip(number, &["link", "set", CARD, "up"])
    }

    /// What `mpirun` calls instead of `ssh`: a host, and the words of a command.
    fn write_agent(&self) -> Result<()> {
        let cases: String = NAMES
            .iter()
            .zip(&self.hosts)
            .map(|(name, host)| format!("    {name}) process={} ;;\n", host.id()))
            .collect();
        let text = format!(
            "case \"$1\" in\n{cases}    *) echo \"unknown host: $1\" >&2; exit 1 ;;\nesac\nshift\n\
             exec {} \"$process\" sh -c \"$*\"\n",
            ENTER.join(" ")
        );
        let agent = self.agent();
        fs::write(&agent, text).with_context(|| format!("cannot write `{}`", agent.display()))
    }

    fn agent(&self) -> PathBuf {
        self.folder.join("agent")
    }

    /// `mpirun` on the first host, which runs `command` in the folder by so many ranks on each. If it `listens`, it gives a silent
    /// host up after some seconds, else after eight minutes, as it does by itself.
    pub(super) fn mpirun(&self, ranks_per_host: usize, listens: bool, command: &[String]) -> Command {
        let slots = NAMES.map(|name| format!("{name}:{ranks_per_host}")).join(",");
        let mut mpirun = self.enter(0);
        mpirun.args(["env", "OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1"]);
        mpirun.arg(format!("TMPDIR={}", self.folder.join("tmp").display()));
        mpirun.args(["mpirun", "--host", &slots, "-n", &(NAMES.len() * ranks_per_host).to_string()]);
        mpirun.arg("--wdir").arg(&self.folder);
        // Both hosts would take the first core of the machine.
        mpirun.args(["--bind-to", "none"]);
        mpirun.args(["--mca", "plm_rsh_agent"]).arg(format!("sh {}", self.agent().display()));
        mpirun.args(["--mca", "orte_tmpdir_base"]).arg(self.folder.join("tmp"));
        mpirun.args(["--mca", "btl_tcp_if_include", CARD, "--mca", "oob_tcp_if_include", CARD]);
        for setting in KEEPALIVE.chunks(2).filter(|_| listens) {
            mpirun.arg("--mca").args(setting);
        }
        mpirun.args(command);
        mpirun
    }

    /// Cuts the cable.
    ///
    /// # Errors
    /// If `ip` fails.
    pub(super) fn cut(&self) -> Result<()> {
        self.ip(0, &["link", "set", CARD, "down"])
    }

    /// Mends the cable, and waits until the hosts notice.
    ///
    /// # Errors
    /// If `ip` fails.
    pub(super) fn mend(&self) -> Result<()> {
        self.ip(0, &["link", "set", CARD, "up"])?;
        while !(0..NAMES.len()).all(|host| self.card(host).is_ok_and(|card| card["operstate"] == "UP")) {
            thread::sleep(Duration::from_millis(50));
        }
        // Each has noted that it cannot find the other, and would refuse connections for a while.
        (0..NAMES.len()).try_for_each(|host| self.ip(host, &["neighbour", "flush", "dev", CARD]))
    }

    /// Bytes that the first host has sent and received through the cable.
    ///
    /// # Errors
    /// If `ip` does not tell.
    pub(super) fn bytes_through_cable(&self) -> Result<u64> {
        let card = self.card(0)?;
        let bytes = |direction: &str| card["stats64"][direction]["bytes"].as_u64();
        bytes("tx").zip(bytes("rx")).map(|(sent, received)| sent + received).context("`ip` tells no bytes")
    }

    /// What `ip` says about the network card.
    fn card(&self, host: usize) -> Result<Value> {
        let output = self.enter(host).args(["ip", "-json", "-stats", "link", "show", CARD]).output()?;
        let mut cards: Vec<Value> = serde_json::from_slice(&output.stdout).context("cannot read the output of `ip`")?;
        cards.pop().context("`ip` tells of no network card")
    }

    fn ip(&self, host: usize, args: &[&str]) -> Result<()> {
        done(self.enter(host).arg("ip").args(args))
    }

    fn enter(&self, host: usize) -> Command {
        let mut command = Command::new(ENTER[0]);
        command.args(&ENTER[1..]).arg(self.hosts[host].id().to_string());
        command
    }
}

/// The words in front of the process whose host is entered, and of a command.
const ENTER: [&str; 6] = ["nsenter", "--net", "--uts", "--ipc", "--mount", "--target"];

impl Drop for Hosts {
    fn drop(&mut self) {
        for host in &mut self.hosts {
            // What fails here ends with the world.
            let _ = host.kill();
            let _ = host.wait();
        }
    }
}

fn ip(args: &[&str]) -> Result<()> {
    done(Command::new("ip").args(args))
}

fn done(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
