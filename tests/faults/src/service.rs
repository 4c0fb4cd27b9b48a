//! One service as a process: started, told what to do at its failpoints, killed.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    net::SocketAddr,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    net::TcpStream,
    process::{Child, ChildStdin, ChildStdout, Command},
    time::{sleep, timeout},
};

/// How long a service may take to serve, also on a busy machine.
const START_SECONDS: u64 = 90;
/// How long it may take to answer a command.
const COMMAND_SECONDS: u64 = 5;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Which {
    Membership,
    Invitations,
}

impl Which {
    pub(crate) const BOTH: [Self; 2] = [Self::Membership, Self::Invitations];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Membership => "membership",
            Self::Invitations => "invitations",
        }
    }
}

/// How to start it.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) which: Which,
    pub(crate) binary: PathBuf,
    pub(crate) address: SocketAddr,
    pub(crate) environment: BTreeMap<&'static str, String>,
    /// Where its log goes.
    pub(crate) log: PathBuf,
}

struct Running {
    child: Child,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
}

/// A service, running or not.
pub(crate) struct Service {
    pub(crate) settings: Settings,
    running: Option<Running>,
}

impl Service {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            running: None,
        }
    }

    fn spawn(&mut self) {
        let log = File::options()
            .create(true)
            .append(true)
            .open(&self.settings.log)
            .unwrap();
        let mut child = Command::new(&self.settings.binary)
            .arg(self.settings.which.name())
            .env_clear()
            .envs(&self.settings.environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", self.settings.binary.display()));
        self.running = Some(Running {
            stdin: child.stdin.take().unwrap(),
            stdout: BufReader::new(child.stdout.take().unwrap()).lines(),
            child,
        });
    }

    /// Starts it, again where it ends because its database is away, until it accepts connections.
    pub(crate) async fn launch(&mut self) {
        let serving = async {
            loop {
                if !self.is_running() {
                    self.spawn();
                }
                if TcpStream::connect(self.settings.address).await.is_ok() {
                    return;
                }
                sleep(Duration::from_millis(5)).await;
            }
        };
        let in_time = timeout(Duration::from_secs(START_SECONDS), serving)
            .await
            .is_ok();
        assert!(
            in_time,
            "{} does not serve within {START_SECONDS} s: see {}",
            self.settings.which.name(),
            self.settings.log.display()
        );
    }

    /// Starts it with these commands carried out before anything else, and does not wait.
    pub(crate) fn start_armed(&mut self, commands: &[String]) {
        let environment = &mut self.settings.environment;
        environment.insert("HOMEROOM_FAILPOINTS", commands.join(";"));
        self.spawn();
        self.settings.environment.remove("HOMEROOM_FAILPOINTS");
    }

    pub(crate) fn is_running(&mut self) -> bool {
        let Some(running) = &mut self.running else {
            return false;
        };
        let runs = running.child.try_wait().unwrap().is_none();
        if !runs {
            self.running = None;
        }
        runs
    }

    /// Sends one command and gives the answer; None if it has ended or does not answer.
    pub(crate) async fn command(&mut self, line: &str) -> Option<String> {
        let running = self.running.as_mut()?;
        let exchange = async {
            running
                .stdin
                .write_all(format!("{line}\n").as_bytes())
                .await
                .ok()?;
            running.stdin.flush().await.ok()?;
            running.stdout.next_line().await.ok()?
        };
        let answer = timeout(Duration::from_secs(COMMAND_SECONDS), exchange)
            .await
            .ok()??;
        assert!(!answer.starts_with("error"), "{line}: {answer}");
        Some(answer)
    }

    /// The failpoints that it has come by since it was started.
    pub(crate) async fn points(&mut self) -> Vec<String> {
        let hits = self.command("hits").await.unwrap_or_default();
        hits.split_whitespace()
            .filter_map(|hit| Some(hit.split_once('=')?.0.to_owned()))
            .collect()
    }

    /// Waits until it has ended by itself; whether it has.
    pub(crate) async fn ends_within(&mut self, longest: Duration) -> bool {
        let Some(running) = &mut self.running else {
            return true;
        };
        let ended: Result<std::io::Result<ExitStatus>, _> =
            timeout(longest, running.child.wait()).await;
        if ended.is_ok() {
            self.running = None;
        }
        ended.is_ok()
    }

    /// The failpoint at which it ended itself for the last time, by its log.
    pub(crate) fn aborted_at(&self) -> Option<String> {
        let log = fs::read(&self.settings.log).ok()?;
        let log = String::from_utf8_lossy(&log);
        let last = log
            .lines()
            .rev()
            .find_map(|line| line.strip_prefix("aborts at "))?;
        Some(last.to_owned())
    }

    /// SIGKILL.
    pub(crate) async fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            drop(running.child.kill().await);
        }
    }
}
