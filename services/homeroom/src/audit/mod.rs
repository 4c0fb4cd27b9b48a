//! The auditor reads both databases with its own SQL and checks the invariants I1 to I8 of
//! redemption. It shares no code with the services' stores, so that it does not repeat their
//! mistakes.
//!
//! # Reading a live system
//!
//! It writes and locks nothing. It takes three snapshots, each one read-only transaction
//! (PostgreSQL: REPEATABLE READ READ ONLY; SQLite: a read-only connection and BEGIN), in this
//! order:
//!
//! 1. `before`: the invitations database;
//! 2. the membership database;
//! 3. `after`: the invitations database again.
//!
//! A redemption is reserved (T1, invitations), then answered (T2, membership), then settled (T3,
//! invitations), and never goes back. So, whatever is under way:
//!
//! - a redemption that is settled in `before` is answered in membership;
//! - a redemption that is answered in membership is at least reserved in `after`;
//! - a fence that is confirmed in `before` is up in membership, and no fence in membership is above
//!   the epoch in `after`.
//!
//! A redemption that is only in `after`, or RESERVED there, may be under way, so only its age is
//! checked.
//!
//! # Checks
//!
//! - **I1**, membership alone: `seats_used` is the number of Students, `requests_waiting` the
//!   number of PENDING requests. More seats used than licensed is a violation if the license has
//!   not been changed since a Student joined, otherwise a note: a license may be lowered.
//! - **I2**, membership alone: one membership for each organization and user, class and user;
//!   members of a class are members of its organization; a class has one OWNER, the one that it
//!   names.
//! - **I3**, `after` alone: the counts of uses equal the redemptions that hold one, by state, from
//!   the first counted epoch on. More than `max_uses` is treated as in I1. There is one living
//!   redemption for each invitation, epoch and person (P2). A redemption without a use is neither
//!   queued nor committed (P3).
//! - **I4**: nothing is RESERVED for longer than [`Options::stuck_after`], or QUEUED for longer
//!   than that after its request's end was written (90 minutes if the end's event was skipped,
//!   which leaves it to the sweep).
//! - **I5**: nothing was admitted or queued below a fence after it went up; every `STALE_EPOCH`
//!   answer was below its fence; a confirmed fence is up. See below for the limits of the data.
//! - **I6**, membership alone: each QUEUED admission has its request and each request its
//!   admission; a request is undecided, or decided once, by somebody, at a time; it has one event
//!   of its filing and one of its end, which agrees with the row and names the redemption; no
//!   member waits for a place that they are in. Events that may have been pruned (F9), by the
//!   times of `pruned_events`, may be missing.
//! - **I7**: one admission for each redemption and none without; nothing is settled without
//!   membership's answer, or contrary to it; ADMITTED has its `member.joined`, unless it may have
//!   been pruned.
//! - **I8**: organization, class, person, invitation and epoch of redemption, invitation,
//!   admission, join request and member agree.
//!
//! - **Erasures (R13) and moves (R15)**: while one is under way, one service may have the pseudonym, or
//!   the person's other account, and the other still the person. Once it is done, both have the same.
//!
//! With [`Options::quiescent`] nothing may be under way (both services are stopped after everything
//! settled, or idle and healthy): then every RESERVED row, every end not followed, every pending
//! fence and every erasure under way is a violation.
//!
//! # Limits of the data (I5)
//!
//! `fences.update_time` is the time at which the fence was last raised, or asked to be: an
//! admission between an earlier raise and the last one is not detected. If PostgreSQL keeps commit
//! times (`track_commit_timestamp = on`), the commits are compared, which no wrong clock disturbs.
//! Otherwise the services' clocks are compared, with [`Options::clock_tolerance`]: on PostgreSQL a
//! transaction reads the clock before it waits for the fence, so an interval up to the lock timeout
//! of 5 seconds cannot be resolved; on SQLite one transaction writes at a time. Raise the tolerance
//! if clocks were stepped. On SQLite the order of rows also shows, without a clock, an admission
//! after a `STALE_EPOCH` of the same epoch.

mod check;
mod database;
mod fences;
mod invitation_checks;
mod judgment;
mod membership_checks;
mod parts;
mod print;
mod redemptions;
mod report;

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use homeroom_kit::database::Url;

pub use database::Error;
pub use print::print;
pub use report::{Finding, Invariant, Offender, Report, Severity};

use check::{Figures, run_checks, run_counts};
use database::{Service, Snapshot};
use judgment::Circumstances;

/// The default time for which a redemption may be under way, in minutes.
pub const STUCK_AFTER_MINUTES_DEFAULT: i64 = 10;
/// The time within which the sweep must settle redemptions whose event the feed skipped, in
/// minutes.
pub const SWEEP_MINUTES: i64 = 90;
/// The time by which the order of two PostgreSQL transactions may differ from that of their clocks,
/// in seconds: the services' lock timeout.
pub const CLOCK_TOLERANCE_POSTGRES_SECONDS: i64 = 5;
/// The default number of offending rows that are shown of each kind; all are counted.
pub const ROWS_SHOWN_DEFAULT: u32 = 20;

/// The options of an audit.
#[derive(Debug, Clone)]
pub struct Options {
    /// The current time by the services' clock, by which the age of unfinished work is measured.
    pub now: DateTime<Utc>,
    /// True if nothing is under way, so that the check is strict.
    pub quiescent: bool,
    /// The longest time for which a redemption may be RESERVED, or QUEUED after its request has
    /// ended.
    pub stuck_after: TimeDelta,
    /// The possible error of clocks; `None` means 0 on SQLite and 5 seconds on PostgreSQL.
    pub clock_tolerance: Option<TimeDelta>,
    /// The number of offending rows that are kept of each kind.
    pub rows_shown: u32,
}

impl Options {
    /// Returns the options for a live system at `now`.
    #[must_use]
    pub const fn at(now: DateTime<Utc>) -> Self {
        Self {
            now,
            quiescent: false,
            stuck_after: TimeDelta::minutes(STUCK_AFTER_MINUTES_DEFAULT),
            clock_tolerance: None,
            rows_shown: ROWS_SHOWN_DEFAULT,
        }
    }
}

/// Reads both databases and checks them. An error means that nothing could be checked.
pub async fn audit(
    membership: &Url,
    invitations: &Url,
    options: &Options,
) -> Result<Report, Error> {
    // The checks rely on the order of these three snapshots.
    let mut before = Snapshot::take(invitations, Service::Invitations).await?;
    let mut of_membership = Snapshot::take(membership, Service::Membership).await?;
    let mut after = Snapshot::take(invitations, Service::Invitations).await?;

    let mut report = Report::new(options.quiescent, options.rows_shown);
    run_counts(&mut of_membership, membership_checks::COUNTS, &mut report).await?;
    run_counts(&mut after, invitation_checks::COUNTS, &mut report).await?;
    let figures = Figures::new(options, of_membership.engine());
    let checks = membership_checks::CHECKS;
    run_checks(&mut of_membership, checks, &figures, &mut report).await?;
    let figures = Figures::new(options, after.engine());
    let checks = invitation_checks::CHECKS;
    run_checks(&mut after, checks, &figures, &mut report).await?;
    fences::compare(&mut before, &mut of_membership, &mut after, &mut report).await?;

    let skipped: HashSet<String> = after.texts("SELECT subject FROM skipped_events").await?;
    // An erasure (R13) was under way if `after` shows it and `before` does not show it as done.
    let done = "SELECT pseudonym FROM erasures WHERE done_time IS NOT NULL";
    let done = before.texts(done).await?;
    let mut erasing = after.texts("SELECT pseudonym FROM erasures").await?;
    erasing.retain(|pseudonym| !done.contains(pseudonym));
    // A move of one account to another (R15) names its accounts as long as it is under way.
    for snapshot in [&mut before, &mut after] {
        let accounts = "SELECT target FROM erasures WHERE target <> ''";
        erasing.extend(snapshot.texts(accounts).await?);
    }
    let circumstances = Circumstances::new(options, skipped, erasing);
    redemptions::judge_all(
        [&mut before, &mut after],
        &mut of_membership,
        &circumstances,
        &mut report,
    )
    .await?;
    before.close().await;
    of_membership.close().await;
    after.close().await;
    Ok(report)
}
