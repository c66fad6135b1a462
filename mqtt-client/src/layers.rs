//! What lies between a runtime's sockets and MQTT, whatever the runtime.

use alloc::boxed::Box;
use std::io;

use futures::future::BoxFuture;

use crate::{Options, Runtime, Scheme, Server, Transport};

/// What is between TCP and MQTT, from the bottom to the top.
struct Layers {
    #[cfg(feature = "proxy")]
    proxy: Option<crate::Proxy>,
    #[cfg(feature = "tls")]
    tls: Option<Option<alloc::sync::Arc<crate::tls::ClientConfig>>>,
    #[cfg(feature = "websocket")]
    websocket: Option<crate::websocket::Opening>,
}

/// Connects to the server and shakes hands on each layer that its scheme and the options ask for.
pub(crate) fn open(
    runtime: &mut dyn Runtime,
    server: &Server,
    options: &Options,
) -> BoxFuture<'static, io::Result<Transport>> {
    let (tls, websocket) = match server.scheme {
        Scheme::Tcp => (false, false),
        Scheme::Tls => (true, false),
        Scheme::Ws => (false, true),
        Scheme::Wss => (true, true),
        Scheme::Unix => return runtime.connect(server),
    };
    if tls && !cfg!(feature = "tls") || websocket && !cfg!(feature = "websocket") {
        // It may be known to the runtime.
        return runtime.connect(server);
    }
    let layers = Layers {
        #[cfg(feature = "proxy")]
        proxy: options.proxy.clone(),
        #[cfg(feature = "tls")]
        tls: tls.then(|| options.tls.clone()),
        #[cfg(feature = "websocket")]
        websocket: websocket.then(|| crate::websocket::Opening::new(server, options)),
    };
    let _ = options;
    let first = Server { scheme: Scheme::Tcp, path: Default::default(), ..server.clone() };
    #[cfg(feature = "proxy")]
    let first = layers.proxy.as_ref().map_or(first, crate::Proxy::server);
    Box::pin(layers.shake_hands(runtime.connect(&first), server.clone()))
}

impl Layers {
    async fn shake_hands(
        self,
        transport: BoxFuture<'static, io::Result<Transport>>,
        server: Server,
    ) -> io::Result<Transport> {
        let transport = transport.await?;
        #[cfg(feature = "proxy")]
        let transport = match self.proxy {
            Some(proxy) => proxy.tunnel(transport, &server.host, server.port).await?,
            None => transport,
        };
        #[cfg(feature = "tls")]
        let transport = match self.tls {
            Some(config) => crate::tls::connect(transport, server.host, config).await?,
            None => transport,
        };
        #[cfg(feature = "websocket")]
        let transport = match self.websocket {
            Some(opening) => opening.open(transport).await?,
            None => transport,
        };
        #[cfg(not(feature = "tls"))]
        drop(server);
        Ok(transport)
    }
}
