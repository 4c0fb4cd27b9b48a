//! The story: each chapter is a list of calls with their expected results.

mod class_code;
mod enrollment_code;
mod guesser;
mod queue;
mod reset;
mod school;
mod tokens;

use homeroom_kit::auth::Scope;
use serde_json::{Value, json};
use tonic::Code;

use super::{
    print,
    stage::Stage,
    step::{Actor, Outcome, Step, at},
};
use crate::Failure;

pub(crate) const ORGANIZATION: &str = "organizations/hamilton";
pub(crate) const CLASS: &str = "organizations/hamilton/classes/biology-101";

/// The learning platform itself.
pub(crate) const PLATFORM: Actor = Actor {
    user: "platform",
    email: None,
    scopes: &[Scope::Platform],
};
pub(crate) const ADMINISTRATOR: Actor = Actor::person("admin-1");
pub(crate) const TEACHER: Actor = Actor::person("teacher-1");
const CO_TEACHER: Actor = Actor::person("teacher-2");

/// Plays every chapter in order, and returns the class code. Stops at the first step with an
/// unexpected result.
pub(crate) async fn play(stage: &mut Stage<'_>) -> Result<String, Failure> {
    print::title("1  A school with five licensed seats, and a class");
    school::play(stage).await?;
    print::title("2  The first way in: tokens");
    tokens::play(stage).await?;
    print::title("3  The second way in: an enrollment code for one email domain");
    enrollment_code::play(stage).await?;
    print::title("4  The third way in: the class code, and its lock");
    class_code::play(stage).await?;
    print::title("5  The fourth way in: the join URL; and the approval queue");
    queue::play(stage).await?;
    print::title("6  A reset kills the old code; a full organization refuses");
    let class_code = reset::play(stage).await?;
    print::title("7  A guesser is stopped");
    guesser::play(stage, &class_code).await?;
    Ok(class_code)
}

/// Returns the text at `path` of an answer, for a later step.
fn text(answer: &Value, path: &str) -> Result<String, Failure> {
    at(answer, path)
        .filter(|text| !text.is_empty())
        .ok_or_else(|| format!("the answer has no {path}").into())
}
