use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::client::frame::{Frame, PING, TEXT, decode, pong};
use crate::client::head::{Head, parse_head};
use crate::client::{Connection, Fault, Message, Pool, Socket, Target, request};

const NOT_FOUND: &[u8] = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
/// The answer to the key of RFC 6455's example.
const UPGRADED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

#[test]
fn a_head_is_taken_when_it_is_whole() {
    let bytes = b"HTTP/1.1 200 OK\r\ncontent-LENGTH: 12\r\nx: y\r\n\r\n{\"a\"";

    let expected = Head {
        status: 200,
        length: 12,
        bytes: 45,
        closes: false,
    };
    assert_eq!(parse_head(bytes), Ok(Some(expected)));
    assert_eq!(parse_head(&bytes[..43]), Ok(None));
}

#[test]
fn a_head_tells_that_the_connection_ends() {
    let head = parse_head(b"HTTP/1.1 408 x\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n");

    assert!(head.unwrap().unwrap().closes);
}

#[test]
fn heads_that_cannot_be_used_are_refused() {
    let refused = |bytes: &[u8]| parse_head(bytes).unwrap_err();

    assert_eq!(refused(b"HTTP/1.0 200 OK\r\n\r\n"), "no status line");
    assert_eq!(
        refused(b"HTTP/1.1 200 OK\r\n\r\n"),
        "a body of unknown length"
    );
    let negative = b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n";
    assert_eq!(refused(negative), "a content-length that is no number");
    assert_eq!(refused(&[b'x'; 20_000]), "a head that is too long");
}

#[test]
fn frames_of_every_length_are_taken_when_they_are_whole() {
    for (length, begin) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
        let bytes = server_frame(TEXT, &vec![b'x'; length]);

        let expected = Frame {
            opcode: TEXT,
            payload: begin..begin + length,
        };
        assert_eq!(decode(&bytes), Ok(Some(expected)));
        assert_eq!(decode(&bytes[..bytes.len() - 1]), Ok(None), "{length}");
        assert_eq!(decode(&bytes[..1]), Ok(None));
    }
}

#[test]
fn frames_that_no_server_of_ours_sends_are_refused() {
    assert_eq!(decode(&[0x01, 0x00]), Err("a fragmented message"));
    assert_eq!(decode(&[0x81, 0x80]), Err("a masked frame"));
    assert_eq!(decode(&[0xC1, 0x00]), Err("a frame with reserved bits"));
    let endless = [0x81, 127, 0xFF, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(decode(&endless), Err("a frame that is too long"));
}

#[tokio::test]
async fn one_connection_takes_answers_in_whatever_pieces_they_come() {
    let (target, server) = serve(1, |mut stream| {
        read_request(&mut stream);
        for piece in ["HTTP/1.1 200 OK\r\nContent-", "Length: 5\r\n\r\nhe", "llo"] {
            stream.write_all(piece.as_bytes()).unwrap();
            std::thread::sleep(Duration::from_millis(5));
        }
        read_request(&mut stream);
        stream.write_all(NOT_FOUND).unwrap();
    });
    let mut connection = Connection::open(&target).await.unwrap();

    let first = connection.call(&request("GET", "/", "", "")).await.unwrap();
    let second = connection.call(&request("GET", "/", "", "")).await.unwrap();

    assert_eq!((first.status, first.body.as_slice()), (200, &b"hello"[..]));
    assert_eq!((second.status, second.body.as_slice()), (404, &b""[..]));
    server.join().unwrap();
}

#[tokio::test]
async fn a_pool_replaces_a_connection_that_the_server_closes() {
    let (target, server) = serve(2, |mut stream| {
        read_request(&mut stream);
        let answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(answer).unwrap();
    });
    let pool = Pool::open(&target, 1).await.unwrap();

    for _ in 0..2 {
        let answer = pool.call(&request("POST", "/", "", "{}")).await.unwrap();
        assert_eq!(answer.status, 200);
    }

    server.join().unwrap();
}

#[tokio::test]
async fn a_connection_that_ends_without_an_answer_is_an_error() {
    let (target, server) = serve(1, |mut stream| read_request(&mut stream));
    let mut connection = Connection::open(&target).await.unwrap();

    let ended = connection.call(&request("GET", "/", "", "")).await;

    assert!(matches!(ended, Err(Fault::Io(_))), "{ended:?}");
    assert!(!connection.is_reusable());
    server.join().unwrap();
}

#[tokio::test]
async fn a_socket_answers_pings_and_tells_texts_and_its_end() {
    let (target, server) = serve(1, |mut stream| {
        read_request(&mut stream);
        let mut bytes = UPGRADED.to_vec();
        bytes.extend(server_frame(PING, b"?"));
        bytes.extend(server_frame(TEXT, b"{}"));
        stream.write_all(&bytes).unwrap();
        let mut answer = [0; 7];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer.to_vec(), pong(b"?"));
        stream
            .write_all(&server_frame(0x8, &4401_u16.to_be_bytes()))
            .unwrap();
    });

    let mut socket = Socket::open(&target, "token").await.unwrap();

    assert_eq!(socket.next().await.unwrap(), Message::Text("{}".to_owned()));
    assert_eq!(socket.next().await.unwrap(), Message::Closed(Some(4401)));
    server.join().unwrap();
}

#[tokio::test]
async fn a_socket_that_is_not_upgraded_is_an_error_with_the_status() {
    let (target, server) = serve(1, |mut stream| {
        read_request(&mut stream);
        stream.write_all(NOT_FOUND).unwrap();
    });

    let refused = Socket::open(&target, "token").await;

    assert!(matches!(refused, Err(Fault::NotUpgraded(404))));
    server.join().unwrap();
}

#[test]
fn targets_are_addresses_without_a_path() {
    let target = |host: &str, port| Target {
        host: host.to_owned(),
        port,
    };

    assert_eq!(Target::parse("http://h").unwrap(), target("h", 80));
    let v6 = Target::parse("http://[::1]:8002/").unwrap();
    assert_eq!(
        (v6.authority(), v6),
        ("[::1]:8002".to_owned(), target("::1", 8002))
    );
    assert!(Target::parse("https://h").is_err());
    assert!(Target::parse("http://h/api").is_err());
}

/// Takes `connections` one after the other, each with `talk`.
fn serve(
    connections: usize,
    talk: impl Fn(TcpStream) + Send + 'static,
) -> (Target, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    let address = listener.local_addr().expect("it is bound");
    let server = std::thread::spawn(move || {
        for _ in 0..connections {
            talk(listener.accept().expect("a client comes").0);
        }
    });
    let target = Target {
        host: address.ip().to_string(),
        port: address.port(),
    };
    (target, server)
}

/// Reads until the head of a request has come; bodies in these tests come with it.
fn read_request(stream: &mut TcpStream) {
    let mut received: Vec<u8> = Vec::new();
    while !received.windows(4).any(|four| four == b"\r\n\r\n") {
        let mut chunk = [0; 1_024];
        let length = stream.read(&mut chunk).expect("the client sends");
        assert!(length > 0, "the client went away");
        received.extend(&chunk[..length]);
    }
}

fn server_frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match payload.len() {
        length @ 0..126 => frame.push(length as u8),
        length @ 126..65_536 => {
            frame.push(126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(payload);
    frame
}
