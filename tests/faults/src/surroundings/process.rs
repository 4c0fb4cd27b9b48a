//! A program that runs, is signalled, and does not outlive its owner.

use std::{
    fs::File,
    os::unix::{fs::MetadataExt as _, process::CommandExt as _},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::Patience;

/// The time that a dropped program has to end before it is killed.
const END_SECONDS: u64 = 10;

/// A signal to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// Immediate shutdown of PostgreSQL, which recovers at the next start as after a crash.
    Quit,
    Kill,
    Stop,
    Continue,
}

impl Signal {
    fn name(self) -> &'static str {
        match self {
            Self::Quit => "QUIT",
            Self::Kill => "KILL",
            Self::Stop => "STOP",
            Self::Continue => "CONT",
        }
    }
}

/// A running program. When dropped, it is stopped and waited for.
pub(super) struct Process {
    child: Child,
    /// The signal that stops it when it is dropped.
    last: Signal,
}

impl Process {
    /// Starts it with both outputs appended to the file `log`.
    pub(super) fn start(
        name: &'static str,
        mut command: Command,
        log: &Path,
        last: Signal,
    ) -> Self {
        let log = File::options().create(true).append(true).open(log).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
        Self { child, last }
    }

    pub(super) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Sends the signal if the program is still running.
    pub(super) fn signal(&mut self, signal: Signal) {
        // It is not reaped yet, so the id is still this child's.
        if self.is_running() {
            let id = self.child.id().to_string();
            run(Command::new("sh").args([
                "-c",
                "kill -s \"$0\" \"$1\"",
                signal.name(),
                id.as_str(),
            ]));
        }
    }

    /// Sends the signal and waits for the end.
    pub(super) async fn end(mut self, signal: Signal) {
        self.signal(signal);
        let patience = Patience::until("the end of a process");
        while self.is_running() {
            patience.pause().await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.is_running() {
            return;
        }
        self.signal(self.last);
        let until = Instant::now() + Duration::from_secs(END_SECONDS);
        while self.is_running() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Runs a program to its end; panics unless it succeeds.
pub(super) fn run(command: &mut Command) {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Does the same without blocking other tasks.
pub(super) async fn run_aside(mut command: Command) {
    tokio::task::spawn_blocking(move || run(&mut command))
        .await
        .unwrap();
}

/// Returns true if this process runs as root.
pub(super) fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

/// A user of this system under whom a program runs that refuses to run as root.
#[derive(Debug, Clone, Copy)]
pub(super) struct User {
    id: u32,
    group: u32,
}

impl User {
    /// Returns the user of this name if this process is root and can switch to it, otherwise
    /// `None`.
    pub(super) fn to_become(name: &str) -> Option<Self> {
        if !is_root() {
            return None;
        }
        let users = std::fs::read_to_string("/etc/passwd").unwrap();
        let user = users
            .lines()
            .map(|line| line.split(':').collect::<Vec<_>>())
            .find(|fields| fields[0] == name)
            .unwrap_or_else(|| panic!("no user {name}: install its package, or do not be root"));
        Some(Self {
            id: user[2].parse().unwrap(),
            group: user[3].parse().unwrap(),
        })
    }

    pub(super) fn run_as(self, command: &mut Command) {
        command.uid(self.id).gid(self.group);
    }

    pub(super) fn give(self, folder: &Path) {
        std::os::unix::fs::chown(folder, Some(self.id), Some(self.group)).unwrap();
    }
}
