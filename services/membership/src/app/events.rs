//! Who reads the feed (R11).

use async_trait::async_trait;
use homeroom_api::names::Place;
use homeroom_kit::{Result, auth::Caller, events::Authorize};

use super::{App, access, rules};

#[async_trait]
impl Authorize for App {
    async fn authorize(&self, caller: &Caller, place: &Place) -> Result<()> {
        let mut repository = self.store.read().await?;
        access::authorise(
            repository.as_mut(),
            caller,
            place,
            &rules::LIST_EVENTS,
            None,
        )
        .await?;
        Ok(())
    }
}
