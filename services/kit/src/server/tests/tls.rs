//! TLS and mTLS, and certificates that change while the server serves.

use std::path::PathBuf;

use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    },
};
use tonic::transport::Endpoint;

use super::*;
use crate::{
    tests::certificates::{Authority, Folder},
    tls::{ClientTls, Reload, SERVER_NAMES, ServerTls},
};

/// A server with a certificate, and the files for its clients.
struct Secured {
    folder: Folder,
    authority: Authority,
    tls: ServerTls,
    server: Running,
}

/// Starts a server; with `client_authority` it requires certificates signed by that authority.
async fn secured(
    client_authority: Option<&Authority>,
    adjust: impl FnOnce(&mut ServerOptions),
) -> Secured {
    let folder = Folder::new();
    let authority = Authority::new("of servers");
    folder.write("ca.pem", &authority.pem);
    let identity = folder.identity("server", &authority.sign("127.0.0.1"));
    let client_ca = client_authority.map(|ca| folder.write("client_ca.pem", &ca.pem));
    let tls = ServerTls::load(identity, client_ca).unwrap();
    let server = start(|options| {
        options.tls = Some(tls.clone());
        adjust(options);
    })
    .await;
    Secured {
        folder,
        authority,
        tls,
        server,
    }
}

impl Secured {
    fn ca(&self) -> PathBuf {
        self.folder.path("ca.pem")
    }

    /// Returns a client with a certificate signed by `authority`, or with none.
    fn client(&self, authority: Option<&Authority>) -> ClientTls {
        let identity = authority.map(|authority| {
            let signed = authority.sign("client");
            self.folder.identity("client", &signed)
        });
        ClientTls::load(SERVER_NAMES, self.ca(), identity).unwrap()
    }

    fn channel(&self, client: &ClientTls) -> Channel {
        let address = format!("https://{}", self.server.address);
        client.channel(&Endpoint::from_shared(address).unwrap())
    }

    async fn call(&self, channel: &Channel) -> Result<String, Status> {
        let mut client = EventServiceClient::new(channel.clone());
        let answer = client.list_events(self.server.request("any")).await?;
        Ok(answer.into_inner().next_page_token)
    }

    async fn lets_in(&self, client: &ClientTls) -> bool {
        self.call(&self.channel(client)).await.is_ok()
    }

    /// Opens a connection that offers these protocols, and returns it with the server's
    /// certificate.
    async fn connect(
        &self,
        protocols: &[&[u8]],
    ) -> io::Result<(tokio_rustls::client::TlsStream<TcpStream>, Vec<u8>)> {
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_slice(self.authority.pem.as_bytes()).unwrap();
        roots.add(ca).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(roots);
        let mut config = config.with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        let socket = TcpStream::connect(self.server.address).await?;
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        let stream = connector.connect(name, socket).await?;
        let shown = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
        Ok((stream, shown))
    }

    async fn shown(&self) -> Vec<u8> {
        self.connect(&[b"h2"]).await.unwrap().1
    }
}

#[tokio::test]
async fn a_call_over_tls_passes_and_its_address_is_known() {
    let secured = secured(None, |_| {}).await;
    let channel = secured.channel(&secured.client(None));
    let answer = secured.call(&channel).await.unwrap();
    assert!(
        answer.starts_with("ada ") && answer.ends_with(" true"),
        "{answer}"
    );
}

#[tokio::test]
async fn large_answers_pass_over_tls_and_a_stop_lets_them_leave() {
    let secured = secured(None, |_| {}).await;
    let channel = secured.channel(&secured.client(None));
    let mut client =
        EventServiceClient::new(channel).max_decoding_message_size(2 * MESSAGE_OUT_BYTES_MAX);
    let bytes = MESSAGE_OUT_BYTES_MAX - 5;
    let request = secured.server.request(&format!("{LARGE}{bytes}"));
    let answering = client.list_events(request);
    let (answer, ()) = tokio::join!(answering, async { secured.server.shutdown.begin() });
    // The server either closed the connection first or sent a complete answer.
    if let Ok(answer) = answer {
        assert_eq!(answer.into_inner().next_page_token.len(), bytes);
    }
    secured.server.served.await.unwrap().unwrap();
}

#[tokio::test]
async fn who_speaks_plaintext_or_another_protocol_is_refused() {
    let secured = secured(None, |_| {}).await;
    let plain = secured.server.call(secured.server.request("any")).await;
    assert!(reason(&plain.unwrap_err()) == ErrorReason::Unspecified);
    // The client learns of it at the end of the handshake, or when the server hangs up.
    for protocols in [&[b"http/1.1".as_slice()][..], &[]] {
        if let Ok((mut stream, _)) = secured.connect(protocols).await {
            assert!(!matches!(stream.read(&mut [0]).await, Ok(1..)));
        }
    }
}

#[tokio::test]
async fn a_server_of_another_authority_or_name_is_not_believed() {
    let secured = secured(None, |_| {}).await;
    let other = Authority::new("another");
    let ca = secured.folder.write("other_ca.pem", &other.pem);
    let stranger = ClientTls::load(SERVER_NAMES, ca, None).unwrap();
    assert!(!secured.lets_in(&stranger).await);
    let named = |name: &str| secured.client(None).with_server_name(name).unwrap();
    assert!(!secured.lets_in(&named("membership")).await);
    assert!(secured.lets_in(&named("127.0.0.1")).await);
}

#[tokio::test]
async fn where_client_certificates_are_asked_for_only_those_of_the_authority_are_let_in() {
    let (right, wrong) = (Authority::new("of clients"), Authority::new("another"));
    let secured = secured(Some(&right), |_| {}).await;
    assert!(!secured.lets_in(&secured.client(None)).await);
    assert!(!secured.lets_in(&secured.client(Some(&wrong))).await);
    assert!(secured.lets_in(&secured.client(Some(&right))).await);
}

#[tokio::test]
async fn a_handshake_that_is_not_finished_in_time_is_cut_and_makes_room() {
    let secured = secured(None, |options| {
        options.connections_max = 1;
        options.handshake = Duration::from_millis(1);
    })
    .await;
    // The client sends nothing, or the head of a ClientHello whose body never comes.
    for sent in [&[][..], &[22, 3, 1, 0, 200, 1]] {
        let mut slow = TcpStream::connect(secured.server.address).await.unwrap();
        slow.write_all(sent).await.unwrap();
        // The connection may be reset; only its end matters.
        drop(slow.read_to_end(&mut Vec::new()).await);
    }
}

#[tokio::test]
async fn who_says_nothing_after_the_handshake_is_cut_too() {
    let secured = secured(None, |options| {
        options.connections_max = 1;
        options.handshake = Duration::from_millis(500);
    })
    .await;
    // On a busy machine the handshake itself may take too long.
    for _ in 0..20 {
        if let Ok((mut silent, _)) = secured.connect(&[b"h2"]).await {
            drop(silent.read_to_end(&mut Vec::new()).await);
            return;
        }
    }
    panic!("no handshake was finished");
}

#[tokio::test]
async fn a_changed_certificate_is_shown_to_new_connections_and_a_broken_one_is_not() {
    let secured = secured(None, |_| {}).await;
    let old = secured.channel(&secured.client(None));
    secured.call(&old).await.unwrap();
    let before = secured.shown().await;

    let next = secured.authority.sign("127.0.0.1");
    secured.folder.identity("server", &next);
    assert_eq!(secured.tls.reload(), Reload::Changed);
    assert_ne!(next.der, before);
    assert_eq!(secured.shown().await, next.der);

    secured.folder.write("server.pem", "broken");
    assert_eq!(secured.tls.reload(), Reload::Kept);
    assert_eq!(secured.shown().await, next.der);
    // The earlier connection stays open.
    secured.call(&old).await.unwrap();
}

#[tokio::test]
async fn the_server_looks_for_changes_by_itself() {
    let secured = secured(None, |options| {
        options.tls_reload = Duration::from_millis(1);
    })
    .await;
    let next = secured.authority.sign("127.0.0.1");
    secured.folder.identity("server", &next);
    while secured.shown().await != next.der {}
}

#[tokio::test]
async fn an_authority_that_is_taken_out_lets_nobody_in_any_more() {
    let (first, second) = (Authority::new("first"), Authority::new("second"));
    let secured = secured(Some(&first), |_| {}).await;
    let of_first = secured.client(Some(&first));
    assert!(secured.lets_in(&of_first).await);
    secured.folder.write("client_ca.pem", &second.pem);
    assert_eq!(secured.tls.reload(), Reload::Changed);
    // The client would resume its session if it could.
    assert!(!secured.lets_in(&of_first).await);
    assert!(secured.lets_in(&secured.client(Some(&second))).await);
}

#[tokio::test]
async fn a_client_shows_its_changed_certificate_when_it_connects_anew() {
    let (right, wrong) = (Authority::new("of clients"), Authority::new("another"));
    let secured = secured(Some(&right), |_| {}).await;
    let client = secured.client(Some(&wrong));
    let channel = secured.channel(&client);
    assert!(secured.call(&channel).await.is_err());
    secured.folder.identity("client", &right.sign("client"));
    assert_eq!(client.reload(), Reload::Changed);
    // The channel reconnects by itself.
    while secured.call(&channel).await.is_err() {}

    let other = Authority::new("other servers");
    secured.folder.write("ca.pem", &other.pem);
    assert_eq!(client.reload(), Reload::Changed);
    assert!(secured.call(&channel).await.is_ok());
    assert!(!secured.lets_in(&client).await);
}
