//! Proxies, good ones and others. What the proxies of other projects do with the client is tested where
//! they are installed.

use core::net::SocketAddr;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use mqtt_client::{Error, Options, Proxy, ProxyKind, blocking};

use super::{on_async_io, options, talk, talk_blocking, tcp};

/// Where a thread does this with each connection.
fn listen(run: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + Copy + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { continue };
            thread::spawn(move || run(stream));
        }
    });
    address
}

fn read_until(stream: &mut TcpStream, end: &[u8]) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(end) {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        bytes.push(byte[0]);
    }
    Ok(bytes)
}

/// Carries bytes both ways until one side closes.
fn carry(near: &TcpStream, far: &TcpStream) -> io::Result<()> {
    let (mut from, mut to) = (far.try_clone()?, near.try_clone()?);
    thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Both);
    });
    let (mut from, mut to) = (near.try_clone()?, far.try_clone()?);
    let _ = io::copy(&mut from, &mut to);
    to.shutdown(std::net::Shutdown::Write)
}

/// A proxy that knows the name `broker.internal`, and nothing else: RFC 9110, section 9.3.6.
fn http(mut stream: TcpStream) -> io::Result<()> {
    let head = read_until(&mut stream, b"\r\n\r\n")?;
    let head = String::from_utf8(head).expect("ASCII");
    let port = head.strip_prefix("CONNECT broker.internal:").and_then(|rest| rest.split_once(' '));
    let Some((port, rest)) = port else { return stream.write_all(b"HTTP/1.1 403 No\r\n\r\n") };
    assert!(rest.starts_with(&format!("HTTP/1.1\r\nHost: broker.internal:{port}\r\n")), "{head}");
    // "Aladdin" and "open sesame", of RFC 7617.
    if !rest.contains("\r\nProxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n") {
        return stream.write_all(b"HTTP/1.1 407 Who are you?\r\nProxy-Authenticate: Basic\r\n\r\n");
    }
    let far = TcpStream::connect(("127.0.0.1", port.parse().expect("a port")))?;
    stream.write_all(b"HTTP/1.0 200 Here you are\r\nX: y\r\n\r\n")?;
    carry(&stream, &far)
}

/// The same for SOCKS5: RFC 1928, RFC 1929.
fn socks5(mut stream: TcpStream) -> io::Result<()> {
    let mut greeting = [0; 4];
    stream.read_exact(&mut greeting)?;
    assert_eq!(greeting, [5, 2, 0, 2]);
    stream.write_all(&[5, 2])?;
    read_until(&mut stream, b"\x01\x07Aladdin\x0Bopen sesame")?;
    stream.write_all(&[1, 0])?;
    read_until(&mut stream, b"\x05\x01\x00\x03\x0Fbroker.internal")?;
    let mut port = [0; 2];
    stream.read_exact(&mut port)?;
    let far = TcpStream::connect(("127.0.0.1", u16::from_be_bytes(port)))?;
    // The address it uses, as a name: whatever that is.
    stream.write_all(b"\x05\x00\x00\x03\x04here\x00\x00")?;
    carry(&stream, &far)
}

/// Options for the server at `url`, by that name, through a proxy.
fn through(url: &str, proxy: &str) -> Options {
    let mut options = options(&url.replace("127.0.0.1", "broker.internal"));
    options.proxy = Some(proxy.parse().expect("a proxy"));
    options
}

/// A good proxy of each kind.
pub(super) fn proxies() -> [String; 2] {
    [
        format!("http://Aladdin:open%20sesame@{}", listen(http)),
        format!("socks5h://Aladdin:open%20sesame@{}/", listen(socks5)),
    ]
}

#[test]
fn threads_through_proxies() {
    for proxy in proxies() {
        talk_blocking(through(&tcp(), &proxy));
    }
}

#[cfg(feature = "tokio")]
#[tokio::test]
async fn tokio_through_proxies() {
    for proxy in proxies() {
        let connected = mqtt_client::tokio::connect(through(&tcp(), &proxy)).await;
        talk(connected.expect("accepted")).await;
    }
}

#[cfg(feature = "async-io")]
#[test]
fn async_io_through_proxies() {
    for proxy in proxies() {
        on_async_io(through(&tcp(), &proxy));
    }
}

/// What the client says at its first attempt.
fn complaint(mut options: Options) -> io::Error {
    options.reconnect.enabled = false;
    match blocking::Client::connect_with(options).expect_err("no connection") {
        Error::Io { source, .. } => io::Error::new(source.kind(), source.to_string()),
        error => panic!("{error}"),
    }
}

#[test]
fn a_proxy_that_refuses_is_told_from_a_server() {
    let [http, _] = proxies();
    let error = complaint(through(&tcp(), &http.replace("Aladdin", "Ali")));
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    assert!(error.to_string().contains("407"), "{error}");
    let mut elsewhere = through(&tcp(), &http);
    elsewhere.servers = vec!["mqtt://elsewhere".parse().expect("a URL")];
    assert!(complaint(elsewhere).to_string().contains("403"));
}

/// Nothing that a URL can say ends a line of the request.
#[test]
fn a_host_with_a_line_break_is_refused() {
    let [http, _] = proxies();
    let mut options = through(&tcp(), &http);
    options.servers = vec!["mqtt://a%0D%0AX".parse().expect("a URL")];
    assert_eq!(complaint(options).kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn what_a_hostile_proxy_answers_is_bounded() {
    type Run = fn(TcpStream) -> io::Result<()>;
    let endless: Run = |mut stream| {
        // 100 MB of one header field; the client is gone long before.
        stream.write_all(b"HTTP/1.1 200 OK\r\nX: ")?;
        (0..1600).try_for_each(|_| stream.write_all(&[b'x'; 65536]))
    };
    let other: Run = |mut stream| stream.write_all(b"SSH-2.0-x\r\n\r\n");
    let eager: Run = |mut stream| stream.write_all(&[5, 2, 1, 0, 5, 0, 0, 1]);
    let wrong: Run = |mut stream| stream.write_all(&[4, 90, 0, 0, 0, 0, 0, 0]);
    let kind: Run = |mut stream| stream.write_all(&[5, 0, 5, 0, 0, 9]);
    let refuses: Run = |mut stream| stream.write_all(&[5, 0xFF]);
    let unreachable: Run = |mut stream| stream.write_all(&[5, 0, 5, 4, 0, 1]);
    let silent: Run = |stream| stream.shutdown(std::net::Shutdown::Write);
    for (scheme, run, expected) in [
        ("http", endless, io::ErrorKind::InvalidData),
        ("http", other, io::ErrorKind::InvalidData),
        ("http", silent, io::ErrorKind::UnexpectedEof),
        ("socks5", eager, io::ErrorKind::InvalidData), // asks for what was not offered
        ("socks5", wrong, io::ErrorKind::InvalidData),
        ("socks5", kind, io::ErrorKind::InvalidData),
        ("socks5", refuses, io::ErrorKind::PermissionDenied),
        ("socks5", unreachable, io::ErrorKind::HostUnreachable),
    ] {
        let address = listen(move |mut stream| {
            let mut first = [0; 3];
            stream.read_exact(&mut first)?;
            run(stream.try_clone()?)?;
            // What is closed with something unread is lost.
            io::copy(&mut stream, &mut io::sink()).map(|_| ())
        });
        let error = complaint(through(&tcp(), &format!("{scheme}://{address}")));
        assert_eq!(error.kind(), expected, "{scheme}: {error}");
    }
}

#[test]
fn a_proxy_is_read_from_a_url() {
    let proxy: Proxy = "http://u:p%40@[::1]:3128/".parse().expect("a proxy");
    assert_eq!((proxy.kind, &*proxy.host, proxy.port), (ProxyKind::Http, "::1", 3128));
    assert_eq!(proxy.credentials, Some(("u".into(), "p@".into())));
    assert!(!format!("{proxy:?}").contains("p@"), "logs are no place for passwords");
    let proxy: Proxy = "socks5://gate".parse().expect("a proxy");
    assert_eq!((proxy.kind, proxy.port, proxy.credentials), (ProxyKind::Socks5, 1080, None));
    for wrong in ["gate", "ftp://gate", "http://", "http://gate:x", "http://u:%FF@gate"] {
        assert!(wrong.parse::<Proxy>().is_err(), "{wrong}");
    }
}
