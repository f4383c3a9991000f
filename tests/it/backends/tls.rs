//! Redis and RabbitMQ behind TLS, with a certificate that only a root of ours vouches for.

use std::sync::Arc;

use matchmaker::adapters::redis::{RedisLink, RedisOptions};
use matchmaker::adapters::{RabbitOptions, RabbitPublisher};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio_rustls::TlsAcceptor;
use url::Url;

use crate::servers;

const ROOT: &str = include_str!("tls/root.pem");
const CHAIN: &str = include_str!("tls/server.pem");
/// Of no use to anybody: nothing but these tests trusts its certificate.
const KEY: &str = include_str!("tls/server.key");

/// Takes TLS off on the way to the server at `url`; answers that address, with `scheme`.
async fn behind_tls(url: &str, scheme: &str) -> String {
    let mut url: Url = url.parse().expect("a URL");
    let port = url.port().expect("a port");
    let chain = CertificateDer::pem_slice_iter(CHAIN.as_bytes()).collect::<Result<_, _>>();
    let key = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).expect("a key");
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain.expect("a certificate"), key)
        .expect("they belong together");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let own_port = listener.local_addr().expect("it is bound").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut inner = TcpStream::connect(("127.0.0.1", port)).await?;
                let mut outer = acceptor.accept(stream).await?;
                copy_bidirectional(&mut outer, &mut inner).await
            });
        }
    });
    url.set_port(Some(own_port)).expect("it has a host");
    let plain = url.scheme().to_owned();
    url.as_str().replacen(&plain, scheme, 1)
}

#[tokio::test]
async fn redis_is_spoken_to_over_tls_where_its_root_is_trusted() {
    let place = servers::redis().number();
    let url = behind_tls(&place.url(), "rediss").await;
    for (root, trusted) in [(Some(ROOT.to_owned()), true), (None, false)] {
        let options = RedisOptions {
            url: url.clone(),
            key_prefix: String::new(),
            root_certificates: root,
        };
        let link = RedisLink::new(&options, Handle::current()).expect("a URL");

        let answer = link.ping().await;

        assert_eq!(answer.is_ok(), trusted, "{answer:?}");
    }
}

#[tokio::test]
async fn rabbitmq_is_spoken_to_over_tls_where_its_root_is_trusted() {
    let place = servers::rabbitmq().vhost();
    let url = behind_tls(&place.url(), "amqps").await;
    for (root, trusted) in [(Some(ROOT.to_owned()), true), (None, false)] {
        let options = RabbitOptions {
            url: url.clone(),
            root_certificates: root,
        };
        let publisher = RabbitPublisher::new(&options, Handle::current()).expect("a URL");

        let answer = publisher.connect().await;

        assert_eq!(answer.is_ok(), trusted, "{answer:?}");
        publisher.close().await;
    }
}
