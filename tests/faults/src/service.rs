//! One service as a process: started, controlled at its failpoints, killed.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    net::SocketAddr,
    os::unix::process::ExitStatusExt as _,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};

pub(crate) use homeroom_tests::processes::Service as Which;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    net::TcpStream,
    process::{Child, ChildStdin, ChildStdout, Command},
    time::{sleep, timeout},
};

/// The time within which a service must serve, even on a busy machine.
const START_SECONDS: u64 = 90;
/// The time within which it must answer a command.
const COMMAND_SECONDS: u64 = 5;

/// The variable with the commands that it runs before anything else.
const FAILPOINTS: &str = "HOMEROOM_FAILPOINTS";
/// The signal of a process that ends itself at a failpoint.
const SIGABRT: i32 = 6;
/// The signal of a process that this module kills.
const SIGKILL: i32 = 9;

/// The settings of its start.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) which: Which,
    pub(crate) binary: PathBuf,
    pub(crate) address: SocketAddr,
    pub(crate) environment: BTreeMap<&'static str, String>,
    /// The log file.
    pub(crate) log: PathBuf,
}

struct Running {
    child: Child,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
    /// True if it has accepted connections.
    served: bool,
    /// True if a failpoint may end it.
    armed: bool,
}

/// A service, running or not.
pub(crate) struct Service {
    pub(crate) settings: Settings,
    running: Option<Running>,
    /// The number of log lines that name the failpoint that ended it.
    aborts_in_log: usize,
    /// The failpoints that ended it since the last query.
    aborts: Vec<String>,
    /// Ends that the campaign did not cause, since the last query.
    wrong_ends: Vec<String>,
}

impl Service {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            running: None,
            aborts_in_log: 0,
            aborts: Vec::new(),
            wrong_ends: Vec::new(),
        }
    }

    /// Returns the failpoints that ended it since the last query.
    pub(crate) fn take_aborts(&mut self) -> Vec<String> {
        std::mem::take(&mut self.aborts)
    }

    /// Returns the ends that the campaign did not cause, since the last query.
    pub(crate) fn take_wrong_ends(&mut self) -> Vec<String> {
        std::mem::take(&mut self.wrong_ends)
    }

    /// Begins a new log. The service is not running.
    pub(crate) fn forget_log(&mut self) {
        drop(fs::remove_file(&self.settings.log));
        self.aborts_in_log = 0;
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
            served: false,
            armed: self.settings.environment.contains_key(FAILPOINTS),
        });
    }

    /// Starts it and waits until it accepts connections. Starts it again if it ends because its
    /// database is away.
    pub(crate) async fn launch(&mut self) {
        let serving = async {
            loop {
                if !self.is_running() {
                    self.spawn();
                }
                if TcpStream::connect(self.settings.address).await.is_ok() {
                    if let Some(running) = &mut self.running {
                        running.served = true;
                    }
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

    /// Starts it with commands that it runs before anything else, and does not wait.
    pub(crate) fn start_armed(&mut self, commands: &[String]) {
        let environment = &mut self.settings.environment;
        environment.insert(FAILPOINTS, commands.join(";"));
        self.spawn();
        self.settings.environment.remove(FAILPOINTS);
    }

    pub(crate) fn is_running(&mut self) -> bool {
        let Some(running) = &mut self.running else {
            return false;
        };
        let Some(status) = running.child.try_wait().unwrap() else {
            return true;
        };
        self.has_ended(status);
        false
    }

    /// Records an end that [`Self::kill`] did not cause, as ordered or as wrong. Before it serves,
    /// an end is not wrong, since its database may be away.
    fn has_ended(&mut self, status: ExitStatus) {
        let Some(running) = self.running.take() else {
            return;
        };
        let aborts = self.aborts_in_log();
        let new = aborts.get(self.aborts_in_log..).unwrap_or_default();
        match new {
            [point, ..] if running.armed && status.signal() == Some(SIGABRT) => {
                self.aborts.push(point.clone());
            }
            [] if !running.served && !running.armed => {}
            _ => self.wrong_ends.push(format!(
                "an end of its own: {} ended with {status}, {}, and its log says of failpoints: {new:?}",
                self.settings.which.name(),
                if running.armed {
                    "armed"
                } else {
                    "not armed"
                },
            )),
        }
        self.aborts_in_log = aborts.len();
    }

    /// Sends one command and returns the answer, or `None` if the service has ended or does not
    /// answer. A service that does not answer is killed, so that a late answer cannot be taken for
    /// that of another command.
    pub(crate) async fn command(&mut self, line: &str) -> Option<String> {
        let running = self.running.as_mut()?;
        if line.starts_with("arm ") && line.contains(" abort") {
            running.armed = true;
        }
        let exchange = async {
            running
                .stdin
                .write_all(format!("{line}\n").as_bytes())
                .await
                .ok()?;
            running.stdin.flush().await.ok()?;
            running.stdout.next_line().await.ok()?
        };
        let Ok(answer) = timeout(Duration::from_secs(COMMAND_SECONDS), exchange).await else {
            self.kill().await;
            return None;
        };
        let answer = answer?;
        assert!(!answer.starts_with("error"), "{line}: {answer}");
        Some(answer)
    }

    /// Disarms every failpoint; kills a service that does not confirm.
    pub(crate) async fn disarm(&mut self) {
        if self.command("disarm").await.as_deref() != Some("ok") {
            self.kill().await;
        } else if let Some(running) = &mut self.running {
            running.armed = false;
        }
    }

    /// Returns the failpoints that it has reached since it was started, with their counts.
    pub(crate) async fn points(&mut self) -> BTreeMap<String, u64> {
        let hits = self.command("hits").await.unwrap_or_default();
        hits.split_whitespace()
            .filter_map(|hit| {
                let (point, count) = hit.split_once('=')?;
                Some((point.to_owned(), count.parse().ok()?))
            })
            .collect()
    }

    /// Waits until it has ended by itself. Returns true if it has.
    pub(crate) async fn ends_within(&mut self, longest: Duration) -> bool {
        let Some(running) = &mut self.running else {
            return true;
        };
        let Ok(status) = timeout(longest, running.child.wait()).await else {
            return false;
        };
        self.has_ended(status.unwrap());
        true
    }

    /// Returns the failpoints that ended it, by its log. Two may be logged at once: the first
    /// counts.
    fn aborts_in_log(&self) -> Vec<String> {
        let log = fs::read(&self.settings.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let points = log
            .lines()
            .filter_map(|line| line.strip_prefix("aborts at "));
        points.map(str::to_owned).collect()
    }

    /// Sends SIGKILL. Returns true if this ended it, and nothing before.
    pub(crate) async fn kill(&mut self) -> bool {
        if !self.is_running() {
            return false;
        }
        let Some(running) = &mut self.running else {
            return false;
        };
        running.child.start_kill().unwrap();
        let status = running.child.wait().await.unwrap();
        if status.signal() == Some(SIGKILL) {
            self.running = None;
            return true;
        }
        self.has_ended(status);
        false
    }
}
