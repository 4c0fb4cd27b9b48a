//! The two service binaries as separate processes, which can be killed and restarted.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use homeroom_kit::{
    auth::{Scopes, Signer},
    clock::SystemClock,
    database::Url,
    keys::KeyRing,
    random::SystemRandomness,
};
use tokio::net::TcpStream;

use crate::{
    AUDIENCE, Claims, Clients, ISSUER, access_token,
    databases::{Databases, Engine},
    eventually, free_address,
};

/// The time within which it must end when it is told to.
const END_SECONDS: u64 = 60;

/// One of the two services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// `membership`.
    Membership,
    /// `invitations`.
    Invitations,
}

impl Service {
    /// Both services.
    pub const BOTH: [Self; 2] = [Self::Membership, Self::Invitations];

    /// Returns the name of its binary.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Membership => "membership",
            Self::Invitations => "invitations",
        }
    }
}

/// The parts that every process of one test shares.
struct Shared {
    databases: Databases,
    folder: tempfile::TempDir,
    signer: Signer,
}

/// The start options and the process of one service.
struct Place {
    binary: PathBuf,
    /// The program, with its arguments, that starts the binary; empty if there is none.
    wrapper: Vec<String>,
    /// Settings in addition to those of every test, or in place of them.
    environment: Vec<(String, String)>,
    /// The file to which its output is appended; `None` means the test's own output.
    log: Option<PathBuf>,
    address: SocketAddr,
    child: Option<Child>,
}

/// Both services as processes, on their own databases.
pub struct Processes {
    shared: Arc<Shared>,
    places: [Place; 2],
}

impl Processes {
    /// Starts both; returns when both serve.
    pub async fn start(engine: Engine) -> Self {
        let mut processes = Self::on(Databases::create(engine).await);
        processes.launch_both().await;
        processes
    }

    /// Returns two services on these databases that are not running yet.
    #[must_use]
    pub fn on(databases: Databases) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let signer = write_keys(folder.path());
        Self::of(Arc::new(Shared {
            databases,
            folder,
            signer,
        }))
    }

    /// Returns two more services on the same databases and with the same keys, not running yet.
    #[must_use]
    pub fn beside(&self) -> Self {
        Self::of(Arc::clone(&self.shared))
    }

    fn of(shared: Arc<Shared>) -> Self {
        let places = Service::BOTH.map(|service| Place {
            binary: binary(service.name()),
            wrapper: Vec::new(),
            environment: Vec::new(),
            log: None,
            address: free_address(),
            child: None,
        });
        Self { shared, places }
    }

    /// Uses another binary than this build's for one of them.
    #[must_use]
    pub fn with_binary(mut self, service: Service, binary: PathBuf) -> Self {
        assert!(binary.exists(), "{} is not there", binary.display());
        self.place_mut(service).binary = binary;
        self
    }

    /// Starts one of them by another program, such as a tracer, that runs the command after its
    /// arguments.
    #[must_use]
    pub fn with_wrapper(mut self, service: Service, wrapper: Vec<String>) -> Self {
        self.place_mut(service).wrapper = wrapper;
        self
    }

    /// Adds one setting to one of them, or changes one.
    #[must_use]
    pub fn with_setting(mut self, service: Service, name: &str, value: &str) -> Self {
        let setting = (name.to_owned(), value.to_owned());
        self.place_mut(service).environment.push(setting);
        self
    }

    /// Gives membership the key of invitations in a file of its own.
    #[must_use]
    pub fn with_keys_of_invitations(self) -> Self {
        let path = |name: &str| self.shared.folder.path().join(name);
        let set = std::fs::read_to_string(path("jwks.json")).unwrap();
        let mut set: serde_json::Value = serde_json::from_str(&set).unwrap();
        let keys = set["keys"].as_array_mut().unwrap();
        keys.drain(..keys.len() - 1);
        let file = path("invitations.json");
        std::fs::write(&file, set.to_string()).unwrap();
        let file = file.display().to_string();
        self.with_setting(Service::Membership, "INVITATIONS_JWKS_FILE", &file)
    }

    /// Appends all output of one of them to a file.
    #[must_use]
    pub fn with_log(mut self, service: Service, path: PathBuf) -> Self {
        self.place_mut(service).log = Some(path);
        self
    }

    /// Returns the key ring file of one of them, which it reads when it starts.
    #[must_use]
    pub fn keys_file(&self, service: Service) -> PathBuf {
        self.shared
            .folder
            .path()
            .join(format!("{}.keys", service.name()))
    }

    /// Returns their databases.
    #[must_use]
    pub fn databases(&self) -> &Databases {
        &self.shared.databases
    }

    fn place(&self, service: Service) -> &Place {
        &self.places[service as usize]
    }

    fn place_mut(&mut self, service: Service) -> &mut Place {
        &mut self.places[service as usize]
    }

    /// Starts both; returns when both serve.
    pub async fn launch_both(&mut self) {
        self.launch(Service::Membership).await;
        self.launch(Service::Invitations).await;
    }

    /// Starts one that is not running; returns when it serves.
    pub async fn launch(&mut self, service: Service) {
        self.begin(service);
        self.serving(service).await;
    }

    /// Starts one that is not running, and does not wait for it.
    pub fn begin(&mut self, service: Service) {
        let child = self.command(service).spawn();
        let child =
            child.unwrap_or_else(|error| panic!("{} cannot be started: {error}", service.name()));
        self.place_mut(service).child = Some(child);
    }

    /// Waits until its address accepts connections. Panics if it ends instead.
    async fn serving(&mut self, service: Service) {
        let Place { address, child, .. } = self.place_mut(service);
        let (name, address, child) = (service.name(), *address, child.as_mut().unwrap());
        eventually(&format!("{name} serves"), async || {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("{name} ended with {status} before it served {address}");
            }
            TcpStream::connect(address).await.is_ok()
        })
        .await;
    }

    /// Returns the command that starts one of them.
    #[must_use]
    pub fn command(&self, service: Service) -> Command {
        let place = self.place(service);
        let mut command = match place.wrapper.split_first() {
            None => Command::new(&place.binary),
            Some((wrapper, arguments)) => {
                let mut command = Command::new(wrapper);
                command.args(arguments).arg(&place.binary);
                command
            }
        };
        command
            .env_clear()
            .env(
                "DATABASE_URL",
                database_url(self.databases().url_of(service)),
            )
            .env("LISTEN_ADDRESS", place.address.to_string())
            .envs(settings(
                service,
                self.shared.folder.path(),
                self.address(Service::Membership),
            ))
            .env("MIGRATE_AT_START", "true")
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        if let (Service::Invitations, Some(redis)) = (service, &self.shared.databases.redis) {
            command.env("REDIS_URL", redis);
        }
        let settings = place.environment.iter();
        command.envs(settings.map(|(name, value)| (name, value)));
        if let Some(log) = &place.log {
            let file = std::fs::File::options().append(true).create(true).open(log);
            let file = file.unwrap();
            command.stdout(file.try_clone().unwrap()).stderr(file);
        }
        command
    }

    /// Sends SIGKILL, so that it can finish nothing.
    pub fn kill(&mut self, service: Service) {
        if let Some(mut child) = self.place_mut(service).child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Sends SIGTERM, so that it finishes its work and ends.
    pub fn order_stop(&self, service: Service) {
        let child = self.place(service).child.as_ref().unwrap();
        let sent = Command::new("sh")
            .args(["-c", &format!("kill -TERM {}", child.id())])
            .status();
        assert!(sent.unwrap().success(), "{} has ended", service.name());
    }

    /// Sends SIGTERM and waits until it has ended well.
    pub async fn end(&mut self, service: Service) {
        self.order_stop(service);
        let ended = self.ended(service, Duration::from_secs(END_SECONDS));
        assert!(ended.await.success(), "{}", service.name());
    }

    /// Returns its process id.
    #[must_use]
    pub fn id(&self, service: Service) -> u32 {
        self.place(service).child.as_ref().unwrap().id()
    }

    /// Returns true if it is still running.
    pub fn runs(&mut self, service: Service) -> bool {
        let child = self.place_mut(service).child.as_mut();
        child.is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    /// Returns how it ended, within this time.
    pub async fn ended(&mut self, service: Service, within: Duration) -> ExitStatus {
        let mut child = self.place_mut(service).child.take().unwrap();
        let wait = async {
            loop {
                if let Some(status) = child.try_wait().unwrap() {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(within, wait).await;
        waited.unwrap_or_else(|_| {
            child.kill().unwrap();
            panic!("{} still runs after {within:?}", service.name())
        })
    }

    /// Waits until no redemption is under way.
    pub async fn settled(&self) {
        eventually("every redemption ends", async || {
            self.databases().reserved_redemptions().await == 0
        })
        .await;
    }

    /// Returns whether every invariant holds in both databases when nothing is under way, and the
    /// auditor's output.
    #[must_use]
    pub fn audit(&self) -> (bool, String) {
        let output = Command::new(binary("homeroom"))
            .arg("audit")
            .args(["--membership", &database_url(&self.databases().membership)])
            .args([
                "--invitations",
                &database_url(&self.databases().invitations),
            ])
            .arg("--quiescent")
            .output()
            .unwrap();
        let printed = [output.stdout, output.stderr].concat();
        (
            output.status.success(),
            String::from_utf8_lossy(&printed).into_owned(),
        )
    }

    /// Returns its address.
    #[must_use]
    pub fn address(&self, service: Service) -> SocketAddr {
        self.place(service).address
    }

    /// Returns a source of callers of both services.
    #[must_use]
    pub fn callers(&self) -> Callers {
        Callers {
            shared: Arc::clone(&self.shared),
            addresses: [Service::Membership, Service::Invitations].map(|one| self.address(one)),
        }
    }

    /// Returns a user without any scope.
    #[must_use]
    pub fn user(&self, user: &str) -> Clients {
        self.callers().user_with(Claims::of(user))
    }

    /// Returns a caller with these claims.
    #[must_use]
    pub fn user_with(&self, claims: Claims<'_>) -> Clients {
        self.callers().user_with(claims)
    }

    /// Kills both and drops their databases.
    pub async fn stop(mut self) {
        self.kill(Service::Invitations);
        self.kill(Service::Membership);
        self.databases().drop_all().await;
    }
}

/// Creates callers of two services, running or not.
#[derive(Clone)]
pub struct Callers {
    shared: Arc<Shared>,
    addresses: [SocketAddr; 2],
}

impl Callers {
    /// Returns a user without any scope, on new connections.
    #[must_use]
    pub fn user(&self, user: &str) -> Clients {
        self.user_with(Claims::of(user))
    }

    /// Returns a caller with these claims, on new connections.
    #[must_use]
    pub fn user_with(&self, claims: Claims<'_>) -> Clients {
        let [membership, invitations] = self.addresses;
        Clients::connect(membership, invitations, &self.access_token(claims))
    }

    /// Returns an access token with these claims.
    #[must_use]
    pub fn access_token(&self, claims: Claims<'_>) -> String {
        access_token(&self.shared.signer, &SystemClock, claims)
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for child in self
            .places
            .iter_mut()
            .filter_map(|place| place.child.as_mut())
        {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// Writes the keys of both services to a folder, and returns the key of access tokens.
///
/// # Panics
/// Panics if they cannot be written.
#[must_use]
pub fn write_keys(folder: &Path) -> Signer {
    let random = SystemRandomness;
    let path = |name: &str| folder.join(name);
    for service in Service::BOTH {
        KeyRing::load_or_generate(&path(&format!("{}.keys", service.name())), &random).unwrap();
    }
    let signer = Signer::generate(&random).unwrap();
    let service_signer = Signer::load_or_generate(&path("signing-key.pem"), &random).unwrap();
    let keys = [
        signer.jwk(None),
        service_signer.jwk(Some(Scopes::parse("homeroom.admit"))),
    ];
    let jwks = serde_json::json!({ "keys": keys });
    std::fs::write(path("jwks.json"), jwks.to_string()).unwrap();
    signer
}

/// Returns the settings of a service that has its keys in this folder and reaches membership at
/// this address.
#[must_use]
pub fn settings(
    service: Service,
    folder: &Path,
    membership: SocketAddr,
) -> Vec<(&'static str, String)> {
    let path = |name: &str| folder.join(name).display().to_string();
    let mut settings = vec![
        ("KEYS_FILE", path(&format!("{}.keys", service.name()))),
        ("JWKS_FILE", path("jwks.json")),
        ("TOKEN_ISSUER", ISSUER.to_owned()),
        ("TOKEN_AUDIENCE", AUDIENCE.to_owned()),
    ];
    if service == Service::Invitations {
        settings.extend([
            ("SIGNING_KEY_FILE", path("signing-key.pem")),
            ("MEMBERSHIP_URL", format!("http://{membership}")),
            ("PUBLIC_URL", "https://join.example".to_owned()),
        ]);
    }
    settings
}

/// Returns the path of the service's binary, beside this program, or in the folder above it if this
/// is a test. It must be built first (`cargo build`).
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let this = std::env::current_exe().unwrap();
    let mut paths = this
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(name));
    paths.find(|path| path.is_file()).unwrap_or_else(|| {
        panic!(
            "{name} is not built beside {}: run this by tests/run",
            this.display()
        )
    })
}

/// Returns the text of the URL.
#[must_use]
pub fn database_url(url: &Url) -> String {
    match url {
        Url::Postgres(url) => url.clone(),
        Url::Sqlite(path) => format!("sqlite://{}", path.display()),
    }
}
