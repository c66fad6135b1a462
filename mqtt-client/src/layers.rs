//! What lies between a runtime's sockets and MQTT, whatever the runtime.

use alloc::boxed::Box;
use std::io;

use futures::future::BoxFuture;

use crate::{Options, Runtime, Scheme, Server, Transport};

/// Connects to the server and shakes hands on each layer that its scheme asks for.
pub(crate) fn open(
    runtime: &mut dyn Runtime,
    server: &Server,
    options: &Options,
) -> BoxFuture<'static, io::Result<Transport>> {
    let (tls, websocket) = match server.scheme {
        Scheme::Tls => (true, false),
        Scheme::Ws => (false, true),
        Scheme::Wss => (true, true),
        Scheme::Tcp | Scheme::Unix => (false, false),
    };
    let known = (!tls || cfg!(feature = "tls")) && (!websocket || cfg!(feature = "websocket"));
    if !known || !(tls || websocket) {
        // A layer that is not compiled in may be known to the runtime.
        return runtime.connect(server);
    }
    let transport = runtime.connect(&Server::tcp(&server.host, server.port));
    #[cfg(feature = "tls")]
    let (host, tls) = (server.host.clone(), tls.then(|| options.tls.clone()));
    #[cfg(feature = "websocket")]
    let websocket = websocket.then(|| crate::websocket::Opening::new(server, options));
    let _ = options;
    Box::pin(async move {
        let transport = transport.await?;
        #[cfg(feature = "tls")]
        let transport = match tls {
            Some(config) => crate::tls::connect(transport, host, config).await?,
            None => transport,
        };
        #[cfg(feature = "websocket")]
        let transport = match websocket {
            Some(opening) => opening.open(transport).await?,
            None => transport,
        };
        Ok(transport)
    })
}
