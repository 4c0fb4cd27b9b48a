use tokio::net::TcpListener;

use super::*;
use crate::server::{ServerOptions, Services, serve};

const SERVICE: ServiceKeys = ServiceKeys {
    setting: "SERVICE_FILE",
    cap: Scopes::NONE.with(Scope::Admit),
    subject: "ada",
};

#[tokio::test]
async fn a_changed_file_is_read_and_a_broken_one_leaves_the_keys_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwks.json");
    write(&path, &jwks(&[1]));
    let world = World::new(TokenKeys::of_file(&path).unwrap());
    assert!(world.knows(1) && !world.knows(2));
    let private = jwks(&[2]).replacen("\"x\"", "\"d\":\"AAAA\",\"x\"", 1);
    for broken in [
        "",
        "{\"keys\":[",
        "{\"keys\":[]}",
        &private,
        &" ".repeat(KEY_SET_BYTES_MAX + 1),
    ] {
        write(&path, broken);
        world.look_again().await;
        assert!(world.knows(1) && !world.knows(2));
    }
    fs::remove_file(&path).unwrap();
    world.look_again().await;
    assert!(world.knows(1));
    write(&path, &jwks(&[1, 2]));
    world.look_again().await;
    assert!(world.knows(1) && world.knows(2));
    write(&path, &jwks(&[2]));
    world.look_again().await;
    assert!(
        !world.knows(1) && world.knows(2),
        "a key that was taken out is out"
    );
    // An unknown key does not cause a read of a file that is checked anyway.
    assert!(!world.call(1).await && world.call(2).await);
}

#[tokio::test]
async fn files_and_urls_are_followed_until_the_shutdown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("service.json");
    write(&path, &jwks(&[1]));
    let server = KeyServer::start(&jwks(&[2])).await;
    let keys = TokenKeys::of_url(&server.url()).unwrap();
    let world = World::new(keys.with_service(&path, SERVICE).unwrap());
    world.verifier.fetch_first_keys().await.unwrap();
    assert!(world.knows(1) && world.knows(2));

    let shutdown = Shutdown::new();
    let following = tokio::spawn(Arc::clone(&world.verifier).follow_keys(shutdown.clone()));
    write(&path, &jwks(&[3]));
    eventually("the file's key is known", || {
        world.knows(3) && !world.knows(1)
    })
    .await;
    server.say(answer("500 Oops", "", ""));
    let asked = server.asked();
    eventually("it is asked again after a failure", || {
        server.asked() > asked + 2
    })
    .await;
    assert!(
        world.knows(2) && world.knows(3),
        "each source keeps its own"
    );
    server.say(answer("200 OK", "", &jwks(&[4])));
    eventually("the URL's key is known", || {
        world.knows(4) && !world.knows(2)
    })
    .await;
    assert!(world.knows(3));
    shutdown.begin();
    following.await.unwrap();
}

#[tokio::test]
async fn one_source_cannot_take_another_ones_key_id() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("service.json");
    write(&path, &jwks(&[1]));
    let server = KeyServer::start(&jwks(&[2])).await;
    let keys = TokenKeys::of_url(&server.url()).unwrap();
    let world = World::new(keys.with_service(&path, SERVICE).unwrap());
    world.verifier.fetch_first_keys().await.unwrap();
    // The set contains the service's own key, which would remove its cap.
    server.say(answer("200 OK", "", &jwks(&[1, 3])));
    world.look_again().await;
    assert!(!world.knows(2) && world.knows(3));
    let claims = Claims::new(
        ISSUER,
        AUDIENCE,
        SERVICE.subject,
        noon(),
        TimeDelta::days(1),
    )
    .with_scopes(Scopes::all());
    let token = signer(1).sign(&claims).unwrap();
    let (_, scopes) = world.verifier.verify(token.expose()).unwrap();
    assert_eq!(scopes, SERVICE.cap);
}

#[tokio::test]
async fn a_services_keys_are_capped_whatever_their_file_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("service.json");
    write(&path, &signer(1).jwks(Some(Scopes::all())));
    let cap = SERVICE.cap;
    let keys = TokenKeys::from(signer(2).keys(None).unwrap())
        .with_service(&path, SERVICE)
        .unwrap();
    let world = World::new(keys);
    let scopes = |seed: u64, subject: &str| {
        let claims = Claims::new(ISSUER, AUDIENCE, subject, noon(), TimeDelta::days(1))
            .with_scopes(Scopes::all());
        let token = signer(seed).sign(&claims).unwrap();
        let verified = world.verifier.verify(token.expose());
        verified.ok().map(|(_, scopes)| scopes)
    };
    assert_eq!(scopes(1, SERVICE.subject), Some(cap));
    assert_eq!(scopes(1, "grace"), None, "it is nobody but itself");
    assert_eq!(scopes(2, "grace"), Some(Scopes::all()));
    write(&path, &signer(3).jwks(None));
    world.look_again().await;
    assert_eq!(
        scopes(3, SERVICE.subject),
        Some(cap),
        "also after a rotation"
    );
    assert_eq!(scopes(3, "grace"), None);
}

#[tokio::test]
async fn a_server_follows_its_keys_until_it_stops() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwks.json");
    write(&path, &jwks(&[1]));
    let world = World::new(TokenKeys::of_file(&path).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = ServerOptions::new(Arc::clone(&world.verifier));
    let shutdown = Shutdown::new();
    let services = Services::new().await;
    let served = tokio::spawn(serve(listener, options, services, shutdown.clone()));
    write(&path, &jwks(&[2]));
    eventually("the server has read it", || world.knows(2)).await;
    shutdown.begin();
    served.await.unwrap().unwrap();
}
