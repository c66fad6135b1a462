//! The example programs of this package, as cargo built them beside this test.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The command that runs the example `name`, without arguments yet.
///
/// # Panics
///
/// When it is not built, or built from other sources than these: `cargo test` builds all
/// examples, but `cargo test --test NAME` leaves them as they are.
pub(crate) fn example(name: &str) -> Command {
    let test = env::current_exe().expect("a running program has a file");
    // target/PROFILE/deps/THIS beside target/PROFILE/examples/NAME.
    let profile = test.ancestors().nth(2).expect("cargo's folders");
    let file = profile.join("examples").join(name);
    let advice = format!("run `cargo build -p {} --example {name}`", env!("CARGO_PKG_NAME"));
    assert!(file.is_file(), "{} is missing: {advice}", file.display());
    if let Some(newer) = newer_source(&file) {
        panic!("{} is newer than {}: {advice}", newer.display(), file.display());
    }
    Command::new(file)
}

/// A source file that changed after `program` was built from it, by cargo's list of them.
fn newer_source(program: &Path) -> Option<PathBuf> {
    let modified = |file: &Path| fs::metadata(file).and_then(|data| data.modified());
    let list = fs::read_to_string(program.with_extension("d")).expect("cargo's list of sources");
    let (_, sources) = list.split_once(": ").expect("PROGRAM: SOURCE...");
    let built = modified(program).expect("it has just been seen");
    // A blank within a path is written as "\ ".
    sources
        .replace("\\ ", "\0")
        .split_whitespace()
        .map(|source| PathBuf::from(source.replace('\0', " ")))
        .find(|source| modified(source).is_ok_and(|time| time > built))
}
