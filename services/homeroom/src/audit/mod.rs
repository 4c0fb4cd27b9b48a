//! The auditor: reads both databases with SQL of its own and judges the invariants I1 to I8 of
//! redemption. No code is shared with the services' stores, so that one mistake is not made twice.
//!
//! # Reading a live system
//!
//! Nothing is written or locked. Three snapshots are taken, each one read-only transaction
//! (PostgreSQL: REPEATABLE READ READ ONLY; SQLite: a read-only connection and BEGIN), in this order:
//!
//! 1. `before`: the invitations database;
//! 2. the membership database;
//! 3. `after`: the invitations database again.
//!
//! A redemption is reserved (T1, invitations), then answered (T2, membership), then settled (T3,
//! invitations), and never goes back. Hence, whatever is under way:
//!
//! - what `before` shows settled, membership shows answered;
//! - what membership shows answered, `after` shows at least reserved;
//! - a fence that `before` shows confirmed is up in membership, and no fence that membership shows
//!   is above the epoch in `after`.
//!
//! What only `after` shows, or what it shows RESERVED, may be under way and is not judged, except by its age.
//!
//! # What is judged
//!
//! - **I1**, membership alone: `seats_used` is the number of Students, `requests_waiting` the number
//!   of PENDING requests. More seats used than licensed is a violation if the licence has not been
//!   changed since a Student joined, else a note: a licence may be lowered.
//! - **I2**, membership alone: one membership for each organization and user, class and user; who is in
//!   a class is in its organization; a class has one OWNER, the one that it names.
//! - **I3**, `after` alone: the counts of uses are those of the redemptions that hold one, by state, from
//!   the epoch on that is counted. More than `max_uses` is judged as in I1. One living redemption for
//!   each invitation, epoch and person (P2). What holds no use is neither queued nor committed (P3).
//! - **I4**: nothing is RESERVED for longer than [`Options::stuck_after`], or QUEUED for longer than
//!   that after its request's end was written (90 minutes where the end's event was skipped, which
//!   leaves it to the sweep).
//! - **I5**: nothing was admitted or queued below a fence after it went up; what was answered
//!   `STALE_EPOCH` was below it; a confirmed fence is up. See below for what the data cannot tell.
//! - **I6**, membership alone: each QUEUED admission has its request and each request its admission; a
//!   request is undecided, or decided once, by somebody, at a time; it has one event of its filing and
//!   one of its end, which says what the row says and names the redemption; nobody waits for what they are in.
//! - **I7**: one admission for each redemption and none without; nothing settled without membership's
//!   word, or otherwise than it says; ADMITTED has its `member.joined`.
//! - **I8**: organization, class, person, invitation and epoch of redemption, invitation, admission,
//!   join request and member agree.
//!
//! - **Erasures (R13)**: the pseudonym of one that is under way may stand in one service and the person still
//!   in the other. Of one that is done it stands in both.
//!
//! With [`Options::quiescent`] nothing may be under way (both services stopped after all was settled,
//! or idle and healthy): then every RESERVED row, every end not followed, every pending fence, every erasure under way is a violation.
//!
//! # What the data cannot tell (I5)
//!
//! `fences.update_time` is when the fence was last raised, or asked to be: an admission between an
//! earlier raise and the last one is not seen. Where PostgreSQL keeps commit times
//! (`track_commit_timestamp = on`) the commits are compared, which no wrong clock disturbs. Elsewhere the services' clocks are, with
//! [`Options::clock_tolerance`]: on PostgreSQL a transaction reads the clock before it waits for the
//! fence, so that up to the lock timeout of 5 seconds cannot be told; on SQLite one transaction
//! writes at a time. Raise the tolerance where clocks were stepped. On SQLite the order of
//! rows also shows, without a clock, what was admitted after a `STALE_EPOCH` of the same epoch.

mod check;
mod database;
mod erasures;
mod fences;
mod invitation_checks;
mod judgement;
mod membership_checks;
mod membership_checks_of_requests;
mod print;
mod redemptions;
mod report;

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use homeroom_kit::database::Url;

pub use database::Error;
pub use print::print;
pub use report::{Finding, Invariant, Offender, Outcome, Report, Severity};

use check::{Figures, run_checks, run_counts};
use database::{Service, Snapshot};
use judgement::Circumstances;

/// How long a redemption may be under way unless told otherwise, in minutes.
pub const STUCK_AFTER_MINUTES_DEFAULT: i64 = 10;
/// How long the sweep may take to settle what the feed skipped, in minutes.
pub const SWEEP_MINUTES: i64 = 90;
/// How far the order of two of PostgreSQL's transactions may differ from that of their clocks, in
/// seconds: as long as the services' statements wait for a lock.
pub const CLOCK_TOLERANCE_POSTGRES_SECONDS: i64 = 5;
/// Offending rows that are shown of each kind unless told otherwise; all are counted.
pub const ROWS_SHOWN_DEFAULT: u32 = 20;

/// How to judge.
#[derive(Debug, Clone)]
pub struct Options {
    /// By this clock what is under way grows old: the services' own.
    pub now: DateTime<Utc>,
    /// Nothing is under way: judge strictly.
    pub quiescent: bool,
    /// How long a redemption may be RESERVED, or QUEUED after its request has ended.
    pub stuck_after: TimeDelta,
    /// How far clocks may mislead; None: nothing on SQLite, 5 seconds on PostgreSQL.
    pub clock_tolerance: Option<TimeDelta>,
    /// Offending rows to keep of each kind.
    pub rows_shown: u32,
}

impl Options {
    /// For a live system at `now`.
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

/// Reads both databases and judges. An error means that nothing could be judged.
pub async fn audit(
    membership: &Url,
    invitations: &Url,
    options: &Options,
) -> Result<Report, Error> {
    // The order of these three is what the judgement rests on.
    let mut before = Snapshot::take(invitations, Service::Invitations).await?;
    let mut of_membership = Snapshot::take(membership, Service::Membership).await?;
    let mut after = Snapshot::take(invitations, Service::Invitations).await?;

    let mut report = Report::new(options.quiescent, options.rows_shown);
    let of_invitations = Figures::new(options, after.engine());
    for counts in [
        membership_checks::COUNTS,
        membership_checks_of_requests::COUNTS,
    ] {
        run_counts(&mut of_membership, counts, &mut report).await?;
    }
    run_counts(&mut after, invitation_checks::COUNTS, &mut report).await?;
    let figures = Figures::new(options, of_membership.engine());
    for checks in [
        membership_checks::CHECKS,
        membership_checks_of_requests::CHECKS,
    ] {
        run_checks(&mut of_membership, checks, &figures, &mut report).await?;
    }
    run_checks(
        &mut after,
        invitation_checks::CHECKS,
        &of_invitations,
        &mut report,
    )
    .await?;
    fences::compare(&mut before, &mut of_membership, &mut after, &mut report).await?;

    let skipped: HashSet<String> = after.texts("SELECT subject FROM skipped_events").await?;
    let erasing = erasures::under_way(&mut before, &mut after).await?;
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
