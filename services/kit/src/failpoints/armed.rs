use std::{
    collections::BTreeMap,
    process,
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

use super::{Injected, Moment, WrongVariant};

/// The effect at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The process ends at once, as by SIGKILL: nothing is flushed and nobody is told.
    Abort,
    /// [`reached`](super::reached) fails.
    Fail,
    /// The program waits for this time and continues.
    Delay(Duration),
    /// The program waits until [`disarm`] and continues.
    Hold,
    /// The program never continues.
    Hang,
}

/// An action, and when it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Armed {
    /// The action.
    pub action: Action,
    /// The number of the arrival, counted from now on, at which it first happens; 1 is the next.
    pub at: u64,
    /// The number of consecutive arrivals at which it happens.
    pub times: u64,
}

#[derive(Default)]
struct Registry {
    armed: BTreeMap<String, Armed>,
    hits: BTreeMap<String, u64>,
    wrong: Option<WrongVariant>,
    /// Notified at each [`disarm`], which releases everything that is held.
    disarmed: watch::Sender<()>,
}

static REGISTRY: LazyLock<Mutex<Registry>> = LazyLock::new(Mutex::default);

fn registry() -> MutexGuard<'static, Registry> {
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reports that the program has reached `moment` of `place`. Fails if a test ordered it.
pub async fn reached(service: &str, place: &str, moment: Moment) -> Result<(), Injected> {
    let point = format!("{service}.{place}.{moment}");
    let (action, mut disarmed) = {
        let mut registry = registry();
        let action = registry.armed.get_mut(&point).and_then(|armed| {
            armed.at = armed.at.saturating_sub(1);
            if armed.at > 0 || armed.times == 0 {
                return None;
            }
            armed.times -= 1;
            Some(armed.action)
        });
        *registry.hits.entry(point.clone()).or_default() += 1;
        // Subscribe before anyone can see that the point was reached.
        (action, registry.disarmed.subscribe())
    };
    match action {
        None => Ok(()),
        Some(Action::Abort) => {
            // If many points are armed, only this line tells which one it was.
            eprintln!("aborts at {point}");
            process::abort()
        }
        Some(Action::Fail) => Err(Injected),
        Some(Action::Delay(delay)) => {
            tokio::time::sleep(delay).await;
            Ok(())
        }
        Some(Action::Hold) => {
            // The registry is never dropped, so only `disarm` ends this wait.
            drop(disarmed.changed().await);
            Ok(())
        }
        Some(Action::Hang) => std::future::pending().await,
    }
}

/// Returns true if a test switched this variant on.
#[must_use]
pub fn is_wrong(variant: WrongVariant) -> bool {
    registry().wrong == Some(variant)
}

/// Switches one wrong variant on, or all off.
pub fn set_wrong_variant(variant: Option<WrongVariant>) {
    registry().wrong = variant;
}

/// Arms a point, such as `invitations.reserve.after_commit`, in place of its former action.
pub fn arm(point: &str, armed: Armed) {
    registry().armed.insert(point.to_owned(), armed);
}

/// Disarms every point, and releases everything that is held.
pub fn disarm() {
    let mut registry = registry();
    registry.armed.clear();
    registry.disarmed.send_replace(());
}

/// Returns how often each point was reached so far.
#[must_use]
pub fn hits() -> BTreeMap<String, u64> {
    registry().hits.clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Points are armed for the whole process, so one test runs at a time.
    static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

    fn once(action: Action) -> Armed {
        Armed {
            action,
            at: 1,
            times: 1,
        }
    }

    #[tokio::test]
    async fn what_is_held_goes_on_when_it_is_disarmed_and_not_before() {
        let _alone = ALONE.lock().await;
        arm("kit.held.before_commit", once(Action::Hold));
        let mut held = Box::pin(reached("kit", "held", Moment::BeforeCommit));
        assert!(futures::poll!(&mut held).is_pending());
        assert_eq!(hits()["kit.held.before_commit"], 1);
        // The point was armed for one arrival.
        let next = reached("kit", "held", Moment::BeforeCommit);
        assert_eq!(next.await, Ok(()));
        arm("kit.held.after_commit", once(Action::Fail));
        assert!(futures::poll!(&mut held).is_pending());
        disarm();
        assert_eq!(held.await, Ok(()));
    }

    #[tokio::test]
    async fn a_point_fails_at_the_arrival_it_was_armed_for_and_no_other() {
        let _alone = ALONE.lock().await;
        let second = Armed {
            at: 2,
            ..once(Action::Fail)
        };
        arm("kit.nth.before_commit", second);
        for expected in [Ok(()), Err(Injected), Ok(())] {
            assert_eq!(reached("kit", "nth", Moment::BeforeCommit).await, expected);
        }
        assert_eq!(reached("kit", "nth", Moment::AfterCommit).await, Ok(()));
        assert_eq!(hits()["kit.nth.before_commit"], 3);
    }
}
