use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};

use super::*;
use crate::key_files::KEY_FILE_BYTES_MAX;

#[tokio::test]
async fn stale_keys_stay_in_use_whatever_the_url_answers() {
    let server = KeyServer::start(&jwks(&[1])).await;
    let elsewhere = KeyServer::start(&jwks(&[2])).await;
    let world = World::of(&server, SHORT).await;
    let location = format!("location: {}\r\n", elsewhere.url());
    let head = "HTTP/1.1 200 OK\r\n";
    let ok = |body: &str| answer("200 OK", "", body);
    let symmetric = "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"1\",\"k\":\"c2VjcmV0\"}]}";
    let too_long = format!("{}{}", jwks(&[2]), " ".repeat(KEY_FILE_BYTES_MAX));
    for (count, answer) in [
        answer("500 Internal Server Error", "", &jwks(&[2])),
        answer("304 Not Modified", "", ""),
        answer("302 Found", &location, ""),
        answer("301 Moved Permanently", "location: /jwks.json\r\n", ""),
        ok("<html>maintenance</html>"),
        ok(&jwks(&[])),
        ok(&private(2)),
        ok(symmetric),
        ok(&too_long),
        // The answer has no length, and is endless for a client that keeps reading.
        format!("{head}\r\n{too_long}"),
        format!("{head}content-length: 4000\r\n\r\n{}", jwks(&[2])),
        format!("{head}x: {}\r\n\r\n{}", "y".repeat(1_000_000), jwks(&[2])),
        "SSH-2.0-OpenSSH\r\n\r\n".to_owned(),
    ]
    .into_iter()
    .enumerate()
    {
        let told: String = answer.chars().take(60).collect();
        server.say(answer);
        world.look_again().await;
        assert!(server.asked() >= count + 2, "{told}");
        assert!(world.knows(1) && !world.knows(2), "{told}");
    }
    assert_eq!(elsewhere.asked(), 0, "redirects are not followed");
    drop(server);
    world.look_again().await;
    assert!(world.knows(1), "the server is away");
}

#[tokio::test]
async fn a_set_in_gzip_is_read_up_to_its_bound_and_a_broken_one_is_not() {
    let gzip = |text: &str| {
        let mut to = GzEncoder::new(Vec::new(), Compression::fast());
        to.write_all(text.as_bytes()).unwrap();
        to.finish().unwrap()
    };
    let padded = |bytes: usize| {
        let set = jwks(&[2]);
        format!("{set}{}", " ".repeat(bytes - set.len()))
    };
    let server = KeyServer::start(&jwks(&[1])).await;
    let whole = gzip(&jwks(&[2]));
    for (body, right) in [
        (&gzip(&padded(KEY_FILE_BYTES_MAX)), true),
        (&gzip(&padded(KEY_FILE_BYTES_MAX + 1)), false),
        (&whole[..whole.len() - 1].to_vec(), false),
        (&whole, true),
        (
            &[&b"\xef\xbb\xbf"[..], jwks(&[2]).as_bytes()].concat(),
            true,
        ),
        (&b"\xff\xfe{\0".to_vec(), false),
    ] {
        let world = World::new(TokenKeys::of_url(&server.url()).unwrap());
        server.say_bytes(body);
        world.look_again().await;
        assert_eq!(world.knows(2), right, "{} bytes", body.len());
    }
}

#[tokio::test]
async fn a_start_without_keys_is_tried_again_and_then_refused() {
    let set = jwks(&[1]);
    let padded = |bytes: usize| format!("{set}{}", " ".repeat(bytes - set.len()));
    let server = KeyServer::start(&padded(KEY_FILE_BYTES_MAX + 1)).await;
    let of = |second| {
        let keys = TokenKeys::of_url(&server.url()).unwrap();
        World::new(keys.with_second(second))
    };
    let refused = of(SHORT).verifier.fetch_first_keys().await.unwrap_err();
    let refused = refused.to_string();
    assert!(server.asked() > 1, "tried again");
    for expected in ["JWKS_URL", &server.url(), "1048576 bytes", "a file instead"] {
        assert!(refused.contains(expected), "{refused}");
    }

    let world = of(Duration::from_millis(500));
    let verifier = Arc::clone(&world.verifier);
    let starting = tokio::spawn(async move { verifier.fetch_first_keys().await });
    let asked = server.asked();
    eventually("it is tried", || server.asked() > asked).await;
    server.say(answer("200 OK", "", &padded(KEY_FILE_BYTES_MAX)));
    starting.await.unwrap().unwrap();
    assert!(world.knows(1));
}

#[tokio::test]
async fn https_believes_the_right_authority_alone() {
    use tokio_rustls::{
        TlsAcceptor,
        rustls::{
            RootCertStore, ServerConfig,
            pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
        },
    };

    use crate::{http_client::HttpClient, tests::certificates::Authority, tls::provider};

    let right = Authority::new("right");
    let signed = right.sign("127.0.0.1");
    let key = PrivateKeyDer::from_pem_slice(signed.key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(signed.der)], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let server = KeyServer::start_with(&jwks(&[1]), Some(acceptor)).await;
    let wrong = Authority::new("wrong");
    for (authority, host, expected) in [
        (&right, "127.0.0.1", Ok(jwks(&[1]))),
        (&wrong, "127.0.0.1", Err("UnknownIssuer")),
        (&right, "localhost", Err("not valid for name")),
    ] {
        let mut roots = RootCertStore::empty();
        let pem = CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap();
        roots.add(pem).unwrap();
        let url = format!("https://{host}:{}/jwks.json", server.address.port());
        let url = jwks_url::parse(&url).unwrap();
        let fetched = jwks_url::fetch_by(HttpClient::trusting(roots).unwrap(), &url).await;
        match (&fetched, &expected) {
            (Err(error), Err(expected)) => assert!(error.contains(expected), "{error}"),
            _ => assert_eq!(fetched.as_deref().ok(), expected.as_deref().ok()),
        }
    }
    assert_eq!(server.asked(), 1);
}
