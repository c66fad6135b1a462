//! Measures all clients, and makes tables.

use std::env;

use crate::case::{Case, Way};
use crate::programs::{Client, Server, clients};

/// How many messages a measurement takes, by QoS, for one that is fast.
const COUNTS: [usize; 3] = [300_000, 150_000, 80_000];

/// The same against mosquitto.
const COUNTS_OF_MOSQUITTO: [usize; 3] = [40_000, 20_000, 10_000];

/// How many messages system calls are counted of.
const COUNT_OF_CALLS: usize = 20_000;

const HEAD: &str = "# Clients, measured

Every client in the same run on the same machine, over TCP on loopback, each in a process of its own; CPU
seconds are those of this process. At QoS 1 and 2, 100 messages that are published may be in flight, and
1000 that are received. *The limit* is a loop written by hand, that sends ready bytes and counts packets.
Median of so many runs as `RUNS` says. A dash: there is nothing to measure, or the client has stopped.

```text
RUNS=3 cargo bench -p motewire-benches --no-default-features --bench client -- results
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

/// Prints the tables as they come to be, and returns them.
pub(crate) fn compare(wanted: &[&str]) -> String {
    let mut clients = clients();
    clients.retain(|client| wanted.is_empty() || wanted.contains(&client.name.as_str()));
    let sink = Server::sink();
    let mosquitto = Server::mosquitto();
    let mut tables = String::from(HEAD);
    let mut line = |line: &str| {
        println!("{line}");
        tables.push_str(line);
        tables.push('\n');
    };
    let mut rates = Vec::new();
    line("## CPU seconds of the client per million messages\n");
    head("| | QoS | bytes", &clients).iter().for_each(|text| line(text));
    for Row { case, mosquitto: to_mosquitto } in rows() {
        let server = if to_mosquitto { mosquitto.as_ref() } else { Some(&sink) };
        let Some(server) = server else { continue };
        let (mut cells, mut rate_cells) = (String::new(), String::new());
        for client in &clients {
            let counts = if to_mosquitto { COUNTS_OF_MOSQUITTO } else { COUNTS };
            // mosquitto takes longer than most clients.
            let share = if to_mosquitto { client.share.div_ceil(10) } else { client.share };
            let count = counts[usize::from(case.qos)] / share;
            let case = Case { count, ..case };
            let (cpu, rate) = client.measure("run", server.port, &words(case));
            cells += &figure(cpu, 2);
            rate_cells += &figure(rate / 1000.0, 0);
        }
        let via = if to_mosquitto { ", mosquitto" } else { "" };
        let row = format!("| {}{via} | {} | {} |", case.way.word(), case.qos, case.size);
        line(&(row.clone() + &cells));
        rates.push(row + &rate_cells);
    }
    line("\n## Thousands of messages per second\n");
    head("| | QoS | bytes", &clients).iter().for_each(|text| line(text));
    rates.iter().for_each(|text| line(text));
    if env::var("ROWS").is_ok() {
        return tables;
    }
    line("\n## System calls per message, 64 bytes\n");
    head("| | QoS", &clients).iter().for_each(|text| line(text));
    for (way, qos) in [(Way::Publish, 0), (Way::Publish, 1), (Way::Receive, 1), (Way::Echo, 1)] {
        let case = Case { way, qos, size: 64, count: COUNT_OF_CALLS };
        let calls = |client: &Client| client.system_calls(sink.port, &words(case));
        let cells: String =
            clients.iter().map(|c| figure(calls(c) / COUNT_OF_CALLS as f64, 3)).collect();
        line(&format!("| {} | {qos} |{cells}", way.word()));
    }
    line("\n## One client\n");
    line(
        "Round trip: from publishing at QoS 1, a thousand times a second, to the acknowledgement.\n",
    );
    line("| | round trip, p50, us | p99, us | memory of one more, KiB | wake-ups / s of 50 |");
    line("|---|---|---|---|---|");
    for client in &clients {
        let (p50, p99) = client.measure("round-trip", sink.port, "");
        let (memory, wakes) = client.measure("idle", sink.port, "");
        let [p50, p99] = [p50, p99].map(|time| figure(time, 0));
        line(&format!("| {} |{p50}{p99}{}{}", client.name, figure(memory, 1), figure(wakes, 1)));
    }
    tables
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

fn figure(figure: f64, digits: usize) -> String {
    if figure.is_nan() { " - |".into() } else { format!(" {figure:.digits$} |") }
}
