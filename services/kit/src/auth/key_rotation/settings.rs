use super::*;

const URL: &str = "http://127.0.0.1/keys";

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
        let read = JwksUrl::parse_with(right, || Ok(tokio_rustls::rustls::RootCertStore::empty()));
        assert!(read.is_ok(), "{right}: {:?}", read.err());
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
            refused.starts_with("must be https://") && !refused.contains("hunter2"),
            "{wrong}: {refused}"
        );
    }
    let shown = JwksUrl::parse("http://127.0.0.1/keys?secret=hunter2").unwrap();
    assert!(!format!("{shown} {shown:?}").contains("hunter2"));
}

#[test]
fn settings_name_one_source_and_what_is_wrong_with_it() {
    use crate::config::{ConfigErrors, Reader};

    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str, text: &str| {
        let path = folder.path().join(name);
        write(&path, text);
        path.to_str().unwrap().to_owned()
    };
    let (good, service, broken) = (
        path("good", &jwks(&[1])),
        path("service", &jwks(&[2])),
        path("broken", "1:hunter2"),
    );
    let keys = ServiceKeys {
        setting: "SERVICE_FILE",
        cap: Scopes::NONE,
        subject: "service",
    };
    let read = |file: &str, url: &str, of_service: &str| {
        let source = [
            ("JWKS_FILE", file),
            ("JWKS_URL", url),
            ("SERVICE_FILE", of_service),
        ];
        let mut reader = Reader::new(&source);
        let keys = read_token_keys(&mut reader, Some(keys));
        reader
            .finish()
            .map(|()| keys.map(|keys| keys.sources.len()))
    };
    assert_eq!(read(&good, "", ""), Ok(Some(1)));
    assert_eq!(read("", URL, ""), Ok(Some(1)));
    assert_eq!(read(&good, "", &service), Ok(Some(2)));
    assert_eq!(read("", URL, &service), Ok(Some(2)));
    for (file, url, of_service, expected) in [
        (
            "",
            "",
            "",
            "JWKS_FILE is required but not set: set it, or JWKS_URL",
        ),
        (&*good, URL, "", "JWKS_FILE and JWKS_URL are both set"),
        (
            "",
            "http://school.example/",
            "",
            "JWKS_URL must be https://",
        ),
        (&*broken, "", "", "JWKS_FILE names"),
        (
            "/nowhere",
            "",
            "",
            "JWKS_FILE names /nowhere, which cannot be read",
        ),
        (&*good, "", &*broken, "SERVICE_FILE names"),
        (&*good, "", "/nowhere", "SERVICE_FILE names /nowhere"),
    ] {
        let Err(ConfigErrors(errors)) = read(file, url, of_service) else {
            panic!("{expected}: read");
        };
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].starts_with(expected), "{errors:?}");
        assert!(!errors[0].contains("hunter2"), "{errors:?}");
    }
}
