use std::{
    collections::BTreeMap,
    process,
    str::FromStr,
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

use super::{Injected, Moment, WrongVariant};

/// What happens at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The process ends at once, as by SIGKILL: nothing is flushed, nobody is told.
    Abort,
    /// [`reached`](super::reached) errs.
    Fail,
    /// The program waits, and goes on.
    Delay(Duration),
    /// The program waits until [`disarm`], and goes on.
    Hold,
    /// The program never goes on from here.
    Hang,
}

/// What is to happen, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Armed {
    /// What happens.
    pub action: Action,
    /// At which arrival from now on, from 1.
    pub at: u64,
    /// At how many arrivals in a row.
    pub times: u64,
}

#[derive(Default)]
struct Registry {
    armed: BTreeMap<String, Armed>,
    hits: BTreeMap<String, u64>,
    wrong: Option<WrongVariant>,
    /// Told at each [`disarm`]: what is held goes on.
    disarmed: watch::Sender<()>,
}

static REGISTRY: LazyLock<Mutex<Registry>> = LazyLock::new(Mutex::default);

fn registry() -> MutexGuard<'static, Registry> {
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

fn point(service: &str, place: &str, moment: Moment) -> String {
    let moment = match moment {
        Moment::BeforeBegin => "before_begin",
        Moment::Looked => "looked",
        Moment::BeforeCommit => "before_commit",
        Moment::AfterCommit => "after_commit",
        Moment::Received => "received",
        Moment::Answering => "answering",
        Moment::Sending => "sending",
        Moment::Answered => "answered",
    };
    format!("{service}.{place}.{moment}")
}

/// Says that the program stands at `moment` of `place`. Errs where a test asked for it.
pub async fn reached(service: &str, place: &str, moment: Moment) -> Result<(), Injected> {
    let point = point(service, place, moment);
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
        // Listens before anyone can see that the point was reached.
        (action, registry.disarmed.subscribe())
    };
    match action {
        None => Ok(()),
        Some(Action::Abort) => {
            // Where many are armed, which it was is told by nothing else.
            eprintln!("aborts at {point}");
            process::abort()
        }
        Some(Action::Fail) => Err(Injected),
        Some(Action::Delay(delay)) => {
            tokio::time::sleep(delay).await;
            Ok(())
        }
        Some(Action::Hold) => {
            // The registry is never dropped, so this ends by `disarm` alone.
            drop(disarmed.changed().await);
            Ok(())
        }
        Some(Action::Hang) => std::future::pending().await,
    }
}

/// Whether a test switched this variant on.
#[must_use]
pub fn is_wrong(variant: WrongVariant) -> bool {
    registry().wrong == Some(variant)
}

/// Switches one wrong variant on, or all off.
pub fn set_wrong_variant(variant: Option<WrongVariant>) {
    registry().wrong = variant;
}

/// Arms a point, such as `invitations.reserve.after_commit`. What it was armed with is forgotten.
pub fn arm(point: &str, armed: Armed) {
    registry().armed.insert(point.to_owned(), armed);
}

/// Disarms every point, and lets go on what is held.
pub fn disarm() {
    let mut registry = registry();
    registry.armed.clear();
    registry.disarmed.send_replace(());
}

/// How often each point was reached so far.
#[must_use]
pub fn hits() -> BTreeMap<String, u64> {
    registry().hits.clone()
}

impl FromStr for WrongVariant {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "release-on-timeout" => Ok(Self::ReleaseOnTimeout),
            "no-admission-key" => Ok(Self::NoAdmissionKey),
            "no-fence" => Ok(Self::NoFence),
            "check-then-act" => Ok(Self::CheckThenAct),
            "settle-overwrites" => Ok(Self::SettleOverwrites),
            _ => Err(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is armed is armed for the whole process: one test at a time.
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
        // It was armed for one arrival.
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
