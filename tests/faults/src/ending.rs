//! Decides whether a run was a full campaign, and whether it exercised enough.

use std::time::Duration;

use crate::{
    arguments::Arguments,
    fault::{Class, Fault},
    state::State,
};

/// The fewest faults of processes in a full campaign.
const PROCESS_FAULTS_MIN: u64 = 1_000;
/// The fewest faults of the network in a full campaign.
const NETWORK_FAULTS_MIN: u64 = 9_000;
/// The fewest redemptions that are in doubt at the ends of a full campaign's rounds; fewer would
/// not give a 99th percentile.
const SETTLED_MIN: usize = 100;
/// The seconds within which 99% of the redemptions in doubt settle (P13).
const SETTLED_99_PERCENT_SECONDS: u64 = 10;
/// The seconds within which all of them settle (P13).
const SETTLED_ALL_SECONDS: u64 = 60;

/// The kind of a run, and its result.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ending {
    /// The reason why this was not a full campaign; `None` if it was one.
    pub(crate) incomplete: Option<&'static str>,
    /// The faults that were left out.
    pub(crate) not_run: Vec<Fault>,
    /// The requirements of a full campaign that this one ran to its end without reaching.
    pub(crate) missed: Vec<String>,
}

impl Ending {
    /// Returns the result of a run with these arguments, which is `finished` or was interrupted.
    pub(crate) fn of(arguments: &Arguments, finished: bool, state: &State) -> Self {
        let incomplete = if !finished {
            Some("it was interrupted")
        } else if arguments.variant.is_some() {
            Some("a wrong protocol was run")
        } else if arguments.short || arguments.count.is_some() {
            Some("each fault had few rounds (`--short` or `--count`)")
        } else if !arguments.faults.is_empty() {
            Some("some faults alone were asked for")
        } else {
            None
        };
        let not_run = Fault::ALL.iter().copied();
        let not_run = not_run.filter(|fault| {
            let asked_for = arguments.faults.is_empty() || arguments.faults.contains(fault);
            !asked_for || arguments.without.contains(fault)
        });
        Self {
            not_run: not_run.collect(),
            missed: incomplete.map_or_else(|| missed(state), |_| Vec::new()),
            incomplete,
        }
    }
}

fn missed(state: &State) -> Vec<String> {
    let mut missed = Vec::new();
    for (class, least) in [
        (Class::Process, PROCESS_FAULTS_MIN),
        (Class::Network, NETWORK_FAULTS_MIN),
    ] {
        let count = state.count(class);
        if count < least {
            let title = class.title().to_lowercase();
            missed.push(format!("{title}: {count} faults, fewer than {least}"));
        }
    }
    let points = state.tally.points_not_killed_at();
    if !points.is_empty() {
        missed.push(format!("no process was killed at {}", points.join(", ")));
    }
    if state.settled_millis.len() < SETTLED_MIN {
        missed.push(format!(
            "{} redemptions were in doubt when faults were over, fewer than {SETTLED_MIN}",
            state.settled_millis.len()
        ));
    }
    missed
}

/// Returns the bounds of P13 that do not hold over all rounds.
pub(crate) fn settled_too_late(state: &State) -> Vec<String> {
    let limits = [(99, SETTLED_99_PERCENT_SECONDS), (100, SETTLED_ALL_SECONDS)];
    let late = limits.into_iter().filter_map(|(percent, seconds)| {
        let took = state.settled_within(percent);
        (took > Duration::from_secs(seconds)).then(|| {
            format!("P13, {percent}% settle within {seconds} s of health: it took {took:.1?}")
        })
    });
    late.collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn arguments(line: &str) -> Arguments {
        Arguments::parse_from(format!("run {line}").split_whitespace())
    }

    /// Returns the smallest state of a full campaign.
    fn enough() -> State {
        let mut state = State::default();
        state.tally.add(Fault::Kill, PROCESS_FAULTS_MIN);
        state.tally.add(Fault::Cut, NETWORK_FAULTS_MIN);
        state.settled_millis = vec![10_000; SETTLED_MIN];
        state
    }

    #[test]
    fn a_full_campaign_misses_what_it_did_not_reach() {
        let missed = |state: &State| Ending::of(&arguments(""), true, state).missed.len();
        assert_eq!(missed(&enough()), 0);
        assert_eq!(missed(&State::default()), 3);
        let mut state = enough();
        state.settled_millis.pop();
        assert_eq!(missed(&state), 1);
        let mut state = enough();
        let point = "invitations.reserve.after_commit";
        state.tally.reachable_points.insert(point.to_owned());
        assert_eq!(missed(&state), 1);
        state.tally.points.insert(point.to_owned(), 1);
        assert_eq!(missed(&state), 0);
    }

    #[test]
    fn what_is_no_full_campaign_says_so_and_names_the_faults_that_were_left_out() {
        let ending = |line, finished| Ending::of(&arguments(line), finished, &State::default());
        for line in ["--short", "--count 2", "cut", "--variant no-fence"] {
            let ending = ending(line, true);
            assert!(ending.incomplete.is_some() && ending.missed.is_empty());
        }
        assert!(ending("", false).incomplete.is_some());
        assert_eq!(ending("", true).not_run, []);
        assert_eq!(
            ending("--without disk-full", true).not_run,
            [Fault::DiskFull]
        );
        assert_eq!(ending("cut", true).not_run.len(), Fault::ALL.len() - 1);
    }

    #[test]
    fn p13_the_limits_are_10_s_for_99_percent_and_60_s_for_all() {
        let late = |slowest: [u64; 2]| {
            let mut state = State {
                settled_millis: vec![1; 98],
                ..State::default()
            };
            state.settled_millis.extend(slowest);
            settled_too_late(&state).len()
        };
        assert_eq!(late([10_000, 60_000]), 0);
        assert_eq!(late([10_001, 60_000]), 1);
        assert_eq!(late([10_000, 60_001]), 1);
    }
}
