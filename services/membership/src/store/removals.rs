//! The table of removals by staff (R8).

use chrono::{DateTime, Utc};
use homeroom_api::{ids::UserId, names::Place};
use homeroom_kit::{
    args,
    store::{columns::class_id, json_ids},
};

use super::{Repository, Result};

homeroom_kit::statements! {
    RECORD(on) = format!("INSERT INTO removals (organization_id, class_id, user_id, remove_time) \
        SELECT $1, $2, input.value->>'id', $4 FROM {} WHERE true \
        ON CONFLICT (organization_id, class_id, user_id) DO UPDATE SET remove_time = excluded.remove_time",
        on.rows("$3", "input"));
    FORGET = "DELETE FROM removals WHERE organization_id = $1 AND ($2 = '' OR class_id = $2)";
}

impl Repository {
    /// Records that staff removed the users from the place at `time`; a later removal replaces an earlier one.
    pub async fn record_removals(
        &mut self,
        place: &Place,
        users: impl IntoIterator<Item = &UserId>,
        time: DateTime<Utc>,
    ) -> Result<()> {
        let users = json_ids(users);
        let bound = args![place.organization(), class_id(place), users, time];
        self.0.run(&RECORD, bound).await?;
        Ok(())
    }

    /// Forgets every removal of a deleted place, and for an organization those of its classes.
    pub async fn forget_removals(&mut self, place: &Place) -> Result<()> {
        let bound = args![place.organization(), class_id(place)];
        self.0.run(&FORGET, bound).await?;
        Ok(())
    }
}
