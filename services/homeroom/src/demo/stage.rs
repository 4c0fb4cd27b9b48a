//! The stage of the story: both services and their callers.

use chrono::TimeDelta;
use homeroom_kit::{auth::Claims, status::code_name};
use prost_reflect::MethodDescriptor;
use serde_json::Value;
use tonic::{Status, transport::Channel};
use tonic_types::StatusExt as _;

use super::{
    print,
    step::{Actor, Outcome, Step, at, differences},
};
use crate::{
    Failure,
    connect::{Credentials, Service},
    dynamic::{self, Contract},
    embedded::Embedded,
};

/// The validity of the story's tokens.
const STORY_TOKEN_LIFE: TimeDelta = TimeDelta::minutes(10);

/// Both services, ready to be called.
pub(crate) struct Stage<'a> {
    embedded: &'a Embedded,
    contract: Contract,
    membership: Channel,
    invitations: Channel,
    steps: usize,
}

impl<'a> Stage<'a> {
    pub(crate) fn new(embedded: &'a Embedded) -> Result<Self, Failure> {
        let channel = |address| -> Result<Channel, Failure> {
            Ok(Channel::from_shared(format!("http://{address}"))?.connect_lazy())
        };
        Ok(Self {
            contract: Contract::load()?,
            membership: channel(embedded.membership_address())?,
            invitations: channel(embedded.invitations_address())?,
            embedded,
            steps: 0,
        })
    }

    /// Returns the number of steps that had the expected result.
    pub(crate) fn steps(&self) -> usize {
        self.steps
    }

    /// Plays one step, prints it, and returns its answer (null for a refusal). Fails unless the
    /// result is the expected one.
    pub(crate) async fn play(&mut self, step: Step) -> Result<Value, Failure> {
        let method = self.contract.method(step.calls)?;
        print::call(&step, method.parent_service().full_name());
        let result = self.call(&method, step.by, &step.with).await?;
        let answer = match (step.comes_out, result) {
            (Outcome::Answer(expected), Ok(answer)) => answered(&step, expected, answer)?,
            (Outcome::Refusal(code, reason), Err(status)) => {
                refused(code, reason, &status)?;
                Value::Null
            }
            (Outcome::Refusal(code, reason), Ok(answer)) => {
                print::wrong(&[format!(
                    "it was answered, it must be refused with {code:?} {reason}"
                )]);
                print::whole_answer(&answer);
                return Err(failure(&step));
            }
            (Outcome::Answer(_), Err(status)) => {
                print::wrong(&[format!(
                    "it was refused with {} {}: {}",
                    code_name(status.code()),
                    dynamic::reason_of(&status),
                    status.message()
                )]);
                return Err(failure(&step));
            }
        };
        self.steps += 1;
        Ok(answer)
    }

    /// Plays steps whose answers no later step needs.
    pub(crate) async fn play_all<const STEPS: usize>(
        &mut self,
        steps: [Step; STEPS],
    ) -> Result<(), Failure> {
        for step in steps {
            self.play(step).await?;
        }
        Ok(())
    }

    async fn call(
        &self,
        method: &MethodDescriptor,
        by: Actor,
        with: &Value,
    ) -> Result<Result<Value, Status>, Failure> {
        let token = self.token(by, STORY_TOKEN_LIFE)?;
        let request = dynamic::message(method, with)?;
        let channel = if method.full_name().starts_with("homeroom.membership.") {
            self.membership.clone()
        } else {
            self.invitations.clone()
        };
        let service = Service::new(channel, Credentials::new(&token, None)?);
        dynamic::call(service, method, request).await
    }

    /// Returns an access token for `actor`.
    pub(crate) fn token(&self, actor: Actor, life: TimeDelta) -> Result<String, Failure> {
        let scopes = actor.scopes.iter().copied().collect();
        self.embedded.sign(&Claims {
            email: actor.email.map(ToOwned::to_owned),
            email_verified: actor.email.map(|_| true),
            ..self.embedded.claims(actor.user, life).with_scopes(scopes)
        })
    }
}

fn answered(step: &Step, expected: &[(&str, &str)], answer: Value) -> Result<Value, Failure> {
    let wrong = differences(&answer, expected);
    if !wrong.is_empty() {
        print::wrong(&wrong);
        print::whole_answer(&answer);
        return Err(failure(step));
    }
    let shown = expected
        .iter()
        .map(|(path, _)| *path)
        .chain(step.shows.iter().copied());
    let fields: Vec<(String, String)> = shown
        .filter_map(|path| Some((path.to_owned(), at(&answer, path)?)))
        .collect();
    print::answered(&fields);
    Ok(answer)
}

fn refused(code: tonic::Code, reason: &str, status: &Status) -> Result<(), Failure> {
    let found = dynamic::reason_of(status);
    if status.code() != code || found != reason {
        print::wrong(&[format!(
            "it was refused with {} {found}, it must be {} {reason}: {}",
            code_name(status.code()),
            code_name(code),
            status.message()
        )]);
        return Err("a step was refused for another reason than it should".into());
    }
    let retry_after_seconds = status
        .get_details_retry_info()
        .and_then(|retry| retry.retry_delay)
        .map(|delay| delay.as_secs());
    print::refused(
        code_name(code),
        reason,
        status.message(),
        retry_after_seconds,
    );
    Ok(())
}

fn failure(step: &Step) -> Failure {
    format!("{} did not come out as it should", step.calls).into()
}
