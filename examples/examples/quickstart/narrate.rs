//! What is printed: a line per step, at a pace that people can read if asked for.

use core::fmt::Display;
use core::time::Duration;
use std::sync::Mutex;

/// The layers of the family, in the order in which a reading passes them.
#[derive(Clone, Copy)]
pub(crate) enum Layer {
    Radio,
    Lorawan,
    Network,
    Mqtt,
    Broker,
    Application,
}

impl Layer {
    const fn name(self) -> &'static str {
        match self {
            Self::Radio => "radio",
            Self::Lorawan => "lorawan",
            Self::Network => "network",
            Self::Mqtt => "mqtt",
            Self::Broker => "broker",
            Self::Application => "app",
        }
    }
}

/// Prints one line after the other, whoever it comes from.
pub(crate) struct Narrator {
    pause: Duration,
    turn: Mutex<()>,
}

impl Narrator {
    pub(crate) const fn new(slow: bool) -> Self {
        let pause = if slow { Duration::from_millis(400) } else { Duration::ZERO };
        Self { pause, turn: Mutex::new(()) }
    }

    /// How long to wait for something that happens as soon as all before it is told.
    pub(crate) const fn patience(&self) -> Duration {
        if self.pause.is_zero() { Duration::from_secs(4) } else { Duration::from_secs(120) }
    }

    /// A heading.
    pub(crate) fn chapter(&self, title: &str) {
        let turn = self.turn.lock();
        println!("\n== {title}");
        std::thread::sleep(self.pause * 2);
        drop(turn);
    }

    /// Something happened in this layer.
    pub(crate) fn say(&self, layer: Layer, what: impl Display) {
        let turn = self.turn.lock();
        println!("{:>8} | {what}", layer.name());
        std::thread::sleep(self.pause);
        drop(turn);
    }
}

/// Bytes as people write them, the first forty of them.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let shown: Vec<String> = bytes.iter().take(40).map(|byte| format!("{byte:02x}")).collect();
    let rest = if bytes.len() > 40 { " ..." } else { "" };
    format!("{}{rest} ({} bytes)", shown.join(" "), bytes.len())
}
