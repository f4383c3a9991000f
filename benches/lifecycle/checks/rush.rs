use std::cell::RefCell;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::client::{Target, request};
use crate::rush::rush;

/// Answers each request with its path as the body; 404 to the third.
async fn serve(listener: TcpListener) {
    loop {
        let (mut stream, _) = listener.accept().await.expect("a client");
        tokio::spawn(async move {
            let mut bytes = vec![0; 1_024];
            while let Ok(length @ 1..) = stream.read(&mut bytes).await {
                let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
                let path = text.split(' ').nth(1).expect("a request has a path");
                let status = if path == "/3" {
                    "404 Not Found"
                } else {
                    "200 OK"
                };
                let length = path.len();
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{path}");
                let sent = stream.write_all(answer.as_bytes()).await;
                sent.expect("the client is there");
            }
        });
    }
}

#[tokio::test]
async fn each_number_is_asked_for_once_and_whatever_is_refused_is_counted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(serve(listener));
    let target = Target::parse(&format!("http://127.0.0.1:{port}")).unwrap();
    let answered = RefCell::new(Vec::new());

    let ask = |number: usize| request("GET", &format!("/{number}"), "Host: here\r\n", "");
    let take = |number: usize, body: &[u8]| {
        assert_eq!(body, format!("/{number}").as_bytes());
        answered.borrow_mut().push(number);
    };
    let rush = rush(&target, 2, 1..6, &ask, take).await.unwrap();

    let mut answered = answered.into_inner();
    answered.sort_unstable();
    assert_eq!(answered, [1, 2, 4, 5]);
    assert_eq!(rush.errors, 1);
}
