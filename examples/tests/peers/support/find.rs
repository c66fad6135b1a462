//! Where a peer is on this machine.

use std::env;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The command that runs the peer called `name`, without arguments yet, or `None` with a line
/// on standard error when this machine has none.
///
/// | name | is |
/// |---|---|
/// | `paho-mqtt` | a Python that can import it |
/// | `npm:PACKAGE` | a Node.js that can require it |
/// | `libpaho-mqtt3cs` | a C compiler that finds its header |
/// | any other | the program of that name |
///
/// Python and Node packages are looked for in the folder `$MOTEWIRE_PEERS` (a virtual
/// environment `venv` and a `node_modules`), where `.ci/run` installs them, and then in what
/// the machine has by itself.
///
/// # Panics
///
/// When there is none and `CI` is `true`: there, nothing may be skipped.
pub(crate) fn peer(name: &str) -> Option<Command> {
    let found = match name.strip_prefix("npm:") {
        Some(package) => node_with(package),
        None if name == "paho-mqtt" => python_with("paho.mqtt"),
        None if name == "libpaho-mqtt3cs" => compiler_with("MQTTClient.h"),
        None => program(name).map(Command::new),
    };
    if found.is_none() {
        assert!(env::var("CI").as_deref() != Ok("true"), "{name} not found, and this is CI");
        // Not by `eprintln!`, which the test runner keeps to itself when a test passes.
        let _ = writeln!(io::stderr(), "SKIPPED: {name} not found");
    }
    found
}

/// The folder of `.ci/run`'s Python and Node packages.
fn peers_folder() -> Option<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("MOTEWIRE_PEERS").or_else(|| {
        let cache = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))?;
        Some(cache.join("motewire-peers"))
    })
}

/// The program `name` in `PATH`, or where Debian keeps servers, which `PATH` need not name.
fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/sbin")])
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

fn python_with(module: &str) -> Option<Command> {
    let own = peers_folder().map(|folder| folder.join("venv/bin/python"));
    own.into_iter()
        .chain(program("python3"))
        .find(|python| works(Command::new(python).args(["-c", &format!("import {module}")])))
        .map(Command::new)
}

fn compiler_with(header: &str) -> Option<Command> {
    let compiler = program("cc")?;
    let finds_it =
        works(Command::new(&compiler).args(["-E", "-include", header, "-xc", "/dev/null"]));
    finds_it.then(|| Command::new(compiler))
}

fn node_with(package: &str) -> Option<Command> {
    let node = program("node")?;
    let modules = peers_folder().map(|folder| folder.join("node_modules"));
    modules.iter().map(|folder| Some(folder.as_path())).chain([None]).find_map(|folder| {
        let require = format!("require({package:?})");
        works(node_in(&node, folder).args(["-e", &require])).then(|| node_in(&node, folder))
    })
}

fn node_in(node: &Path, modules: Option<&Path>) -> Command {
    let mut command = Command::new(node);
    if let Some(folder) = modules {
        command.env("NODE_PATH", folder);
    }
    command
}

fn works(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}
