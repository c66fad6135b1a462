//! What the operating system tells the broker to do.

use std::io;

use motewire_examples::broker::{AccessHandle, BrokerServer, Settings, TlsFiles};

/// SIGINT and SIGTERM stop the broker; with SIGHUP it reads again what may change while it runs. What is
/// wrong then changes nothing.
#[cfg(unix)]
pub(crate) fn obey(
    server: &BrokerServer,
    settings: &Settings,
    access: Option<AccessHandle>,
) -> io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    let control = server.control();
    let (tls, files) = (settings.tls.clone(), settings.access.clone());
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            if signal != SIGHUP {
                tracing::info!("stopping");
                // If the broker cannot be woken it has ended.
                let _ = control.stop();
                return;
            }
            match tls.as_ref().map(TlsFiles::load) {
                None => {}
                Some(Ok(tls)) => {
                    // As above.
                    let _ = control.set_tls(tls);
                    tracing::info!("new connections have the certificates as they are now");
                }
                Some(Err(reason)) => tracing::error!(%reason, "the certificates stay as they were"),
            }
            match (&access, files.load()) {
                (Some(access), Ok(Some(rules))) => {
                    access.replace(rules);
                    // As above.
                    let _ = control.reconsider();
                    tracing::info!("users and topic rules hold as they are now");
                }
                (Some(_), Err(reason)) => {
                    tracing::error!(%reason, "users and topic rules stay as they were");
                }
                _ => {}
            }
        }
    })?;
    Ok(())
}

/// Elsewhere the system ends the program.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "as where there are signals")]
pub(crate) fn obey(_: &BrokerServer, _: &Settings, _: Option<AccessHandle>) -> io::Result<()> {
    Ok(())
}
