//! Controls failpoints and wrong variants by lines of text, which a test sends to a process.

use std::time::Duration;

use homeroom_kit::failpoints::{Action, Armed, WrongVariant, arm, disarm, hits, set_wrong_variant};

/// A line that is not a command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "no command: `{0}`; say `arm POINT abort|fail|hold|hang|delay:MILLISECONDS [AT [TIMES]]`, `disarm`, `hits` or `wrong VARIANT|none`"
)]
pub struct CommandMalformed(String);

/// Runs one command and returns its answer, one line.
pub fn command(line: &str) -> Result<String, CommandMalformed> {
    let malformed = || CommandMalformed(line.to_owned());
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        ["disarm"] => disarm(),
        ["hits"] => {
            let hits: Vec<String> = hits()
                .into_iter()
                .map(|(point, hits)| format!("{point}={hits}"))
                .collect();
            return Ok(hits.join(" "));
        }
        ["wrong", "none"] => set_wrong_variant(None),
        ["wrong", variant] => {
            set_wrong_variant(Some(
                WrongVariant::from_name(variant).ok_or_else(malformed)?,
            ));
        }
        ["arm", point, name, numbers @ ..] => {
            let mut numbers = numbers.iter().map(|number| number.parse::<u64>());
            let mut next = || numbers.next().unwrap_or(Ok(1)).map_err(|_| malformed());
            let armed = Armed {
                action: action(name).ok_or_else(malformed)?,
                at: next()?,
                times: next()?,
            };
            arm(point, armed);
        }
        _ => return Err(malformed()),
    }
    Ok("ok".to_owned())
}

fn action(name: &str) -> Option<Action> {
    match name {
        "abort" => Some(Action::Abort),
        "fail" => Some(Action::Fail),
        "hold" => Some(Action::Hold),
        "hang" => Some(Action::Hang),
        _ => {
            let millis = name.strip_prefix("delay:")?.parse().ok()?;
            Some(Action::Delay(Duration::from_millis(millis)))
        }
    }
}
