//! Both services use mTLS with their callers and each other, and the limiter uses TLS with Redis;
//! certificates are changed while they run.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output},
};

use homeroom_kit::tls::{ClientTls, IdentityFiles, SERVER_NAMES};
use homeroom_tests::{
    Claims, Clients, Engine, School,
    databases::Databases,
    eventually, free_address,
    processes::{Processes, Service, binary},
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tonic::transport::{Channel, Endpoint};

use crate::{admitted, request};

/// Creates an authority and a certificate for each party, in place of the former ones.
fn certify(folder: &Path) {
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    };
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(DnType::CommonName, "an authority of the test");
    let ca = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    for (name, of) in [
        ("membership", "127.0.0.1"),
        ("invitations", "127.0.0.1"),
        ("port", "invitations"),
        ("caller", "caller"),
        ("redis", "127.0.0.1"),
    ] {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([of.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        write(&format!("{name}.key"), &key.serialize_pem());
        write(&format!("{name}.pem"), &certificate.pem());
    }
    write("ca.pem", &ca);
}

/// Two services that accept only TLS, and require client certificates.
struct Secured {
    folder: tempfile::TempDir,
    processes: Processes,
    redis: Redis,
}

/// A Redis that accepts only TLS.
struct Redis {
    server: Child,
    port: String,
}

impl Redis {
    fn start(folder: &Path) -> Self {
        let port = free_address().port().to_string();
        let server = Command::new("redis-server")
            .current_dir(folder)
            .args(["--port", "0", "--tls-port", &port, "--bind", "127.0.0.1"])
            .args([
                "--tls-cert-file",
                "redis.pem",
                "--tls-key-file",
                "redis.key",
            ])
            .args(["--tls-ca-cert-file", "ca.pem", "--tls-auth-clients", "no"])
            .args(["--save", "", "--logfile", "redis.log"])
            .spawn()
            .expect("redis-server: tests/run installs it");
        Self { server, port }
    }

    /// Returns the number of its keys.
    fn keys(&self, folder: &Path) -> String {
        let printed = Command::new("redis-cli")
            .current_dir(folder)
            .args(["-p", &self.port, "--tls", "--cacert", "ca.pem", "DBSIZE"])
            .output()
            .unwrap();
        String::from_utf8_lossy(&printed.stdout).trim().to_owned()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        drop(self.server.kill());
        drop(self.server.wait());
    }
}

impl Secured {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        certify(folder.path());
        let mut processes = Processes::on(Databases::create(Engine::Sqlite).await);
        let path = |name: &str| folder.path().join(name).display().to_string();
        for service in Service::BOTH {
            let name = service.name();
            processes = processes
                .with_setting(service, "TLS_CERT_FILE", &path(&format!("{name}.pem")))
                .with_setting(service, "TLS_KEY_FILE", &path(&format!("{name}.key")))
                .with_setting(service, "TLS_CLIENT_CA_FILE", &path("ca.pem"));
        }
        let redis = Redis::start(folder.path());
        eventually("Redis serves", async || redis.keys(folder.path()) == "0").await;
        let membership = format!("https://{}", processes.address(Service::Membership));
        for (name, value) in [
            ("MEMBERSHIP_URL", membership),
            ("MEMBERSHIP_CA_FILE", path("ca.pem")),
            ("MEMBERSHIP_CLIENT_CERT_FILE", path("port.pem")),
            ("MEMBERSHIP_CLIENT_KEY_FILE", path("port.key")),
            ("REDIS_URL", format!("rediss://127.0.0.1:{}", redis.port)),
            ("SSL_CERT_FILE", path("ca.pem")),
        ] {
            processes = processes.with_setting(Service::Invitations, name, &value);
        }
        processes.launch_both().await;
        Self {
            folder,
            processes,
            redis,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns a caller of both, who connects with the current certificates.
    fn caller(&self, claims: Claims<'_>) -> Clients {
        let identity = IdentityFiles {
            certificate: self.path("caller.pem"),
            key: self.path("caller.key"),
        };
        let tls = ClientTls::load(SERVER_NAMES, self.path("ca.pem"), Some(identity)).unwrap();
        let channel = |service: Service| -> Channel {
            let address = format!("https://{}", self.processes.address(service));
            tls.channel(&Endpoint::from_shared(address).unwrap())
        };
        Clients::on(
            &channel(Service::Membership),
            &channel(Service::Invitations),
            &self.processes.callers().access_token(claims),
        )
    }

    async fn lets_in(&self, code: &str, number: usize) {
        let student = self.caller(Claims::of(&format!("student-{number}")));
        admitted(&student, request(code, number)).await;
    }

    /// Runs `homeroom ready` against one of them, with these flags and their files.
    fn ready(&self, service: Service, flags: &[(&str, &str)]) -> Output {
        let mut command = Command::new(binary("homeroom"));
        command
            .arg("ready")
            .arg(self.processes.address(service).to_string());
        for (flag, file) in flags {
            command.arg(flag).arg(self.path(file));
        }
        command.output().unwrap()
    }
}

#[tokio::test]
async fn a_code_is_redeemed_over_mtls_and_certificates_change_without_a_restart() {
    let mut secured = Secured::start().await;
    let school = School::create("hamilton", 5, |claims| secured.caller(claims)).await;
    let code = school.class_code().await.code;
    secured.lets_in(&code, 0).await;
    assert_ne!(secured.redis.keys(secured.folder.path()), "0");

    // A client without a certificate or without TLS is rejected; one with a certificate may ask for
    // readiness.
    let ca = ("--ca-file", "ca.pem");
    let identity = [
        ca,
        ("--client-cert-file", "caller.pem"),
        ("--client-key-file", "caller.key"),
    ];
    for service in Service::BOTH {
        assert!(!secured.ready(service, &[]).status.success());
        assert!(!secured.ready(service, &[ca]).status.success());
        let ready = secured.ready(service, &identity);
        assert!(ready.status.success(), "{ready:?}");
    }

    // When every certificate is replaced, including the authority's, both services reload them by
    // themselves.
    certify(secured.folder.path());
    for service in Service::BOTH {
        let shows_them = async || secured.ready(service, &identity).status.success();
        eventually("changed certificates are shown", shows_them).await;
    }

    // The connection between them stays open; the next one uses the new certificates.
    secured.lets_in(&code, 1).await;
    secured.processes.kill(Service::Membership);
    secured.processes.launch(Service::Membership).await;
    secured.lets_in(&code, 2).await;
    secured.processes.stop().await;
}
