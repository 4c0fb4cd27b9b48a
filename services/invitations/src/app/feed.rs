//! Who reads this service's feed of events (R11).

use async_trait::async_trait;
use homeroom_api::names::Place;
use homeroom_kit::{Result, auth::Caller, events::Authorize};

use super::{App, rules};

#[async_trait]
impl Authorize for App {
    async fn authorize(&self, caller: &Caller, place: &Place) -> Result<()> {
        Self::authorize(self, caller, place, rules::LIST_EVENTS)
            .await
            .map(|_| ())
    }
}
