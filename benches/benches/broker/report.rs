//! Tables, as they are printed and written to `RESULTS-broker.md`.

use core::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use crate::servers::Kind;

/// Figures of brokers side by side.
pub(crate) struct Table {
    title: String,
    text: String,
    /// Whether there is a column for the limit.
    limited: bool,
    decimals: usize,
}

/// A figure, and the part of the messages that never came.
type Cell = Option<(f64, f64)>;

impl Table {
    pub(crate) fn new(title: &str, limited: bool, decimals: usize) -> Self {
        let limit = if limited { " limit |" } else { "" };
        let line = if limited { "--:|" } else { "" };
        let text = format!(
            "## {title}\n\n| scenario | motewire | mosquitto | ratio | rumqttd | mqtt5 | rmqtt |{limit}\n\
             |---|--:|--:|--:|--:|--:|--:|{line}\n"
        );
        Self { title: title.to_owned(), text, limited, decimals }
    }

    pub(crate) fn row(&mut self, name: &str, cells: &[(Kind, Cell)]) {
        let of = |kind| cells.iter().find(|(of, _)| *of == kind).and_then(|(_, cell)| *cell);
        let show = |kind| match of(kind) {
            None => "–".to_owned(),
            Some((value, lost)) if lost > 0.0005 => {
                format!("{value:.*}, {:.1} % lost", self.decimals, lost * 100.0)
            }
            Some((value, _)) => format!("{value:.*}", self.decimals),
        };
        let ratio = match (of(Kind::Motewire), of(Kind::Mosquitto)) {
            (Some((own, _)), Some((other, _))) => format!("{:.2}", own / other),
            _ => "–".to_owned(),
        };
        let mut row = format!(
            "| {name} | {} | {} | {ratio} | {} | {} | {} |",
            show(Kind::Motewire),
            show(Kind::Mosquitto),
            show(Kind::Rumqttd),
            show(Kind::Mqtt5),
            show(Kind::Rmqtt)
        );
        if self.limited {
            let _ = write!(row, " {} |", show(Kind::Limit));
        }
        println!("{}: {row}", self.title);
        let _ = writeln!(self.text, "{row}");
    }
}

/// All that is written.
#[derive(Default)]
pub(crate) struct Report {
    tables: Vec<String>,
}

impl Report {
    pub(crate) fn add(&mut self, table: Table) {
        self.tables.push(table.text);
    }

    pub(crate) fn write(&self) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let notes = std::fs::read_to_string(folder.join("NOTES-broker.md")).expect("the notes");
        let mosquitto = Command::new("/usr/sbin/mosquitto").arg("-h").output();
        let mosquitto = mosquitto.map(|output| output.stdout).unwrap_or_default();
        let mosquitto = String::from_utf8_lossy(&mosquitto);
        let text = format!(
            "# Broker: measured\n\n\
             Written by the bench `broker -- --results`; figures are not edited by hand.\n{}, {}, {}.\n\n\
             {}\n\n## Notes\n\n{notes}",
            motewire_benches::cpu(),
            motewire_benches::first_line("rustc", "--version"),
            mosquitto.lines().next().unwrap_or("no mosquitto"),
            self.tables.join("\n").trim_end(),
        );
        std::fs::write(folder.join("RESULTS-broker.md"), text).expect("the file can be written");
    }
}
