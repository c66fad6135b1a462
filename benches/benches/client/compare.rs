//! Measures all clients, and makes tables.

use std::env;
use std::path::PathBuf;

use crate::case::{Case, Way};
use crate::programs::{Client, Figures, Server, clients, in_turns, run};

/// How many messages system calls are counted of, for a client that is fast.
const COUNT_OF_CALLS: usize = 20_000;

const HEAD: &str = "# Clients, measured

Every client in the same run on the same machine, over TCP on loopback, each in a process of its own; CPU
seconds are those of this process. At QoS 1 and 2, 100 messages that are published may be in flight, and
1000 that are received. *The limit* is a loop written by hand, that sends ready bytes and counts packets.
Each figure is of about a third of a second, the lower median of so many runs as `RUNS` says, in which the
clients take turns. A dash: there is nothing to measure, or the client has failed. *stopped*: a run has not
ended in five seconds, and was cut off.

```text
RUNS=2 cargo bench -p motewire-benches --no-default-features --bench client -- results
```

";

struct Row {
    case: Case,
    mosquitto: bool,
}

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    let mut add = |mosquitto, way, size, qos| {
        rows.push(Row { case: Case { way, qos, size, count: 0 }, mosquitto });
    };
    for (way, size) in
        [Way::Publish, Way::Receive, Way::Echo].map(|way| [(way, 64), (way, 1024)]).concat()
    {
        (0..3).for_each(|qos| add(false, way, size, qos));
    }
    for way in [Way::Publish, Way::Echo] {
        (0..3).for_each(|qos| add(true, way, 64, qos));
    }
    let wanted = env::var("ROWS").unwrap_or_default();
    rows.retain(|row| words(row.case).starts_with(&wanted));
    rows
}

/// The tables as they come to be: printed, and with a file to write to also there after each line.
struct Tables {
    text: String,
    file: Option<PathBuf>,
}

impl Tables {
    fn line(&mut self, line: &str) {
        println!("{line}");
        self.text.push_str(line);
        self.text.push('\n');
        self.write();
    }

    fn write(&self) {
        if let Some(file) = &self.file {
            std::fs::write(file, &self.text).expect("the file can be written");
        }
    }
}

/// Prints the tables, and writes them to a file if one is given, followed by the notes.
pub(crate) fn compare(wanted: &[&str], file: Option<PathBuf>) {
    let mut clients = clients();
    clients.retain(|client| wanted.is_empty() || wanted.contains(&client.name.as_str()));
    let sink = Server::sink();
    let mosquitto = Server::mosquitto();
    let mut tables = Tables { text: String::from(HEAD), file };
    if mosquitto.is_none() {
        tables.line("Without mosquitto, which is not installed here.\n");
    }
    let mut rates = Vec::new();
    tables.line("## CPU seconds of the client per million messages\n");
    head("| | QoS | bytes", &clients).iter().for_each(|text| tables.line(text));
    for Row { case, mosquitto: to_mosquitto } in rows() {
        let server = if to_mosquitto { mosquitto.as_ref() } else { Some(&sink) };
        let Some(server) = server else { continue };
        let (mut cells, mut rate_cells) = (String::new(), String::new());
        for figures in run(&clients, server.port, |count| words(Case { count, ..case })) {
            cells += &figure(figures.map(|(cpu, _)| cpu), 2);
            rate_cells += &figure(figures.map(|(_, rate)| rate / 1000.0), 0);
        }
        let via = if to_mosquitto { ", mosquitto" } else { "" };
        let row = format!("| {}{via} | {} | {} |", case.way.word(), case.qos, case.size);
        tables.line(&(row.clone() + &cells));
        rates.push(row + &rate_cells);
    }
    tables.line("\n## Thousands of messages per second\n");
    head("| | QoS | bytes", &clients).iter().for_each(|text| tables.line(text));
    rates.iter().for_each(|text| tables.line(text));
    if env::var("ROWS").is_err() {
        system_calls(&mut tables, &clients, sink.port);
        one_client(&mut tables, &clients, sink.port);
    }
    let notes = concat!(env!("CARGO_MANIFEST_DIR"), "/NOTES-client.md");
    let notes = std::fs::read_to_string(notes).expect("the notes");
    // A level lower.
    tables.text.push_str(&notes.replacen("# ", "\n## ", 1));
    tables.write();
}

fn system_calls(tables: &mut Tables, clients: &[Client], port: u16) {
    tables.line("\n## System calls per message, 64 bytes\n");
    head("| | QoS", clients).iter().for_each(|text| tables.line(text));
    for (way, qos) in [(Way::Publish, 0), (Way::Publish, 1), (Way::Receive, 1), (Way::Echo, 1)] {
        let mut cells = String::new();
        for client in clients {
            let count = COUNT_OF_CALLS / client.share;
            let case = Case { way, qos, size: 64, count };
            let calls = client.system_calls(port, &words(case));
            cells += &figure(calls.map(|calls| calls / count as f64), 3);
        }
        tables.line(&format!("| {} | {qos} |{cells}", way.word()));
    }
}

fn one_client(tables: &mut Tables, clients: &[Client], port: u16) {
    tables.line("\n## One client\n");
    tables.line(
        "Round trip: from publishing at QoS 1, a thousand times a second, to the acknowledgement.\n",
    );
    tables
        .line("| | round trip, p50, us | p99, us | memory of one more, KiB | wake-ups / s of 50 |");
    tables.line("|---|---|---|---|---|");
    let trips = in_turns(clients, |client, _| client.measure_once("round-trip", port, ""));
    for (client, trip) in clients.iter().zip(trips) {
        let idle = client.measure_once("idle", port, "");
        let cells = [
            figure(trip.map(|(p50, _)| p50), 0),
            figure(trip.map(|(_, p99)| p99), 0),
            figure(idle.map(|(memory, _)| memory), 1),
            figure(idle.map(|(_, wakes)| wakes), 1),
        ];
        tables.line(&format!("| {} |{}", client.name, cells.concat()));
    }
}

/// As command lines have it.
fn words(case: Case) -> String {
    format!("{} {} {} {}", case.way.word(), case.qos, case.size, case.count)
}

/// The head of a table with a column for each client.
fn head(first: &str, clients: &[Client]) -> [String; 2] {
    let names: String = clients.iter().map(|client| format!(" {} |", client.name)).collect();
    let columns = first.matches('|').count() + clients.len();
    [format!("{first} |{names}"), format!("|{}", "---|".repeat(columns))]
}

fn figure(figure: Figures<f64>, digits: usize) -> String {
    match figure {
        Figures::Measured(figure) => format!(" {figure:.digits$} |"),
        Figures::Stopped => " stopped |".into(),
        Figures::Nothing => " - |".into(),
    }
}
