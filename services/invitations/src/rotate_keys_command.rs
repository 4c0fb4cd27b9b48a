//! `invitations rotate-keys`: prints lines of progress, and then the result.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

use anstream::println;
use anstyle::{AnsiColor, Style};
use homeroom_invitations::{
    app::rotate_keys::{Progress, Rotated},
    rotate_keys,
};
use homeroom_kit::{
    config::Reader,
    keys::KeyRing,
    request_ids::REQUEST_ID_HOURS,
    service::{self, Failure},
    shutdown::Shutdown,
};

/// The minimum time between lines of progress, in milliseconds.
const PROGRESS_MILLIS: u64 = 500;

const QUIET: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// Rotates the secrets. Fails if any is left under an old key.
pub(crate) async fn run(settings: Reader) -> Result<(), Failure> {
    let (url, keys) = service::read_database(settings, |reader| {
        reader.required("KEYS_FILE", KeyRing::read_named)
    })?;
    let shutdown = Shutdown::on_signals()?;
    let mut line = ProgressLine::default();
    let rotating = rotate_keys(&url, &keys, |progress| line.show(progress));
    let Some(ended) = shutdown.unless_begun(rotating).await else {
        return Err("stopped; what was rotated stays so: run this again to go on".into());
    };
    line.end();
    print(&ended?)
}

/// One line that is overwritten on a terminal; elsewhere, one line after the other.
#[derive(Default)]
struct ProgressLine {
    last: Option<Instant>,
    open: bool,
}

impl ProgressLine {
    fn show(&mut self, progress: Progress) {
        let apart = Duration::from_millis(PROGRESS_MILLIS);
        let is_last = progress.rotated >= progress.of;
        if !is_last && self.last.is_some_and(|last| last.elapsed() < apart) {
            return;
        }
        self.last = Some(Instant::now());
        let text = format!(
            "version {}: {} of {} rotated",
            progress.version, progress.rotated, progress.of
        );
        let mut out = io::stdout();
        let written = if out.is_terminal() {
            self.open = true;
            write!(out, "\r\x1b[K{text}").and_then(|()| out.flush())
        } else {
            writeln!(out, "{text}")
        };
        // If nobody reads the output any more, that is no reason to stop.
        drop(written);
    }

    fn end(&mut self) {
        if std::mem::take(&mut self.open) {
            println!();
        }
    }
}

fn print(rotated: &Rotated) -> Result<(), Failure> {
    let Rotated {
        current,
        rotated: count,
        left,
        not_rotated,
    } = rotated;
    println!("{count} secrets are stored anew under version {current}.");
    for (version, left) in left {
        println!("Left under version {version}: {left}");
    }
    for (invitation, why) in not_rotated {
        println!("    {BAD}not rotated{BAD:#} {invitation}  {QUIET}{why}{QUIET:#}");
    }
    let versions: Vec<String> = left.keys().map(u32::to_string).collect();
    let named = versions.join(" and ");
    if left.values().any(|left| *left > 0) {
        return Err(format!(
            "secrets are left under an old key: keep version {named} in KEYS_FILE, and run this again"
        )
        .into());
    }
    if left.is_empty() {
        println!("{GOOD}KEYS_FILE has one version, and every secret is under it.{GOOD:#}");
    } else {
        println!(
            "{GOOD}Nothing is left.{GOOD:#} Version {named} may be taken out of KEYS_FILE {REQUEST_ID_HOURS} hours \
             after the last process was started with version {current} as the current one: until then a \
             retry may name a request id that was kept under the old one."
        );
    }
    Ok(())
}
