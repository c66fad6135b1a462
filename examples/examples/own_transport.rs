//! The client over a transport of one's own: here what a child process reads and writes, so that any
//! tunnel can be one.
//!
//! ```text
//! cargo run --example own_transport socat - TCP:localhost:1883
//! ```

use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::io;
use std::process::Stdio;

use futures::future::BoxFuture;
use futures::{AsyncRead, AsyncWrite};
use mqtt_client::tokio::{Compat, TokioRuntime};
use mqtt_client::{Client, Clock, Options, QoS, Runtime, Server, Transport};
use tokio::process::{ChildStdin, ChildStdout, Command};

/// The command to run for each connection.
struct Tunnel(Vec<String>);

impl Runtime for Tunnel {
    fn connect(&mut self, _: &Server) -> BoxFuture<'static, io::Result<Transport>> {
        let child = Command::new(&self.0[0])
            .args(&self.0[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let program = self.0[0].clone();
        Box::pin(async move {
            let named =
                |error: io::Error| io::Error::new(error.kind(), format!("{program}: {error}"));
            let mut child = child.map_err(named)?;
            let (input, output) =
                child.stdin.take().zip(child.stdout.take()).ok_or(io::ErrorKind::BrokenPipe)?;
            Ok(Box::new(Pipes { input: Compat(input), output: Compat(output) }) as Transport)
        })
    }

    fn sleep(&mut self, duration: Duration) -> BoxFuture<'static, ()> {
        TokioRuntime.sleep(duration)
    }

    fn clock(&self) -> Clock {
        TokioRuntime.clock()
    }
}

/// Two pipes as one transport.
struct Pipes {
    input: Compat<ChildStdin>,
    output: Compat<ChildStdout>,
}

impl AsyncRead for Pipes {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.output).poll_read(cx, bytes)
    }
}

impl AsyncWrite for Pipes {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.input).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_close(cx)
    }
}

const USAGE: &str = "own_transport COMMAND [ARGUMENT...]";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn core::error::Error>> {
    motewire_examples::help(USAGE);
    let command: Vec<String> = std::env::args().skip(1).collect();
    if command.is_empty() {
        eprintln!("Usage: {USAGE}");
        std::process::exit(2);
    }
    // Says on standard error what happens to the connection, such as that it waits for the server.
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    // Nobody looks at the server's name but the tunnel, which has its own way.
    let options = Options::new(Server::tcp("tunnel", 0));
    let (client, driver) = Client::with_runtime(options, Tunnel(command))?;
    tokio::spawn(driver);
    client.publish("residence/kitchen/temperature", "21.5", QoS::AtLeastOnce).await?;
    println!("delivered");
    client.disconnect().await;
    Ok(())
}
