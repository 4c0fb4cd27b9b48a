//! The two service binaries as processes of their own, to kill and start again.

use std::{
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use homeroom_kit::{
    auth::{Scopes, Signer},
    clock::SystemClock,
    database::Url,
    keys::KeyRing,
    random::SystemRandomness,
};

use crate::{
    AUDIENCE, Claims, Clients, ISSUER, access_token,
    clients::Credentials,
    databases::{Databases, Engine},
};

/// How long a service may take to serve, also on a busy machine.
const START_SECONDS: u64 = 60;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// `membership`.
    Membership,
    /// `invitations`.
    Invitations,
}

/// Both services as processes, on databases of their own.
pub struct Processes {
    /// Their databases.
    pub databases: Databases,
    folder: tempfile::TempDir,
    signer: Signer,
    addresses: [SocketAddr; 2],
    children: [Option<Child>; 2],
}

impl Processes {
    /// Starts both, and answers when both serve.
    pub async fn start(engine: Engine) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let random = SystemRandomness;
        let path = |name: &str| folder.path().join(name);
        for service in ["membership", "invitations"] {
            KeyRing::load_or_generate(&path(&format!("{service}.keys")), &random).unwrap();
        }
        let signer = Signer::generate(&random).unwrap();
        let service_signer = Signer::load_or_generate(&path("signing-key.pem"), &random).unwrap();
        let keys = [
            signer.jwks(None),
            service_signer.jwks(Some(Scopes::parse("homeroom.admit"))),
        ]
        .map(|text| serde_json::from_str::<serde_json::Value>(&text).unwrap()["keys"][0].clone());
        let jwks = serde_json::json!({ "keys": keys });
        std::fs::write(path("jwks.json"), jwks.to_string()).unwrap();

        let mut processes = Self {
            databases: Databases::create(engine).await,
            folder,
            signer,
            addresses: [free_address(), free_address()],
            children: [None, None],
        };
        processes.launch(Service::Membership).await;
        processes.launch(Service::Invitations).await;
        processes
    }

    /// Starts one that is not running, and answers when it serves.
    pub async fn launch(&mut self, service: Service) {
        let path = |name: &str| self.folder.path().join(name);
        let (name, database) = match service {
            Service::Membership => ("membership", &self.databases.membership),
            Service::Invitations => ("invitations", &self.databases.invitations),
        };
        let mut command = Command::new(binary(name));
        command
            .env_clear()
            .env("DATABASE_URL", database_url(database))
            .env("LISTEN_ADDRESS", self.address(service).to_string())
            .env("KEYS_FILE", path(&format!("{name}.keys")))
            .env("JWKS_FILE", path("jwks.json"))
            .env("TOKEN_ISSUER", ISSUER)
            .env("TOKEN_AUDIENCE", AUDIENCE)
            .env("MIGRATE_AT_START", "true")
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        if service == Service::Invitations {
            command
                .env("SIGNING_KEY_FILE", path("signing-key.pem"))
                .env(
                    "MEMBERSHIP_URL",
                    format!("http://{}", self.address(Service::Membership)),
                )
                .env("PUBLIC_URL", "https://join.example");
            if let Some(redis) = &self.databases.redis {
                command.env("REDIS_URL", redis);
            }
        }
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
        self.children[service as usize] = Some(child);
        serving(self.address(service)).await;
    }

    /// SIGKILL: no chance to finish anything.
    pub fn kill(&mut self, service: Service) {
        if let Some(mut child) = self.children[service as usize].take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// What the auditor prints of both databases when nothing is under way, and whether every invariant holds.
    #[must_use]
    pub fn audit(&self) -> (bool, String) {
        let output = Command::new(binary("homeroom"))
            .arg("audit")
            .args(["--membership", &database_url(&self.databases.membership)])
            .args(["--invitations", &database_url(&self.databases.invitations)])
            .arg("--quiescent")
            .output()
            .unwrap();
        let printed = [output.stdout, output.stderr].concat();
        (
            output.status.success(),
            String::from_utf8_lossy(&printed).into_owned(),
        )
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self, service: Service) -> SocketAddr {
        self.addresses[service as usize]
    }

    /// A user without any scope.
    #[must_use]
    pub fn user(&self, user: &str) -> Clients {
        self.user_with(Claims::of(user))
    }

    /// A caller with these claims.
    #[must_use]
    pub fn user_with(&self, claims: Claims<'_>) -> Clients {
        let token = access_token(&self.signer, &SystemClock, claims);
        let credentials = Credentials {
            authorization: format!("Bearer {token}").parse().unwrap(),
            acting_user: None,
        };
        let [membership, invitations] = self.addresses.map(crate::channel);
        Clients::new(&membership, &invitations, &credentials)
    }

    /// Kills both and drops their databases.
    pub async fn stop(mut self) {
        self.kill(Service::Invitations);
        self.kill(Service::Membership);
        self.databases.drop_all().await;
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for child in self.children.iter_mut().flatten() {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// The service's binary, built beside this test: `cargo build` comes first.
fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.ancestors().nth(2).unwrap().join(name);
    assert!(
        path.exists(),
        "{} is not built: run this by `tests/run processes`",
        path.display()
    );
    path
}

fn database_url(url: &Url) -> String {
    match url {
        Url::Postgres(url) => url.clone(),
        Url::Sqlite(path) => format!("sqlite://{}", path.display()),
    }
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

/// Waits until the address accepts connections.
async fn serving(address: SocketAddr) {
    let wait = async {
        while tokio::net::TcpStream::connect(address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(START_SECONDS), wait)
        .await
        .unwrap_or_else(|_| panic!("{address} does not serve"));
}
