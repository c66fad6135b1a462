//! What is measured of a client: the same for all of them, those of `peers/` too.

use core::str::FromStr;

/// Which way messages go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Publish,
    Receive,
    /// What is published comes back.
    Echo,
}

/// Messages of this QoS, of so many bytes, and how many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) way: Way,
    pub(crate) qos: u8,
    pub(crate) size: usize,
    pub(crate) count: usize,
}

/// How many messages may be on their way at QoS 1 and 2, for every client.
pub(crate) const IN_FLIGHT: u16 = 100;

/// How many messages an application hands over before it waits for an outcome, where it can.
pub(crate) const AHEAD: usize = 1000;

/// How many times the round trip is taken, with a millisecond in between.
pub(crate) const ROUND_TRIPS: usize = 1000;

/// How many idle clients memory is taken of.
pub(crate) const IDLE: usize = 50;

impl Way {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Receive => "receive",
            Self::Echo => "echo",
        }
    }
}

impl Case {
    /// What to subscribe to.
    pub(crate) fn filter(self) -> String {
        match self.way {
            Way::Echo => self.topic().into(),
            _ => format!("{}/{}", self.count, self.size),
        }
    }

    /// What to publish to.
    pub(crate) const fn topic(self) -> &'static str {
        match self.way {
            Way::Echo => "echo",
            _ => "residence/kitchen/temperature",
        }
    }

    pub(crate) fn payload(self) -> Vec<u8> {
        vec![b'x'; self.size]
    }
}

impl FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [way, qos, size, count] = words[..] else { return Err(format!("no case: {text}")) };
        let way = [Way::Publish, Way::Receive, Way::Echo].into_iter().find(|w| w.word() == way);
        let number = |text: &str| text.parse::<usize>().map_err(|error| error.to_string());
        Ok(Self {
            way: way.ok_or("no such way")?,
            qos: qos.parse().map_err(|_| "no such QoS")?,
            size: number(size)?,
            count: number(count)?,
        })
    }
}
