//! What the broker is told by its configuration file, which the command line adds to.

mod bridge;
mod limits;

use core::net::SocketAddr;
use core::num::NonZeroUsize;
use core::str::FromStr;
use std::fs;
use std::path::{Path, PathBuf};

use mqtt_session::broker::{Acl, Config};
use serde::Deserialize;
use toml::Spanned;
use tracing::level_filters::LevelFilter;

use super::access::Rules;
use super::bridge::BridgeSettings;
use super::listener::{Endpoint, Place};
use super::partials;
use super::transport::TlsFiles;
use super::users::Users;
use limits::Limits;

/// More than any machine has cores for.
const MAX_THREADS: usize = 1024;

/// How the broker is to run.
///
/// ```
/// use motewire_examples::broker::Settings;
///
/// let settings = Settings::parse("[[listener]]\naddress = \"127.0.0.1:1883\"")?;
/// assert_eq!(settings.listeners.len(), 1);
/// let error = Settings::parse("[limits]\nmax_conections = 10").unwrap_err();
/// assert!(error.contains("line 2") && error.contains("max_conections"));
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Where to listen.
    pub listeners: Vec<Endpoint>,
    /// The files for TLS.
    pub tls: Option<TlsFiles>,
    /// Who may connect, and use which topics.
    pub access: AccessFiles,
    /// Whether to listen where other machines can reach it although everybody is let in.
    pub allow_anonymous_beyond_loopback: bool,
    /// Where to tell numbers and health by HTTP.
    pub metrics: Option<SocketAddr>,
    /// The folder where sessions, their messages, and retained messages are kept.
    pub persistence: Option<PathBuf>,
    /// What is logged. Default: info.
    pub log_level: LevelFilter,
    /// How many threads to work on. Default: as many as there are cores.
    pub threads: Option<NonZeroUsize>,
    /// Of which origins pages may ask for a WebSocket. Default: all.
    pub websocket_origins: Option<Vec<String>>,
    /// Other brokers that messages are carried to and from.
    pub bridges: Vec<BridgeSettings>,
    /// Most bytes of packets that are not all there, of all connections. Default: 64 MiB.
    pub max_partial_bytes: usize,
    /// How the broker behaves, and its bounds.
    pub broker: Config,
}

/// The files that say who may do what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct AccessFiles {
    /// Users and their passwords. Without it everybody is who they say they are.
    pub users: Option<PathBuf>,
    /// Who may use which topics. Without it everybody all.
    pub acl: Option<PathBuf>,
    /// Whether clients without a user name may connect. Default: only where there is no file of users.
    pub allow_anonymous: Option<bool>,
}

impl AccessFiles {
    /// Whether somebody without a name and a password is let in.
    #[must_use]
    pub fn lets_anybody_in(&self) -> bool {
        self.users.is_none() || self.allow_anonymous == Some(true)
    }

    /// Reads them; `None`: everybody may do everything.
    ///
    /// # Errors
    /// Says which file is wrong, and which line in it.
    pub fn load(&self) -> Result<Option<Rules>, String> {
        if self.users.is_none() && self.acl.is_none() && self.allow_anonymous != Some(false) {
            return Ok(None);
        }
        let users = read(self.users.as_deref(), Users::parse)?;
        let acl = read(self.acl.as_deref(), Acl::parse)?;
        let allow_anonymous = self.allow_anonymous.unwrap_or(users.is_none());
        Ok(Some(Rules { users, acl, allow_anonymous }))
    }
}

/// Reads and parses a file, if there is one.
fn read<T, E: core::fmt::Display>(
    path: Option<&Path>,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<Option<T>, String> {
    let Some(path) = path else { return Ok(None) };
    let in_file = |error: &dyn core::fmt::Display| format!("{}: {error}", path.display());
    let text = fs::read_to_string(path).map_err(|error| in_file(&error))?;
    parse(&text).map(Some).map_err(|error| in_file(&error))
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listeners: Vec::new(),
            tls: None,
            access: AccessFiles::default(),
            allow_anonymous_beyond_loopback: false,
            metrics: None,
            persistence: None,
            log_level: LevelFilter::INFO,
            threads: None,
            websocket_origins: None,
            bridges: Vec::new(),
            max_partial_bytes: partials::DEFAULT_MAX,
            broker: Config::default(),
        }
    }
}

/// The file as it is written.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    log_level: Option<Spanned<String>>,
    threads: Option<Spanned<NonZeroUsize>>,
    websocket_origins: Option<Vec<String>>,
    allow_anonymous_beyond_loopback: bool,
    listener: Vec<Spanned<Listener>>,
    tls: Option<Tls>,
    access: AccessFiles,
    metrics: Option<Metrics>,
    persistence: Option<Spanned<PathBuf>>,
    bridge: Vec<bridge::Bridge>,
    limits: Limits,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listener {
    address: Option<SocketAddr>,
    unix: Option<PathBuf>,
    #[serde(default)]
    tls: bool,
    #[serde(default)]
    websocket: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
    #[serde(default)]
    require_client_certificate: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Metrics {
    address: SocketAddr,
}

impl Settings {
    /// Reads a file. Paths in it are relative to its folder.
    ///
    /// # Errors
    /// Says what is wrong: of the file, or of the key and the line in it.
    pub fn read(path: &Path) -> Result<Self, String> {
        let in_file = |error: &dyn core::fmt::Display| format!("{}: {error}", path.display());
        let text = fs::read_to_string(path).map_err(|error| in_file(&error))?;
        let mut settings = Self::parse(&text).map_err(|error| in_file(&error))?;
        settings.resolve(path.parent().unwrap_or(Path::new("")));
        Ok(settings)
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// Says what is wrong with which key in which line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        let at = |offset: usize, key: &str, what: &str| {
            let line = 1 + text.get(..offset).unwrap_or(text).matches('\n').count();
            format!("line {line}: {key}: {what}")
        };
        let mut settings = Self {
            access: file.access,
            allow_anonymous_beyond_loopback: file.allow_anonymous_beyond_loopback,
            metrics: file.metrics.map(|metrics| metrics.address),
            websocket_origins: file.websocket_origins,
            ..Self::default()
        };
        if let Some(level) = file.log_level {
            let start = level.span().start;
            let said = LevelFilter::from_str(level.get_ref()).ok();
            settings.log_level = said.filter(|_| !level.get_ref().is_empty()).ok_or_else(|| {
                at(start, "log_level", "one of off, error, warn, info, debug, trace")
            })?;
        }
        if let Some(threads) = file.threads {
            let start = threads.span().start;
            let some = threads.into_inner();
            let some = Some(some).filter(|some| some.get() <= MAX_THREADS);
            settings.threads = Some(some.ok_or_else(|| at(start, "threads", "1 to 1024"))?);
        }
        if let Some(folder) = file.persistence {
            let start = folder.span().start;
            let folder = Some(folder.into_inner()).filter(|f| !f.as_os_str().is_empty());
            settings.persistence =
                Some(folder.ok_or_else(|| at(start, "persistence", "a folder"))?);
        }
        settings.tls = file.tls.map(|tls| TlsFiles {
            certificate: tls.certificate,
            key: tls.key,
            client_ca: tls.client_ca,
            require_client_certificate: tls.require_client_certificate,
        });
        for listener in file.listener {
            let start = listener.span().start;
            let Listener { address, unix, tls, websocket } = listener.into_inner();
            let place = match (address, unix) {
                (Some(address), None) => Place::Tcp(address),
                (None, Some(path)) if path.as_os_str().is_empty() => {
                    return Err(at(start, "listener.unix", "a path"));
                }
                (None, Some(path)) => Place::Unix(path),
                _ => return Err(at(start, "listener", "either address or unix")),
            };
            if tls && settings.tls.is_none() {
                return Err(at(start, "listener.tls", "there is no [tls] with a certificate"));
            }
            settings.listeners.push(Endpoint { place, tls, websocket });
        }
        if let Some(max) = file.limits.max_partial_bytes {
            settings.max_partial_bytes = max;
        }
        file.limits.apply(&mut settings.broker);
        for bridge in file.bridge {
            let bridge = bridge.settings(&settings.broker, at)?;
            if settings.bridges.iter().any(|other| other.name == bridge.name) {
                return Err(format!("bridge.name: there are two by the name {:?}", bridge.name));
            }
            settings.bridges.push(bridge);
        }
        Ok(settings)
    }

    /// How the broker behaves, with what follows from the rest.
    #[must_use]
    pub fn config(&self) -> Config {
        let mut config = self.broker.clone();
        config.durable |= self.persistence.is_some();
        config
    }

    /// Takes paths that are not absolute as relative to this folder.
    fn resolve(&mut self, folder: &Path) {
        let tls = self.tls.iter_mut().flat_map(|tls| {
            [Some(&mut tls.certificate), Some(&mut tls.key), tls.client_ca.as_mut()]
        });
        let access = [self.access.users.as_mut(), self.access.acl.as_mut()];
        let sockets = self.listeners.iter_mut().map(|endpoint| match &mut endpoint.place {
            Place::Unix(path) => Some(path),
            Place::Tcp(_) => None,
        });
        let persistence = [self.persistence.as_mut()];
        for bridge in &mut self.bridges {
            bridge::resolve(bridge, folder);
        }
        for path in tls.chain(access).chain(sockets).chain(persistence).flatten() {
            *path = folder.join(&*path);
        }
    }

    /// Checks what belongs together.
    ///
    /// # Errors
    /// Says what is missing, or not safe.
    pub fn check(&self) -> Result<(), String> {
        if self.metrics.is_some_and(|address| !address.ip().is_loopback()) {
            return Err("metrics: not on loopback, and everybody can read them there".into());
        }
        let requires_certificate =
            self.tls.as_ref().is_some_and(|tls| tls.require_client_certificate);
        if requires_certificate && self.tls.as_ref().is_some_and(|tls| tls.client_ca.is_none()) {
            return Err(
                "tls: certificates of clients are required, but there is no client_ca".into()
            );
        }
        for endpoint in &self.listeners {
            if endpoint.tls && self.tls.is_none() {
                return Err(format!("{endpoint}: TLS, but there is no certificate and key"));
            }
            let lets_anybody_in =
                self.access.lets_anybody_in() && !(endpoint.tls && requires_certificate);
            if !endpoint.is_local() && lets_anybody_in && !self.allow_anonymous_beyond_loopback {
                return Err(format!(
                    "{endpoint}: other machines can reach this, and anybody would be let in: name a \
                     file of users, require certificates of clients, or set \
                     allow_anonymous_beyond_loopback"
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use mqtt_session::broker::{Config, Overlap};

    use super::limits::Limits;
    use super::{BridgeSettings, Endpoint, Place, Settings};

    #[test]
    fn every_setting_is_taken_from_the_file() {
        let mut settings = Settings::parse(
            r#"
            log_level = "debug"
            threads = 3
            allow_anonymous_beyond_loopback = true
            [[listener]]
            address = "0.0.0.0:1883"
            [[listener]]
            address = "[::1]:8443"
            tls = true
            websocket = true
            [[listener]]
            unix = "broker.sock"
            [tls]
            certificate = "/etc/cert.pem"
            key = "key.pem"
            client_ca = "ca.pem"
            require_client_certificate = true
            [access]
            users = "users"
            acl = "acl"
            allow_anonymous = true
            [metrics]
            address = "127.0.0.1:9100"
            [limits]
            max_connections = 7
            overlap = "copy-each"
            max_partial_bytes = 9
            "#,
        )
        .unwrap();
        settings.resolve(Path::new("/etc/broker"));
        settings.check().unwrap();
        let shown: Vec<String> = settings.listeners.iter().map(Endpoint::to_string).collect();
        let expected = ["0.0.0.0:1883", "wss://[::1]:8443/mqtt", "unix:/etc/broker/broker.sock"];
        assert_eq!(shown, expected);
        let tls = settings.tls.unwrap();
        assert_eq!(tls.certificate, Path::new("/etc/cert.pem"));
        assert_eq!(tls.key, Path::new("/etc/broker/key.pem"));
        assert_eq!(tls.client_ca.as_deref(), Some(Path::new("/etc/broker/ca.pem")));
        assert!(tls.require_client_certificate);
        assert_eq!(settings.access.users.as_deref(), Some(Path::new("/etc/broker/users")));
        assert_eq!(settings.access.acl.as_deref(), Some(Path::new("/etc/broker/acl")));
        assert!(settings.access.lets_anybody_in());
        assert_eq!(settings.metrics.unwrap().port(), 9100);
        assert_eq!(settings.log_level, tracing::Level::DEBUG);
        assert_eq!(settings.threads.unwrap().get(), 3);
        assert_eq!(settings.broker.max_connections, 7);
        assert_eq!(settings.broker.overlap, Overlap::CopyEach);
        assert_eq!(settings.max_partial_bytes, 9);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_key_and_its_line() {
        let wrong = [
            ("\n\nlog = \"info\"", 3, "log"),
            ("log_level = \"loud\"", 1, "log_level"),
            ("[[listener]]\naddress = \"localhost\"", 2, "address"),
            ("log_level = \"\"", 1, "log_level"),
            ("threads = 1025", 1, "threads"),
            ("persistence = \"\"", 1, "persistence"),
            ("[[listener]]\nunix = \"\"", 1, "listener.unix"),
            ("\n[[listener]]\ntls = false", 2, "listener"),
            ("[[listener]]\naddress = \"[::1]:1\"\nunix = \"a\"", 1, "listener"),
            ("[[listener]]\naddress = \"[::1]:1\"\ntls = true", 1, "listener.tls"),
            ("[tls]\ncertificate = \"a\"", 1, "key"),
            ("[limits]\nmax_sessions = -1", 2, "max_sessions"),
            ("[limits]\nmax_partial_bytes = \"all\"", 2, "max_partial_bytes"),
            ("[limits]\nreceive_maximum = 0", 2, "receive_maximum"),
            ("[limits]\nmaximum_qos = 3", 2, "maximum_qos"),
            ("[limits]\noverlap = \"both\"", 2, "overlap"),
            ("[limits]\nmax_in_flight = 65536", 2, "max_in_flight"),
            ("[limits]\ndollar_publish = \"some\"", 2, "dollar_publish"),
            ("[limits]\ndollar_subscribe = [\"SYS\"]", 2, "dollar_subscribe"),
            ("[access]\nuser = \"a\"", 2, "user"),
            ("[metrics]\naddress = 9100", 2, "address"),
            ("[limits\n", 1, "[limits"),
        ];
        // With these nobody would get in.
        let at_least_1 = [
            "max_connections",
            "max_sessions",
            "connect_timeout",
            "max_connect_size",
            "max_packet_size",
            "max_topic_levels",
            "policy_timeout",
        ];
        for key in at_least_1 {
            let error = Settings::parse(&format!("[limits]\n{key} = 0")).unwrap_err();
            assert!(error.contains("line 2") && error.contains(key), "{error}");
        }
        for (text, line, key) in wrong {
            let error = Settings::parse(text).unwrap_err();
            assert!(error.contains(&format!("line {line}")), "{text:?}: {error}");
            assert!(error.contains(key), "{text:?}: {error}");
        }
    }

    #[test]
    fn nobody_opens_the_broker_to_everybody_by_mistake() {
        let checked = |text: &str| Settings::parse(text).unwrap().check();
        let listener = "[[listener]]\naddress = \"0.0.0.0:1883\"\n";
        let refused = checked(listener).unwrap_err();
        assert!(refused.contains("0.0.0.0:1883"), "{refused}");
        assert!(refused.contains("allow_anonymous_beyond_loopback"), "{refused}");
        let tls = "tls = true\n[tls]\ncertificate = \"a\"\nkey = \"b\"\nclient_ca = \"c\"\n";
        assert!(checked(&format!("{listener}{tls}")).is_err(), "a certificate is optional");
        assert!(checked(&format!("{listener}[access]\nacl = \"a\"")).is_err(), "any name will do");
        let users = format!("{listener}[access]\nusers = \"a\"\n");
        assert!(checked(&format!("{users}allow_anonymous = true")).is_err());
        assert!(checked("[metrics]\naddress = \"0.0.0.0:9100\"").is_err());

        assert_eq!(checked(&users), Ok(()));
        let required = format!("{listener}{tls}require_client_certificate = true");
        assert_eq!(checked(&required), Ok(()));
        let explicit = format!("allow_anonymous_beyond_loopback = true\n{listener}");
        assert_eq!(checked(&explicit), Ok(()));
        for address in ["127.0.0.1:1883", "[::1]:1883", "127.1.2.3:1883"] {
            assert_eq!(checked(&format!("[[listener]]\naddress = \"{address}\"")), Ok(()));
        }
        assert_eq!(checked("[[listener]]\nunix = \"a\""), Ok(()));
    }

    #[test]
    fn every_bound_of_the_broker_can_be_set() {
        let config = format!("{:#?}", Config::default());
        let fields = config.lines().filter_map(|line| {
            let field =
                line.strip_prefix("    ").filter(|line| !line.starts_with([' ', '}', ')']))?;
            field.split_once(':').map(|(name, _)| name)
        });
        let fields: Vec<&str> = fields.collect();
        assert!(fields.contains(&"max_topic_levels"));
        // Whether it is durable follows from where it keeps what it must.
        let is_missing = |field: &&&str| **field != "durable" && !Limits::NAMES.contains(*field);
        assert_eq!(fields.iter().find(is_missing), None);
    }

    #[test]
    fn the_example_says_what_the_defaults_are_and_how_to_set_all_the_rest() {
        let text = include_str!("../../../examples/broker/example.toml");
        let settings = Settings::parse(text).unwrap();
        assert_eq!(settings.broker, Config::default());
        assert_eq!(settings.max_partial_bytes, Settings::default().max_partial_bytes);
        for name in Limits::NAMES {
            let is_it =
                |line: &str| line.trim_start_matches("# ").starts_with(&format!("{name} ="));
            assert!(text.lines().any(is_it), "{name}");
        }
        // What is commented out is good too, but for the prose.
        let is_setting =
            |line: &str| line.starts_with("[") || line.split_whitespace().nth(1) == Some("=");
        let all: Vec<&str> = text
            .lines()
            .map(|line| line.strip_prefix("# ").filter(|rest| is_setting(rest)).unwrap_or(line))
            .collect();
        let settings = Settings::parse(&all.join("\n")).unwrap();
        assert_eq!(settings.listeners.len(), 4);
        assert!(settings.tls.is_some() && settings.metrics.is_some());
        assert!(settings.access.users.is_some() && settings.access.acl.is_some());
        let [bridge] = &settings.bridges[..] else { panic!("{:?}", settings.bridges) };
        assert_eq!(bridge.topics.len(), 1);
        // What it says in behalf of a bridge are the defaults.
        let short = "[[bridge]]\nname = \"b\"\naddresses = [\"h:1\"]\nclient_id = \"c\"\n\
                     [[bridge.topic]]\ndirection = \"out\"\npattern = \"sensors/#\"\nqos = 1\n\
                     remote_prefix = \"site-7/\"\n";
        let default = Settings::parse(short).unwrap().bridges.remove(0);
        let told = BridgeSettings {
            name: default.name.clone(),
            addresses: default.addresses.clone(),
            client_id: default.client_id.clone(),
            user_name: None,
            password: None,
            tls: None,
            ..bridge.clone()
        };
        assert_eq!(told, default);
    }

    #[test]
    fn a_socket_without_a_folder_stays_where_it_is() {
        let mut settings = Settings::parse("[[listener]]\nunix = \"a\"").unwrap();
        settings.resolve(Path::new(""));
        assert_eq!(settings.listeners[0].place, Place::Unix("a".into()));
    }
}
