use super::*;

#[tokio::test]
async fn stale_keys_stay_in_use_whatever_the_url_answers() {
    let server = KeyServer::start(&jwks(&[1])).await;
    let elsewhere = KeyServer::start(&jwks(&[2])).await;
    let world = World::of(&server).await;
    let location = format!("location: {}\r\n", elsewhere.url());
    let head = "HTTP/1.1 200 OK\r\n";
    let answers = [
        answer("500 Internal Server Error", "", &jwks(&[2])),
        answer("304 Not Modified", "", ""),
        answer("302 Found", &location, ""),
        answer("301 Moved Permanently", "location: /jwks.json\r\n", ""),
        answer("200 OK", "", "<html>maintenance</html>"),
        answer("200 OK", "", &jwks(&[])),
        answer(
            "200 OK",
            "",
            &jwks(&[2]).replacen("\"x\"", "\"d\":\"AAAA\",\"x\"", 1),
        ),
        answer(
            "200 OK",
            "",
            "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"1\",\"k\":\"c2VjcmV0\"}]}",
        ),
        answer(
            "200 OK",
            "",
            &format!("{}{}", jwks(&[2]), " ".repeat(KEY_SET_BYTES_MAX)),
        ),
        // The answer has no length, and is endless for a client that keeps reading.
        format!(
            "{head}\r\n{}{}",
            jwks(&[2]),
            " ".repeat(KEY_SET_BYTES_MAX * 2)
        ),
        format!("{head}content-length: 4000\r\n\r\n{}", jwks(&[2])),
        format!("{head}x: {}\r\n\r\n{}", "y".repeat(200_000), jwks(&[2])),
        "SSH-2.0-OpenSSH\r\n\r\n".to_owned(),
    ];
    for (count, answer) in answers.into_iter().enumerate() {
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
async fn a_set_of_the_largest_size_is_read_and_a_byte_more_is_not() {
    let set = jwks(&[1]);
    let padded = |bytes: usize| format!("{set}{}", " ".repeat(bytes - set.len()));
    let server = KeyServer::start(&padded(KEY_SET_BYTES_MAX)).await;
    let world = World::of(&server).await;
    assert!(world.knows(1));
    server.say(answer("200 OK", "", &padded(KEY_SET_BYTES_MAX + 1)));
    let other = World::new(TokenKeys::of_url(&server.url()).unwrap());
    let refused = other
        .verifier
        .fetch_first_keys()
        .await
        .unwrap_err()
        .to_string();
    assert!(refused.contains("1048576 bytes"), "{refused}");
}

#[tokio::test]
async fn a_start_without_keys_is_tried_again_and_then_refused() {
    let server = KeyServer::start("").await;
    let world = World::new(TokenKeys::of_url(&server.url()).unwrap());
    let refused = world
        .verifier
        .fetch_first_keys()
        .await
        .unwrap_err()
        .to_string();
    assert!(server.asked() > 1, "tried again");
    assert!(
        refused.starts_with("JWKS_URL")
            && refused.contains(&server.url())
            && refused.contains("JWKS_FILE"),
        "{refused}"
    );
    assert!(!world.knows(1));

    let keys = TokenKeys::of_url(&server.url())
        .unwrap()
        .with_pauses(KeyPauses {
            start_max: EVENTUALLY,
            ..PAUSES
        });
    let verifier = Arc::new(Verifier::new(
        keys,
        ISSUER,
        AUDIENCE,
        Arc::new(ManualClock::new(noon())),
    ));
    let starting = tokio::spawn({
        let verifier = Arc::clone(&verifier);
        async move { verifier.fetch_first_keys().await }
    });
    let asked = server.asked();
    eventually("it is tried", || server.asked() > asked + 1).await;
    server.say(answer("200 OK", "", &jwks(&[1])));
    starting.await.unwrap().unwrap();
    assert!(verifier.verify(&token(1)).is_ok());
}

#[tokio::test]
async fn https_believes_the_right_authority_alone() {
    use std::io::BufReader;

    use tokio_rustls::{
        TlsAcceptor,
        rustls::{
            RootCertStore, ServerConfig,
            pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
        },
    };

    use crate::tls::{provider, testing::Authority};

    let authority = Authority::new("right");
    let signed = authority.sign("127.0.0.1");
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from(signed.der)],
            PrivateKeyDer::from_pem_slice(signed.key.as_bytes()).unwrap(),
        )
        .unwrap();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let server =
        KeyServer::start_with(&jwks(&[1]), Some(TlsAcceptor::from(Arc::new(config)))).await;
    let fetched_by = async |authority: &Authority, host: &str| {
        let mut roots = RootCertStore::empty();
        let pem = BufReader::new(authority.pem.as_bytes());
        for certificate in CertificateDer::pem_reader_iter(pem) {
            roots.add(certificate.unwrap()).unwrap();
        }
        let url = format!("https://{host}:{}/jwks.json", server.address.port());
        let url = JwksUrl::parse_with(&url, || Ok(roots)).unwrap();
        let world = World::new(TokenKeys::at(url));
        world
            .verifier
            .fetch_first_keys()
            .await
            .map(|()| world.knows(1))
    };
    assert_eq!(fetched_by(&authority, "127.0.0.1").await, Ok(true));
    let refused = fetched_by(&Authority::new("wrong"), "127.0.0.1")
        .await
        .unwrap_err();
    assert!(
        refused.to_string().contains("invalid peer certificate"),
        "{refused}"
    );
    assert!(
        fetched_by(&authority, "localhost").await.is_err(),
        "the certificate is another host's"
    );
    assert_eq!(server.asked(), 1);
}

#[tokio::test]
async fn it_is_kept_when_the_keys_were_last_read() {
    let server = KeyServer::start(&jwks(&[1])).await;
    let world = World::of(&server).await;
    let after = |minutes: i64| noon() + TimeDelta::minutes(minutes);
    for (answered, minute, expected) in [
        // This is the same set again.
        ("200 OK", 10, after(10)),
        ("500 Oops", 20, after(10)),
        ("200 OK", 30, after(30)),
    ] {
        server.say(answer(answered, "", &jwks(&[1])));
        world.clock.set(after(minute));
        world.look_again().await;
        let read_time = world.verifier.following.sources[0]
            .last
            .lock()
            .await
            .read_time;
        assert_eq!(read_time, Some(expected), "{answered} {minute}");
        assert!(world.knows(1));
    }
}
