//! Authorization of the feed's readers (R11).

use async_trait::async_trait;
use homeroom_api::names::Place;
use homeroom_kit::{
    Result,
    auth::Caller,
    events::{Authorize, Reading},
};

use super::{App, access, rules};

#[async_trait]
impl Authorize for App {
    async fn authorize(&self, caller: &Caller, place: &Place, reading: Reading) -> Result<()> {
        let rule = match reading {
            Reading::List => &rules::LIST_EVENTS,
            Reading::Watch => &rules::WATCH_EVENTS,
        };
        let mut repository = self.store.read().await?;
        access::authorize(&mut repository, caller, place, rule, None).await?;
        Ok(())
    }
}
