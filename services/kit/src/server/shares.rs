//! Each caller's share of the calls under way, so that no single caller makes the service refuse
//! others or keep unread answers.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use homeroom_api::common::v1::ErrorReason;

use super::middleware::{Inner, Middleware, Request, Response, refuse};
use crate::{auth::Caller, status::Error};

/// The most calls under way of a person, a caller whose token has no scope.
pub const CALLS_OF_A_PERSON_MAX: usize = 32;

/// Refuses a caller's calls beyond its share. A service, whose token has scopes, may have half of
/// all calls. A call is under way until the last byte of its answer has left, so that data for
/// readers who do not read is bounded; a watch, which has its own limits, only until it begins.
#[derive(Debug, Clone)]
pub(super) struct ShareStep {
    callers: Arc<Mutex<HashMap<String, Share>>>,
    calls_max: usize,
}

/// A call of a caller under way, until it is dropped. One further reference stands for the caller
/// itself.
#[derive(Debug, Clone, Default)]
pub(super) struct Share(Arc<()>);

impl Share {
    fn calls(&self) -> usize {
        Arc::strong_count(&self.0) - 1
    }
}

impl ShareStep {
    pub(super) fn new(calls_max: usize) -> Self {
        Self {
            callers: Arc::default(),
            calls_max,
        }
    }

    /// Counts one more call of the caller, unless its share is used up.
    fn take(&self, caller: &Caller) -> Option<Share> {
        let most = if caller.scopes.iter().next().is_none() {
            CALLS_OF_A_PERSON_MAX
        } else {
            (self.calls_max / 2).max(1)
        };
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        // The map has no more entries than calls are allowed, because callers without a call are
        // removed.
        if callers.len() >= self.calls_max {
            callers.retain(|_, share| share.calls() > 0);
        }
        let share = callers.entry(caller.subject.clone()).or_default();
        (share.calls() < most).then(|| share.clone())
    }
}

impl Middleware for ShareStep {
    async fn handle<S: Inner>(&self, request: Request, inner: S) -> Response {
        // Health and reflection have no caller; they have their own limits.
        let Some(caller) = request.extensions().get::<Caller>() else {
            return inner.answer(request).await;
        };
        let Some(share) = self.take(caller) else {
            return refuse(Error::unavailable(
                ErrorReason::Overloaded,
                "This caller has too many calls under way; wait for some of them to end.",
            ));
        };
        let mut response = inner.answer(request).await;
        // The answer holds the share.
        response.extensions_mut().insert(share);
        response
    }
}

#[cfg(test)]
mod tests {
    use homeroom_api::ids::UserId;

    use super::*;
    use crate::auth::Scope;

    fn caller(user: &str) -> Caller {
        Caller::for_user(UserId::parse(user).unwrap())
    }

    #[test]
    fn a_person_has_a_share_that_others_do_not_feel_and_that_comes_free() {
        let step = ShareStep::new(100);
        let mut held: Vec<_> = (0..CALLS_OF_A_PERSON_MAX)
            .map(|_| step.take(&caller("student-1")).unwrap())
            .collect();
        assert!(step.take(&caller("student-1")).is_none());
        assert!(step.take(&caller("student-2")).is_some());
        held.pop();
        assert!(step.take(&caller("student-1")).is_some());
    }

    #[test]
    fn callers_without_a_call_are_forgotten() {
        let step = ShareStep::new(100);
        let held = step.take(&caller("student"));
        for number in 0..1_000 {
            step.take(&caller(&format!("student-{number}"))).unwrap();
        }
        let callers = step.callers.lock().unwrap();
        assert!(callers.len() <= 100 && callers.contains_key("student"));
        drop(held);
    }

    #[test]
    fn a_service_has_half_of_all() {
        let step = ShareStep::new(100);
        let service = caller("lms").with_scopes([Scope::ActAs]);
        let held: Vec<_> = (0..50).map_while(|_| step.take(&service)).collect();
        assert_eq!(held.len(), 50);
        assert!(step.take(&service).is_none());
    }
}
