//! The load: people who redeem, wait, withdraw and leave, and staff who reset, switch, revoke,
//! decide and remove, all at the same time.

mod person;
mod school;
mod staff;
mod way;

use std::{sync::Arc, time::Duration};

use homeroom_tests::{Clients, dice::Dice};
use serde_json::Value;
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::history::{History, Moment};

pub(crate) use school::School;

/// The time that a caller waits for one answer.
const CALL: Duration = Duration::from_secs(2);
/// The time after which a transport that does not notice the deadline has not answered.
const CALL_MAX: Duration = Duration::from_secs(5);
/// The number of people who redeem at the same time.
const PERSONS: usize = 12;
/// The seats of each organization: no limit, few, and enough for a while.
const SEAT_LIMITS: [i64; 3] = [0, 40, 400];
/// The message of a service for an unexpected error; transports have other messages.
const INTERNAL_MESSAGE: &str = "An internal error occurred";
/// The name under which such an answer is counted.
pub(crate) const INTERNAL_OF_A_SERVICE: &str = "INTERNAL, by a service itself";
/// The time for which a person still waits for a final answer after being told to stop.
const PATIENCE: Duration = Duration::from_mins(1);

/// The state that all tasks of the load share.
pub(crate) struct Scene {
    platform: Clients,
    pub(crate) history: History,
    pub(crate) schools: Vec<School>,
    /// Cancelled when nothing new may begin.
    stopping: CancellationToken,
    /// Cancelled when unfinished calls must be abandoned.
    giving_up: CancellationToken,
}

/// The result of a call that was repeated until its answer was final.
struct Ended {
    first_begin: Moment,
    end: Moment,
    /// The answer; `None` if it was refused or is unknown.
    answer: Option<Value>,
}

impl Scene {
    /// Creates organizations with every kind of invitation, before any fault.
    pub(crate) async fn prepare(platform: Clients, dice: &Dice) -> Self {
        let mut schools = Vec::new();
        for (index, seat_limit) in SEAT_LIMITS.into_iter().enumerate() {
            let id = format!("school-{index}");
            schools.push(School::open(&platform, &id, seat_limit, dice).await);
        }
        Self {
            platform: platform.with_timeout(CALL),
            history: History::new(),
            schools,
            stopping: CancellationToken::new(),
            giving_up: CancellationToken::new(),
        }
    }

    fn acting_for(&self, user: &str) -> Clients {
        self.platform.acting_for(user)
    }

    /// Makes a call once. Returns `Err` with the reason of a final refusal, and `None` if the
    /// result is unknown.
    async fn once(
        &self,
        caller: &Clients,
        method: &str,
        body: &Value,
    ) -> Option<Result<Value, String>> {
        let status = match timeout(CALL_MAX, caller.call(method, body)).await {
            Ok(Ok(answer)) => {
                self.history.count("OK");
                return Some(Ok(answer));
            }
            Ok(Err(status)) => status,
            Err(_) => Status::deadline_exceeded("no answer at all"),
        };
        if status.code() == Code::Internal && status.message().starts_with(INTERNAL_MESSAGE) {
            self.history.count(INTERNAL_OF_A_SERVICE);
        }
        let details = status.get_error_details();
        let reason = details.error_info().map(|info| info.reason.clone());
        self.history.count(
            &reason
                .clone()
                .unwrap_or_else(|| format!("{:?}", status.code())),
        );
        is_final(status.code()).then(|| Err(reason.unwrap_or_default()))
    }

    /// Makes a change until its answer is final, or everybody must give up.
    async fn change(&self, caller: &Clients, dice: &Dice, method: &str, mut body: Value) -> Ended {
        body["request_id"] = dice.request_id().into();
        let first_begin = self.history.now();
        loop {
            let answer = self.once(caller, method, &body).await;
            if answer.is_some() || !self.waits(dice).await {
                return Ended {
                    first_begin,
                    end: self.history.now(),
                    answer: answer.and_then(Result::ok),
                };
            }
        }
    }

    /// Waits before a retry. Returns false if there is no time left for one.
    async fn waits(&self, dice: &Dice) -> bool {
        tokio::select! {
            () = self.giving_up.cancelled() => false,
            () = sleep(dice.millis(20, 150)) => true,
        }
    }

    /// Waits between two actions. Returns false if the load must stop.
    async fn goes_on(&self, pause: Duration) -> bool {
        tokio::select! {
            () = self.stopping.cancelled() => false,
            () = sleep(pause) => !self.stopping.is_cancelled(),
        }
    }
}

/// The running load.
pub(crate) struct Load {
    scene: Arc<Scene>,
    tasks: JoinSet<()>,
}

impl Load {
    /// Starts the load, `weight` times as heavy as usual.
    pub(crate) fn start(scene: Arc<Scene>, weight: usize, dice: &Dice) -> Self {
        let mut tasks = JoinSet::new();
        for index in 0..PERSONS * weight {
            let work = person::redeem_and_leave(Arc::clone(&scene), index, dice.split());
            tasks.spawn(work);
        }
        for index in 0..scene.schools.len() {
            tasks.spawn(staff::change_ways(Arc::clone(&scene), index, dice.split()));
            tasks.spawn(staff::decide(Arc::clone(&scene), index, dice.split()));
        }
        Self { scene, tasks }
    }

    /// Begins nothing new, and waits until every patient caller has a final answer. Returns how
    /// many had to give up.
    pub(crate) async fn stop(mut self) -> usize {
        self.scene.stopping.cancel();
        let all_end = async |tasks: &mut JoinSet<()>| {
            while let Some(ended) = tasks.join_next().await {
                ended.unwrap();
            }
        };
        drop(timeout(PATIENCE, all_end(&mut self.tasks)).await);
        let late = self.tasks.len();
        self.scene.giving_up.cancel();
        all_end(&mut self.tasks).await;
        late
    }
}

/// Returns true if a retry would be useless. While clocks step, a token may not be valid yet.
fn is_final(code: Code) -> bool {
    code != Code::Unauthenticated && homeroom_tests::is_final(code)
}
