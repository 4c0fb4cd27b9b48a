use super::{token_keys::Source, *};
use crate::key_files::KEY_FILE_BYTES_MAX;

const SERVICE: ServiceKeys = ServiceKeys {
    setting: "SERVICE_FILE",
    cap: Scopes::NONE.with(Scope::Admit),
    subject: "ada",
};

#[tokio::test]
async fn a_changed_file_is_read_and_a_broken_one_leaves_the_keys_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwks.json");
    fs::write(&path, jwks(&[1])).unwrap();
    let world = World::new(TokenKeys::of_file(&path).unwrap());
    let too_long = " ".repeat(KEY_FILE_BYTES_MAX + 1);
    for broken in ["", "{\"keys\":[", "{\"keys\":[]}", &private(2), &too_long] {
        fs::write(&path, broken).unwrap();
        world.look_again().await;
        assert!(world.knows(1) && !world.knows(2));
    }
    fs::remove_file(&path).unwrap();
    world.look_again().await;
    assert!(world.knows(1));
    for (set, known) in [(&[1, 2][..], [true, true]), (&[2], [false, true])] {
        fs::write(&path, jwks(set)).unwrap();
        world.look_again().await;
        assert_eq!([world.knows(1), world.knows(2)], known);
    }
    // An unknown key does not cause a read of a file that is checked anyway.
    assert!(!world.is_looking_for(1));
}

#[tokio::test]
async fn files_and_urls_are_followed_until_the_shutdown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("service.json");
    let server = KeyServer::start(&jwks(&[2])).await;
    let service = Source::of_file(&path, &jwks(&[1]), Some(SERVICE)).unwrap();
    let mut keys = TokenKeys::of_url(&server.url()).unwrap();
    keys.put_first(service);
    let world = World::new(keys.with_second(SHORT));
    world.verifier.fetch_first_keys().await.unwrap();
    assert!(world.knows(1) && world.knows(2));

    let shutdown = Shutdown::new();
    let following = tokio::spawn(Arc::clone(&world.verifier).follow_keys(shutdown.clone()));
    fs::write(&path, jwks(&[3])).unwrap();
    let rotated = || world.knows(3) && !world.knows(1);
    eventually("the file's key is known", rotated).await;
    server.say(answer("500 Oops", "", ""));
    let asked = server.asked();
    let again = || server.asked() > asked + 2;
    eventually("it is asked again after a failure", again).await;
    assert!(
        world.knows(2) && world.knows(3),
        "each source keeps its own"
    );
    server.say(answer("200 OK", "", &jwks(&[4])));
    let rotated = || world.knows(4) && !world.knows(2);
    eventually("the URL's key is known", rotated).await;
    assert!(world.knows(3));
    shutdown.begin();
    following.await.unwrap();
}

#[tokio::test]
async fn a_services_keys_are_capped_whatever_the_files_and_other_sources_say() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("service.json");
    let everything = json!({ "keys": [signer(1).jwk(Some(Scopes::all()))] }).to_string();
    let service = Source::of_file(&path, &everything, Some(SERVICE)).unwrap();
    // The other source has the service's own key, which would remove its cap.
    let mut keys = TokenKeys::from(Keys::from_jwks(&jwks(&[1, 2])).unwrap());
    keys.put_first(service);
    let world = World::new(keys);
    let scopes = |seed: u64, subject: &str| {
        let mut claims = claims().with_scopes(Scopes::all());
        subject.clone_into(&mut claims.sub);
        let token = signer(seed).sign(&claims).unwrap();
        let verified = world.verifier.verify(token.expose());
        verified.ok().map(|(_, scopes)| scopes)
    };
    assert_eq!(scopes(2, "grace"), Some(Scopes::all()));
    for seed in [1, 3] {
        fs::write(&path, jwks(&[seed])).unwrap();
        world.look_again().await;
        assert_eq!(scopes(seed, SERVICE.subject), Some(SERVICE.cap), "{seed}");
        assert_eq!(scopes(seed, "grace"), None, "it is nobody but itself");
    }
}
