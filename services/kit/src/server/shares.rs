//! Each caller's share of the calls under way: nobody alone makes the service shed everybody, or keep
//! answers that nobody takes.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use homeroom_api::common::v1::ErrorReason;

use super::{
    held_answer::holding,
    middleware::{Inner, Middleware, Request, Response, refuse},
};
use crate::{auth::Caller, status::Error};

/// Calls under way at most of a person: a token without any scope.
pub const CALLS_OF_A_PERSON_MAX: usize = 32;

/// Refuses a caller's calls beyond its share. A service, whose token has scopes, may have half of all.
/// A call is under way until the last byte of its answer has left, so that what waits for a reader who
/// does not read is bounded. Watches, which have limits of their own, are so until they begin.
#[derive(Debug, Clone)]
pub(super) struct ShareStep {
    under_way: Arc<Mutex<HashMap<String, usize>>>,
    of_a_service_max: usize,
}

impl ShareStep {
    pub(super) fn new(calls_max: usize) -> Self {
        Self {
            under_way: Arc::default(),
            of_a_service_max: (calls_max / 2).max(1),
        }
    }

    /// Counts one more call of the caller, unless it has its share already.
    fn take(&self, caller: &Caller) -> Option<Share> {
        let most = if caller.scopes.iter().next().is_none() {
            CALLS_OF_A_PERSON_MAX
        } else {
            self.of_a_service_max
        };
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let count = under_way.entry(caller.subject.clone()).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Share {
            under_way: Arc::clone(&self.under_way),
            subject: caller.subject.clone(),
        })
    }
}

/// One call under way, until it is dropped.
struct Share {
    under_way: Arc<Mutex<HashMap<String, usize>>>,
    subject: String,
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = under_way.get_mut(&self.subject) {
            *count -= 1;
            if *count == 0 {
                under_way.remove(&self.subject);
            }
        }
    }
}

impl Middleware for ShareStep {
    async fn handle<S: Inner>(&self, request: Request, inner: S) -> Response {
        // Health and reflection have no caller, and bounds of their own.
        let Some(caller) = request.extensions().get::<Caller>() else {
            return inner.answer(request).await;
        };
        let Some(share) = self.take(caller) else {
            return refuse(Error::unavailable(
                ErrorReason::Overloaded,
                "This caller has too many calls under way; wait for some of them to end.",
            ));
        };
        let is_watch = request.uri().path().ends_with("/WatchEvents");
        let response = inner.answer(request).await;
        if is_watch {
            return response;
        }
        holding(response, share)
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
        drop(held);
        assert!(step.under_way.lock().unwrap().is_empty());
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
