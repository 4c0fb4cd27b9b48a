//! `homeroom webhooks dead`, `redeliver` and `enable`: what an operator does while `homeroom webhooks run` runs.

use anstream::{eprintln, println};
use homeroom_kit::{Clock as _, clock::SystemClock};
use serde_json::{Value, json};

use super::{
    arguments::{DeadArguments, EnableArguments, RedeliverArguments},
    store::{DEAD_LETTERS_MAX, DeadLetter, Store},
};
use crate::{Failure, list::table};

/// The columns of the table.
const COLUMNS: [&str; 7] = [
    "id", "endpoint", "type", "place", "attempts", "deadTime", "cause",
];

/// The most dead letters that are listed, of all endpoints together.
const DEAD_LETTERS_LISTED_MAX: u32 = DEAD_LETTERS_MAX;

pub(super) async fn list(arguments: &DeadArguments) -> Result<(), Failure> {
    let store = Store::open(&arguments.folder.data).await?;
    let mut letters = store
        .dead_letters(arguments.json, DEAD_LETTERS_LISTED_MAX + 1)
        .await?;
    let listed = usize::try_from(DEAD_LETTERS_LISTED_MAX)?;
    if letters.len() > listed {
        letters.truncate(listed);
        eprintln!("homeroom: only the oldest {listed} are listed");
    }
    let mut items: Vec<Value> = letters.iter().map(shown).collect();
    if arguments.json {
        for (item, letter) in items.iter_mut().zip(&letters) {
            item["payload"] = serde_json::from_str(&letter.body)?;
        }
        println!("{:#}", Value::Array(items));
    } else {
        for line in table(&COLUMNS, &items) {
            println!("{line}");
        }
    }
    Ok(())
}

fn shown(letter: &DeadLetter) -> Value {
    json!({
        "id": letter.delivery_id,
        "endpoint": letter.endpoint_id,
        "type": letter.event_type,
        "place": letter.lane,
        "attempts": letter.failed_attempts,
        "deadTime": letter.dead_time().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        "cause": letter.cause,
        "eventId": letter.event_id,
    })
}

pub(super) async fn redeliver(arguments: &RedeliverArguments) -> Result<(), Failure> {
    let store = Store::open(&arguments.folder.data).await?;
    let now = SystemClock.now();
    if arguments.all {
        let count = store.redeliver_all(now).await?;
        println!("{count} queued again");
        return Ok(());
    }
    let mut unknown = Vec::new();
    for &id in &arguments.ids {
        if store.redeliver(id, now).await? {
            println!("{id} queued again");
        } else {
            unknown.push(id.to_string());
        }
    }
    if unknown.is_empty() {
        return Ok(());
    }
    let unknown = unknown.join(", ");
    Err(format!(
        "no delivery has failed that is numbered {unknown}; `homeroom webhooks dead` lists them"
    )
    .into())
}

pub(super) async fn enable(arguments: &EnableArguments) -> Result<(), Failure> {
    let store = Store::open(&arguments.folder.data).await?;
    let endpoint = &arguments.endpoint;
    if store.enable(endpoint).await? {
        println!("{endpoint} is delivered to again");
        Ok(())
    } else {
        Err(format!("no endpoint {endpoint} has answered 410 Gone: nothing is disabled").into())
    }
}
