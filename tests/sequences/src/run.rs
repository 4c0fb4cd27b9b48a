//! Carries out and checks one sequence.

use std::time::Duration;

use homeroom_kit::{clock::Clock as _, failpoints};
use homeroom_tests::{dice::Dice, raw};
use tokio::task::JoinHandle;
use tonic::{Code, Status};

use crate::{
    plan::{Act, Fate, Step, Which, Work},
    requests::{Caller, Composer, Effect, METHODS, Method, Request, place_of},
    stage::Stage,
    tally::Tally,
    world::World,
};

/// The time after which a call counts as stuck.
const CALL_MAX: Duration = Duration::from_secs(30);
/// The time for which a caller of a stream waits for its first message.
const STREAM_WAIT: Duration = Duration::from_millis(2);

/// A call that was sent.
pub struct Sent {
    /// Its method.
    pub method: &'static Method,
    /// Its request.
    pub request: Request,
    /// The first answer.
    pub first: Option<Vec<u8>>,
    /// The sum of the clock's steps forward when it was first sent, in seconds.
    pub made_seconds: i64,
}

/// The end of a call for its caller.
pub enum Ended {
    /// The call was answered.
    Answered(Vec<u8>),
    /// The call failed.
    Failed(Status),
    /// The caller dropped the call.
    Gone,
}

/// A call under way.
struct UnderWay {
    sent: usize,
    again: bool,
    /// True, for each of its credentials, if it had ended when the call was made.
    dead: Vec<bool>,
    ended: JoinHandle<Ended>,
}

/// A sequence under way.
pub struct Run<'stage> {
    /// Both services.
    pub stage: &'stage mut Stage,
    /// The state that its callers know.
    pub world: World,
    /// The counts.
    pub tally: &'stage mut Tally,
    /// The number of calls that their callers dropped.
    pub left: u64,
    /// The calls that were sent.
    pub sent: Vec<Sent>,
    /// The actions, one a line.
    pub trace: Vec<String>,
    /// The violations.
    pub findings: Vec<String>,
}

impl<'stage> Run<'stage> {
    /// Returns a sequence that has not begun.
    pub fn new(stage: &'stage mut Stage, tally: &'stage mut Tally, seed: u64) -> Self {
        Self {
            stage,
            world: World::new(seed),
            tally,
            left: 0,
            sent: Vec::new(),
            trace: Vec::new(),
            findings: Vec::new(),
        }
    }

    /// Carries out the steps.
    pub async fn carry_out(&mut self, steps: &[Step]) {
        for step in steps {
            match step {
                Step::SetUp(method, caller, body) => {
                    self.trace.push(format!("set up {method}"));
                    let method = &METHODS[place_of(method)];
                    let request =
                        Request::new(method.descriptor, caller.clone(), body, &self.world);
                    let prepared = self.prepare(method, request);
                    self.together(vec![(prepared, false, Fate::Whole)], &[], &[])
                        .await;
                }
                Step::Together(acts) => self.acts(acts).await,
                Step::Clock(seconds) => {
                    self.stage.clock.step(*seconds);
                    self.stage.back_seconds += (-seconds).max(0);
                    self.trace.push(format!("clock {seconds:+} s"));
                }
                Step::Arm(fault) => {
                    failpoints::arm(&fault.point, fault.armed);
                    self.trace
                        .push(format!("arm {} {:?}", fault.point, fault.armed));
                }
                Step::Disarm => {
                    failpoints::disarm();
                    self.trace.push("disarm".to_owned());
                }
            }
        }
    }

    /// Returns true if a caller dropped a call.
    #[must_use]
    pub fn has_left_calls(&self) -> bool {
        self.left > 0
    }

    /// Calls each service once, behind all earlier calls.
    pub async fn knock(&mut self) {
        for name in [
            "OrganizationService.ListOrganizations",
            "invitations.v1.EventService.ListEvents",
        ] {
            let method = raw::method(name);
            let mut message = tonic::Request::new(Vec::new());
            let token = self.stage.tokens[0].parse().unwrap();
            message.metadata_mut().insert("authorization", token);
            let channel = self.stage.channel(raw::is_memberships(method));
            // Any answer will do.
            let _ = raw::send(channel, method, message, STREAM_WAIT).await;
        }
    }

    async fn acts(&mut self, acts: &[Act]) {
        let mut calls = Vec::new();
        let mut work = Vec::new();
        let mut restarts = Vec::new();
        for act in acts {
            match act {
                Act::Call {
                    method,
                    dice,
                    focus,
                    fate,
                } => {
                    let mut composer = Composer {
                        dice: Dice::new(*dice),
                        focus: *focus,
                        world: &self.world,
                        now: self.stage.clock.now(),
                    };
                    let method = &METHODS[*method];
                    let request = method.compose(&mut composer);
                    calls.push((self.prepare(method, request), false, *fate));
                }
                Act::Again(back) => {
                    if let Some(last) = self.sent.len().checked_sub(1) {
                        calls.push((last - back % self.sent.len(), true, Fate::Whole));
                    }
                }
                Act::Work(which) => work.push(*which),
                Act::Restart(which) => restarts.push(*which),
            }
        }
        self.together(calls, &work, &restarts).await;
    }

    fn prepare(&mut self, method: &'static Method, request: Request) -> usize {
        self.sent.push(Sent {
            method,
            request,
            first: None,
            made_seconds: self.stage.clock.forward_seconds(),
        });
        self.sent.len() - 1
    }

    /// Runs all actions concurrently, then checks the answers and records what they reveal.
    async fn together(
        &mut self,
        calls: Vec<(usize, bool, Fate)>,
        work: &[Work],
        restarts: &[Which],
    ) {
        for (sent, _, _) in &calls {
            if let Effect::Revives(of) = &self.sent[*sent].request.effect {
                self.world.revive(of);
            }
            if let Some(user) = &self.sent[*sent].request.erases {
                self.world.erased.push(user.clone());
            }
        }
        let under_way: Vec<UnderWay> = calls
            .into_iter()
            .map(|(sent, again, fate)| self.begin(sent, again, fate))
            .collect();
        let working: Vec<_> = work
            .iter()
            .map(|one| (*one, self.stage.work(*one)))
            .collect();
        for which in restarts {
            turns(20).await;
            self.trace.push(format!("  kill and start {which:?}"));
            self.tally.count("restart");
            self.stage.restart(*which).await;
        }
        for (which, working) in working {
            let done = working.await;
            self.trace.push(format!("  work {which:?}: {done:?}"));
            if let Ok(Err(error)) = done
                && error.cause().is_some()
            {
                self.findings
                    .push(format!("{which:?} failed inside: {:?}", error.cause()));
            }
        }
        for call in under_way {
            let waited = tokio::time::timeout(CALL_MAX, call.ended).await;
            if waited.is_err() {
                let name = self.sent[call.sent].method.name();
                self.findings.push(format!("{name} is not answered"));
            }
            let ended = waited.map_or(Ended::Gone, |ended| {
                ended.unwrap_or_else(|failure| {
                    self.findings.push(format!("a call panicked: {failure}"));
                    Ended::Gone
                })
            });
            self.judge(
                call.sent,
                call.again,
                &call.dead,
                ended,
                !restarts.is_empty(),
            );
        }
    }

    fn begin(&self, sent: usize, again: bool, fate: Fate) -> UnderWay {
        let Sent {
            method, request, ..
        } = &self.sent[sent];
        let mut message = tonic::Request::new(request.body.clone());
        let token = match &request.caller {
            Caller::Platform => &self.stage.tokens[0],
            Caller::For(user) => {
                message
                    .metadata_mut()
                    .insert("x-homeroom-user", user.parse().unwrap());
                &self.stage.tokens[1]
            }
        };
        message
            .metadata_mut()
            .insert("authorization", token.parse().unwrap());
        if let Fate::Hurried(millis) = fate {
            message.set_timeout(Duration::from_millis(millis.into()));
        }
        let dead = request
            .redeems
            .iter()
            .map(|asked| self.world.is_dead(&asked.credential))
            .collect();
        let descriptor = method.descriptor;
        let channel = self.stage.channel(raw::is_memberships(descriptor));
        let ended = tokio::spawn(async move {
            let answered = raw::send(channel, descriptor, message, STREAM_WAIT);
            let answered = match fate {
                Fate::Dropped(count) => tokio::select! {
                    biased;
                    answered = answered => answered,
                    () = turns(count) => return Ended::Gone,
                },
                Fate::Whole | Fate::Hurried(_) => answered.await,
            };
            match answered {
                Ok(answer) => Ended::Answered(answer),
                // The client's own deadline passed first.
                Err(status)
                    if matches!(fate, Fate::Hurried(_))
                        && matches!(status.code(), Code::Cancelled | Code::DeadlineExceeded)
                        && status.details().is_empty() =>
                {
                    Ended::Gone
                }
                Err(status) => Ended::Failed(status),
            }
        });
        UnderWay {
            sent,
            again,
            dead,
            ended,
        }
    }
}

/// Waits until this task has been polled this many times.
async fn turns(turns: u32) {
    for _ in 0..turns {
        tokio::task::yield_now().await;
    }
}
