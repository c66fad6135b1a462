//! Writes what was measured. `results codec` writes `RESULTS.md`: the times of the last `cargo
//! bench`, and instructions and allocations, which it counts itself. `results lorawan` writes
//! `RESULTS-lorawan.md`: the times. Nothing in the tables comes from elsewhere.
//!
//! `cargo run --profile bench -p motewire-benches --bin results -- codec`

use core::fmt::Write as _;
use core::hint::black_box;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, error, fs};

use motewire_benches::codec::{
    self, Buffer, Codec, Limit, Memcpy, Ours, Row, Std, Swar, Valid, Visitor,
};
use motewire_benches::{callgrind, cpu, first_line};
use serde_json::Value;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

/// Way ("decode" or "encode") and row.
type Key = (String, String);
/// A figure per packet, by codec.
type Figures = HashMap<Key, HashMap<String, f64>>;

/// Counts allocations; the buffers of the codecs are there before.
#[derive(Default)]
struct Allocations {
    order: Vec<Key>,
    names: Vec<String>,
    counts: Figures,
}

impl Allocations {
    fn count(&mut self, way: &str, row: &Row, name: &str, packets: usize, run: impl FnOnce()) {
        let region = Region::new(ALLOCATOR);
        run();
        let stats = region.change();
        let count = (stats.allocations + stats.reallocations) as f64 / packets as f64;
        let key = (way.to_owned(), row.name.to_owned());
        if !self.order.contains(&key) {
            self.order.push(key.clone());
        }
        if !self.names.iter().any(|known| known == name) {
            self.names.push(name.to_owned());
        }
        self.counts.entry(key).or_default().insert(name.to_owned(), count);
    }
}

impl Visitor for Allocations {
    fn decode<C: Codec>(&mut self, row: &Row, codec: &mut C) {
        match row.chunk {
            Some(size) => {
                let mut carry = C::Carry::default();
                codec.decode_chunks(&row.stream, size, &mut carry);
                self.count("decode", row, C::NAME, row.packets, || {
                    black_box(codec.decode_chunks(&row.stream, size, &mut carry));
                });
            }
            None => {
                let mut first = C::input(&row.stream);
                codec::decode_all(codec, &mut first);
                let mut input = C::input(&row.stream);
                self.count("decode", row, C::NAME, row.packets, || {
                    black_box(codec::decode_all(codec, &mut input));
                });
            }
        }
    }

    fn encode<C: Codec>(&mut self, row: &Row, codec: &mut C) {
        let packets = codec::packets_to_send(codec, row);
        let mut buffer = C::Buffer::with_capacity(row.stream.len());
        let size = row.chunk.unwrap_or(usize::MAX);
        codec::encode_all(codec, &packets, size, &mut buffer);
        self.count("encode", row, C::NAME, row.encode_packets, || {
            black_box(codec::encode_all(codec, &packets, size, &mut buffer));
        });
    }
}

/// Instructions per packet, counted by callgrind.
fn instructions() -> Result<Figures, Box<dyn error::Error>> {
    let mut figures = Figures::new();
    for (columns, per_packet) in callgrind::count("codec_instructions")? {
        let [way, row, name] = <[String; 3]>::try_from(columns)
            .map_err(|columns| format!("not understood: {columns:?}"))?;
        figures.entry((way, row)).or_default().insert(name, per_packet);
    }
    Ok(figures)
}

/// Nanoseconds per packet, the median of what criterion left below `folder`: group and function,
/// the value (the name of a codec, or of a row), nanoseconds.
fn times(
    folder: &Path,
    take: &mut impl FnMut(Key, String, f64),
) -> Result<(), Box<dyn error::Error>> {
    if folder.join("benchmark.json").exists() && folder.ends_with("new") {
        let read = |name| -> Result<Value, Box<dyn error::Error>> {
            Ok(serde_json::from_str(&fs::read_to_string(folder.join(name))?)?)
        };
        let (about, estimates) = (read("benchmark.json")?, read("estimates.json")?);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let key = (text(&about["group_id"]), text(&about["function_id"]));
        let packets = about["throughput"]["Elements"].as_f64().ok_or("no throughput")?;
        let median = estimates["median"]["point_estimate"].as_f64().ok_or("no median")?;
        take(key, text(&about["value_str"]), median / packets);
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            times(&path, take)?;
        }
    }
    Ok(())
}

/// Limits, ours and the best peer, with the ratios.
fn compare(text: &mut String, order: &[Key], figures: &Figures, unit: &str) {
    let _ = writeln!(
        text,
        "| row | memcpy | {swar} | {std} | {valid} | {ours} | / {std} | / {swar} | / {valid} | best peer | ours / best peer |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|---|--:|",
        swar = Limit::<Swar>::NAME,
        std = Limit::<Std>::NAME,
        valid = Valid::NAME,
        ours = <Ours>::NAME,
    );
    let limits = [Memcpy::NAME, Limit::<Swar>::NAME, Limit::<Std>::NAME, Valid::NAME];
    for key in order {
        let Some(row) = figures.get(key) else { continue };
        let figure = |name: &str| row.get(name).copied();
        let show = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), number);
        let ours = figure(<Ours>::NAME);
        let ratio = |other: Option<f64>| match (ours, other) {
            (Some(ours), Some(other)) => format!("{:.2}", ours / other),
            _ => "-".to_owned(),
        };
        let best = row
            .iter()
            .filter(|(name, _)| *name != <Ours>::NAME && !limits.contains(&name.as_str()))
            .min_by(|a, b| a.1.total_cmp(b.1));
        let best_name = best
            .map_or_else(|| "-".to_owned(), |(name, value)| format!("{name} {}", number(*value)));
        let _ = writeln!(
            text,
            "| {} {} | {} | {} | {} | {} | {} | {} | {} | {} | {best_name} | {} |",
            key.0,
            key.1,
            show(figure(Memcpy::NAME)),
            show(figure(Limit::<Swar>::NAME)),
            show(figure(Limit::<Std>::NAME)),
            show(figure(Valid::NAME)),
            show(ours),
            ratio(figure(Limit::<Std>::NAME)),
            ratio(figure(Limit::<Swar>::NAME)),
            ratio(figure(Valid::NAME)),
            ratio(best.map(|(_, value)| *value)),
        );
    }
    let _ = writeln!(text, "\nPer packet, {unit}.\n");
}

/// Every codec in every row.
fn all(text: &mut String, order: &[Key], names: &[String], figures: &Figures) {
    let _ = writeln!(text, "| row | {} |", names.join(" | "));
    let _ = writeln!(text, "|---|{}", "--:|".repeat(names.len()));
    for key in order {
        let Some(row) = figures.get(key) else { continue };
        let cells: Vec<_> =
            names.iter().map(|name| row.get(name).map_or("-".to_owned(), |v| number(*v))).collect();
        let _ = writeln!(text, "| {} {} | {} |", key.0, key.1, cells.join(" | "));
    }
    text.push('\n');
}

fn number(value: f64) -> String {
    if value >= 100.0 || value.fract() == 0.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.1}")
    }
}

fn target_folder() -> Result<PathBuf, Box<dyn error::Error>> {
    let exe = env::current_exe()?;
    Ok(exe.ancestors().nth(2).ok_or("not in a target folder")?.to_owned())
}

/// One table per group of the LoRaWAN benchmark: a row per frame, a column per library or limit.
fn lorawan_results() -> Result<(), Box<dyn error::Error>> {
    const OURS: &str = "lorawan_frame";
    const FRAMES: [&str; 7] = [
        "limit, frame after frame",
        "limit, overlapping",
        "limit, overlapping and grouped",
        OURS,
        "lora-rs, keys cached",
        "lora-rs",
        "lrwn",
    ];
    const SERVER: [&str; 2] = ["one by one", "verify_batch"];
    let folder = target_folder()?.join("criterion");
    let (mut frames, mut server) = (HashMap::new(), HashMap::new());
    times(&folder, &mut |(group, name), row, time| {
        let rows = match group.as_str() {
            "lorawan frames" => &mut frames,
            "lorawan server" => &mut server,
            _ => return,
        };
        rows.entry(row).or_insert_with(HashMap::new).insert(name, time);
    })?;
    if frames.is_empty() || server.is_empty() {
        return Err("run `cargo bench -p motewire-benches --bench lorawan` first".into());
    }

    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut text = format!(
        "# LoRaWAN: measured\n\n\
         Written by `results -- lorawan` (see `src/bin/results.rs`) after `cargo bench -p \
         motewire-benches --bench lorawan`; figures are not edited by hand.\n{}, {}.\n\n\
         ## Frames\n\nNanoseconds, median.\n\n\
         | row | {} | / frame after frame | / overlapping |\n|---|{}\n",
        cpu(),
        first_line("rustc", "--version"),
        FRAMES.join(" | "),
        "--:|".repeat(FRAMES.len() + 2),
    );
    let cells = |row: &HashMap<String, f64>, names: &[&str]| {
        let show = |name: &&str| row.get(*name).map_or("-".to_owned(), |time| number(*time));
        names.iter().map(show).collect::<Vec<_>>().join(" | ")
    };
    for (name, row) in sorted(&frames) {
        let ratio = |limit: &str| match (row.get(OURS), row.get(limit)) {
            (Some(ours), Some(limit)) => format!("{:.2}", ours / limit),
            _ => "-".to_owned(),
        };
        let [in_turn, overlapping, ..] = FRAMES.map(ratio);
        let _ = writeln!(text, "| {name} | {} | {in_turn} | {overlapping} |", cells(row, &FRAMES));
    }
    text.push_str(
        "\n## A server\n\nNanoseconds per frame, of 256 devices.\n\n\
         | row | one by one | verify_batch | frames per second and core, the better |\n\
         |---|--:|--:|--:|\n",
    );
    for (name, row) in sorted(&server) {
        let best = row.values().copied().fold(f64::INFINITY, f64::min);
        let millions = 1e3 / best;
        let _ = writeln!(text, "| {name} | {} | {millions:.1} million |", cells(row, &SERVER));
    }
    text.push_str("\n## Notes\n\n");
    text.push_str(&fs::read_to_string(manifest.join("NOTES-lorawan.md"))?);
    fs::write(manifest.join("RESULTS-lorawan.md"), text)?;
    Ok(())
}

fn sorted<T>(rows: &HashMap<String, T>) -> Vec<(&String, &T)> {
    let mut rows: Vec<_> = rows.iter().collect();
    rows.sort_by_key(|(name, _)| *name);
    rows
}

fn codec_results() -> Result<(), Box<dyn error::Error>> {
    let target = target_folder()?;
    let mut allocations = Allocations::default();
    codec::visit(&mut allocations);
    let Allocations { order, names, counts } = allocations;
    let instructions = instructions()?;
    let mut nanoseconds = Figures::new();
    let criterion = target.join("criterion");
    for way in ["decode", "encode"] {
        if criterion.join(way).exists() {
            times(&criterion.join(way), &mut |key, codec, time| {
                // Rows and codecs that had another name in an earlier run lie there still.
                if counts.get(&key).is_some_and(|row| row.contains_key(&codec)) {
                    nanoseconds.entry(key).or_default().insert(codec, time);
                }
            })?;
        }
    }

    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let notes = fs::read_to_string(manifest.join("NOTES-codec.md"))?;
    let mut text = format!(
        "# Codec: measured\n\n\
         Written by `results -- codec` (see `src/bin/results.rs`); figures are not edited by hand.\n\
         {}, {}, {}.\n\n## Time\n\n",
        cpu(),
        first_line("rustc", "--version"),
        first_line("valgrind", "--version"),
    );
    if nanoseconds.is_empty() {
        text.push_str(
            "Not measured: run `cargo bench -p motewire-benches --bench codec` first.\n\n",
        );
    } else {
        compare(&mut text, &order, &nanoseconds, "nanoseconds (median)");
    }
    text.push_str("## Instructions\n\n");
    compare(&mut text, &order, &instructions, "instructions (callgrind)");
    text.push_str("## Notes\n\n");
    text.push_str(&notes);
    text.push_str("\n## All of them\n\nNanoseconds:\n\n");
    all(&mut text, &order, &names, &nanoseconds);
    text.push_str("Instructions:\n\n");
    all(&mut text, &order, &names, &instructions);
    text.push_str("Allocations and reallocations:\n\n");
    all(&mut text, &order, &names, &counts);
    fs::write(manifest.join("RESULTS.md"), text)?;

    let ours = |key: &Key| counts.get(key).and_then(|row| row.get(<Ours>::NAME)).copied();
    match order.iter().find(|key| ours(key) != Some(0.0)) {
        Some((way, row)) => {
            Err(format!("{way} {row}: ours allocates, or has no part in it").into())
        }
        None => Ok(()),
    }
}

fn main() -> ExitCode {
    let result = match env::args().nth(1).as_deref() {
        Some("codec") => codec_results(),
        Some("lorawan") => lorawan_results(),
        _ => Err("usage: results codec|lorawan".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
