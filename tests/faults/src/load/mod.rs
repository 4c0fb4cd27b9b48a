//! The load: people who redeem, wait, withdraw and leave, and staff who reset, switch, revoke,
//! decide and remove, all at the same time.

mod batch;
mod decisions;
mod person;
mod school;
mod staff;
mod way;

use std::{sync::Arc, time::Duration};

use tokio::{task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Response, Status};
use tonic_types::StatusExt as _;

use crate::{
    callers::{CALL_SECONDS, Platform},
    dice::Dice,
    history::{History, Moment},
};

pub(crate) use school::School;

/// The number of people who redeem at the same time.
pub(crate) const PERSONS: usize = 12;
/// The number of organizations.
const SCHOOLS: usize = 3;
/// The seats of each: no limit, few, and enough for a while.
const SEAT_LIMITS: [i64; SCHOOLS] = [0, 40, 400];
/// The message of a service for an unexpected error; transports have other messages.
const INTERNAL_MESSAGE: &str = "An internal error occurred";
/// The name under which such an answer is counted.
pub(crate) const INTERNAL_OF_A_SERVICE: &str = "INTERNAL, by a service itself";
/// The time for which a person still waits for a final answer after being told to stop, in seconds.
const PATIENCE_SECONDS: u64 = 60;

/// The state that all tasks of the load share.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) platform: Platform,
    pub(crate) history: History,
    pub(crate) schools: Vec<School>,
    /// Cancelled when nothing new may begin.
    stopping: CancellationToken,
    /// Cancelled when unfinished calls must be abandoned.
    giving_up: CancellationToken,
}

/// The result of a call that was repeated until its answer was final.
#[derive(Debug)]
pub(crate) struct Ended<T> {
    pub(crate) first_begin: Moment,
    pub(crate) end: Moment,
    /// The answer; `None` if it is unknown.
    pub(crate) answer: Option<Result<T, String>>,
}

impl Scene {
    /// Creates organizations with every kind of invitation, before any fault.
    pub(crate) async fn prepare(platform: Platform, dice: &Dice) -> Result<Self, Status> {
        let mut schools = Vec::new();
        for (index, seat_limit) in SEAT_LIMITS.into_iter().enumerate() {
            schools
                .push(School::open(&platform, &format!("school-{index}"), seat_limit, dice).await?);
        }
        Ok(Self {
            platform,
            history: History::new(),
            schools,
            stopping: CancellationToken::new(),
            giving_up: CancellationToken::new(),
        })
    }

    /// Makes a call once. Returns `Err` with the reason of a final refusal, and `None` if the
    /// result is unknown.
    pub(crate) async fn once<T>(
        &self,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Option<Result<T, String>> {
        // The deadline normally ends the call; this timeout is for a transport that does not notice
        // it.
        let longest = Duration::from_secs(CALL_SECONDS + 3);
        let status = match timeout(longest, call).await {
            Ok(Ok(response)) => {
                self.history.count("OK");
                return Some(Ok(response.into_inner()));
            }
            Ok(Err(status)) => status,
            Err(_) => Status::deadline_exceeded("no answer at all"),
        };
        let reason = reason(&status);
        if status.code() == Code::Internal && status.message().starts_with(INTERNAL_MESSAGE) {
            self.history.count(INTERNAL_OF_A_SERVICE);
        }
        self.history.count(if reason.is_empty() {
            code_name(status.code())
        } else {
            &reason
        });
        is_final(status.code()).then_some(Err(reason))
    }

    /// Makes a call until its answer is final. Impatient people give up after the first answer that
    /// is not; everybody gives up some time after the load was stopped.
    pub(crate) async fn until_final<T, F>(
        &self,
        patient: bool,
        dice: &Dice,
        call: impl Fn() -> F,
    ) -> Ended<T>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let first_begin = self.history.now();
        loop {
            let answer = self.once(call()).await;
            let end = self.history.now();
            if answer.is_some() || !patient || !self.waits(dice).await {
                return Ended {
                    first_begin,
                    end,
                    answer,
                };
            }
        }
    }

    /// Waits before a retry. Returns false if there is no time left for one.
    pub(crate) async fn waits(&self, dice: &Dice) -> bool {
        tokio::select! {
            () = self.giving_up.cancelled() => false,
            () = tokio::time::sleep(dice.millis(20, 150)) => true,
        }
    }

    /// Waits between two actions. Returns false if the load must stop.
    pub(crate) async fn goes_on(&self, pause: Duration) -> bool {
        tokio::select! {
            () = self.stopping.cancelled() => false,
            () = tokio::time::sleep(pause) => !self.stopping.is_cancelled(),
        }
    }
}

/// The running load.
pub(crate) struct Load {
    pub(crate) scene: Arc<Scene>,
    tasks: JoinSet<()>,
}

impl Load {
    /// Starts the load, `weight` times as heavy as usual.
    pub(crate) fn start(scene: Arc<Scene>, weight: usize, dice: &Dice) -> Self {
        let mut tasks = JoinSet::new();
        for index in 0..PERSONS * weight {
            tasks.spawn(person::redeem_and_leave(
                Arc::clone(&scene),
                index,
                dice.split(),
            ));
        }
        for index in 0..scene.schools.len() {
            tasks.spawn(staff::change_ways(Arc::clone(&scene), index, dice.split()));
            tasks.spawn(decisions::decide(Arc::clone(&scene), index, dice.split()));
        }
        Self { scene, tasks }
    }

    /// Begins nothing new, and waits until every patient caller has a final answer. Returns how
    /// many had to give up.
    pub(crate) async fn stop(&mut self) -> usize {
        self.scene.stopping.cancel();
        let patience = async {
            while let Some(ended) = self.tasks.join_next().await {
                ended.unwrap();
            }
        };
        if timeout(Duration::from_secs(PATIENCE_SECONDS), patience)
            .await
            .is_ok()
        {
            return 0;
        }
        let late = self.tasks.len();
        self.scene.giving_up.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
        late
    }
}

/// Returns the reason that a failed call carries; empty if there is none.
fn reason(status: &Status) -> String {
    let details = status.get_error_details();
    details
        .error_info()
        .map(|info| info.reason.clone())
        .unwrap_or_default()
}

/// Returns true if a retry would be useless.
fn is_final(code: Code) -> bool {
    !matches!(
        code,
        Code::Unavailable
            | Code::Aborted
            | Code::Unknown
            | Code::Cancelled
            | Code::Internal
            | Code::DeadlineExceeded
            | Code::Unauthenticated
    )
}

fn code_name(code: Code) -> &'static str {
    match code {
        Code::Unavailable => "UNAVAILABLE",
        Code::Unknown => "UNKNOWN",
        Code::Cancelled => "CANCELLED",
        Code::Internal => "INTERNAL",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        _ => "OTHER",
    }
}
