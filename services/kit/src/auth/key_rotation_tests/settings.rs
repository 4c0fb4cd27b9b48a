use super::*;
use crate::config::{ConfigErrors, Reader};

const URL: &str = "http://127.0.0.1/keys?secret=hunter2";

#[test]
fn a_url_is_https_or_on_loopback_and_carries_no_password() {
    for right in [
        "https://login.school.example/.well-known/jwks.json",
        "https://login.school.example:8443/keys?tenant=1",
        "https://[2001:db8::1]/keys",
        "http://127.0.0.1:8080/keys",
        "http://127.8.9.10/keys",
        "http://[::1]:8080/keys",
        "http://localhost/keys",
        " http://localhost/keys ",
    ] {
        assert!(TokenKeys::of_url(right).is_ok(), "{right}");
    }
    for wrong in [
        "",
        "jwks.json",
        "file:///etc/jwks.json",
        "ftp://127.0.0.1/keys",
        "http://login.school.example/keys",
        "http://localhost.school.example/keys",
        "http://10.0.0.1/keys",
        "http://0.0.0.0/keys",
        "http://[::]/keys",
        "https://user@login.school.example/keys",
        "https://user:hunter2@login.school.example/keys",
        "https://login.school.example/keys#first",
        "https://",
    ] {
        let refused = TokenKeys::of_url(wrong).unwrap_err();
        assert!(
            refused.starts_with("must be https://"),
            "{wrong}: {refused}"
        );
    }
}

#[test]
fn settings_name_one_source_and_what_is_wrong_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let good = &*path("good", &jwks(&[1]));
    let service = &*path("service", &jwks(&[2]));
    let broken = &*path("broken", "1:hunter2");
    let keys = ServiceKeys {
        setting: "SERVICE_FILE",
        cap: Scopes::NONE,
        subject: "service",
    };
    for (file, url, of_service, expected) in [
        (good, "", "", Ok(1)),
        ("", URL, "", Ok(1)),
        (good, "", service, Ok(2)),
        ("", URL, service, Ok(2)),
        (
            "",
            "",
            "",
            Err("JWKS_FILE is required but not set: set it, or JWKS_URL"),
        ),
        (good, URL, "", Err("JWKS_FILE and JWKS_URL are both set")),
        (
            "",
            "http://school.example/",
            "",
            Err("JWKS_URL must be https://"),
        ),
        (broken, "", "", Err("JWKS_FILE names")),
        (
            "/nowhere",
            "",
            "",
            Err("JWKS_FILE names /nowhere, which cannot be read"),
        ),
        (good, "", broken, Err("SERVICE_FILE names")),
        (good, "", "/nowhere", Err("SERVICE_FILE names /nowhere")),
    ] {
        let source = [
            ("JWKS_FILE", file),
            ("JWKS_URL", url),
            ("SERVICE_FILE", of_service),
            ("TOKEN_ISSUER", ISSUER),
            ("TOKEN_AUDIENCE", AUDIENCE),
        ];
        let mut reader = Reader::new(&source);
        let read = read_issuers(&mut reader, Some(keys));
        assert!(!format!("{read:?}").contains("hunter2"), "{read:?}");
        match (reader.finish(), expected) {
            (Ok(()), Ok(count)) => assert_eq!(read.unwrap()[0].keys.sources.len(), count),
            (Err(ConfigErrors(errors)), Err(expected)) => {
                assert_eq!(errors.len(), 1, "{errors:?}");
                assert!(errors[0].starts_with(expected), "{errors:?}");
                assert!(!errors[0].contains("hunter2"), "{errors:?}");
            }
            (finished, _) => panic!("{finished:?} {expected:?}"),
        }
    }
}
