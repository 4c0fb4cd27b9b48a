//! Redemptions whose particulars of people are past their retention (F9), in the order of their ids, which is that of
//! their times. The row of `forgotten_persons` names the last one, so that each is looked at once.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use homeroom_kit::{args, store::json_ids};

use super::{Repository, Result, by_time::least_id};

homeroom_kit::statements! {
    POSITION(on) = format!("SELECT last_redemption_id FROM forgotten_persons{}", on.skip_locked());

    NEXT = "SELECT redemption_id FROM redemptions WHERE redemption_id > $1 AND redemption_id < $2 \
        ORDER BY redemption_id LIMIT $3";

    /// Membership may still have to be told of a person whom it has not answered (P13).
    LOCK(on) = format!(
        "SELECT redemption_id FROM redemptions WHERE redemption_id IN (SELECT input.value->>'id' FROM {}) \
         AND state <> 'RESERVED' ORDER BY redemption_id{}",
        on.rows("$1", "input"),
        on.skip_locked()
    );

    FORGET(on) = format!(
        "UPDATE redemptions SET display_name = '', email = '', external_id = '' \
         WHERE redemption_id IN (SELECT input.value->>'id' FROM {}) \
         AND (display_name <> '' OR email <> '' OR external_id <> '')",
        on.rows("$1", "input")
    );

    MOVE = "UPDATE forgotten_persons SET last_redemption_id = $1";
}

impl Repository {
    /// Deletes the name, address and external id of the person in the next redemptions made before a time, exact to the
    /// millisecond: at most `limit`, up to the first that another transaction has locked or membership has not answered.
    /// Returns the number of redemptions passed; none if another process is at it.
    pub async fn forget_persons(&mut self, before: DateTime<Utc>, limit: u32) -> Result<usize> {
        let Some(last) = self.0.first::<String>(&POSITION, args![]).await? else {
            return Ok(0);
        };
        let bound = args![last, least_id(before), limit];
        let mut next: Vec<String> = self.0.all(&NEXT, bound).await?;
        let locked: Vec<String> = self.0.all(&LOCK, args![json_ids(&next)]).await?;
        let locked: HashSet<String> = locked.into_iter().collect();
        let ours = next.iter().take_while(|id| locked.contains(*id)).count();
        next.truncate(ours);
        if let Some(last) = next.last() {
            self.0.run(&FORGET, args![json_ids(&next)]).await?;
            self.0.run(&MOVE, args![last]).await?;
        }
        Ok(ours)
    }
}
