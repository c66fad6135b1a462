//! Counts the instructions of a program beside us with callgrind, between its functions
//! `start_counting` and `stop_counting`.

use core::error;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

/// The columns of a line, and the instructions each time.
pub type Count = (Vec<String>, f64);

/// Runs the program, which lies where the one that asks does and prints a line for each part that is
/// counted. The last column of the line is how often the part does what is counted; it is not among
/// those that are returned.
///
/// # Errors
/// valgrind is missing or fails, or the program prints something else.
pub fn count(program: &str) -> Result<Vec<Count>, Box<dyn error::Error>> {
    let exe = env::current_exe()?;
    let target = exe.ancestors().nth(2).ok_or("not in a target folder")?;
    let folder = target.join("callgrind").join(program);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let run = Command::new("valgrind")
        .args(["--tool=callgrind", "--zero-before=*start_counting*"])
        .arg("--dump-before=*stop_counting*")
        .arg(format!("--callgrind-out-file={}", folder.join("out").display()))
        .arg(exe.with_file_name(program))
        .output()?;
    if !run.status.success() {
        return Err(String::from_utf8_lossy(&run.stderr).into());
    }
    let total = |(i, line): (usize, &str)| {
        let mut columns: Vec<String> = line.split('\t').map(str::to_owned).collect();
        let times: f64 = columns.pop().ok_or("an empty line")?.parse()?;
        let dump: &Path = &folder.join(format!("out.{}", i + 1));
        let dump = fs::read_to_string(dump)?;
        let total = dump.lines().find_map(|line| line.strip_prefix("totals: "));
        let total: f64 = total.ok_or("a dump without totals")?.trim().parse()?;
        Ok((columns, total / times))
    };
    String::from_utf8(run.stdout)?.lines().enumerate().map(total).collect()
}
