//! `RaiseFence`: nothing below an answered fence is admitted (C8, P7).

use homeroom_kit::Result;

use crate::app::App;

impl App {
    /// Raises the invitation's fence but never lowers it, and returns its value once that is committed.
    pub async fn raise_fence(&self, invitation: String, epoch: i64) -> Result<i64> {
        let app = self.clone();
        self.writes
            .run(async move {
                let mut repository = app.store.write().await?;
                let now = app.clock.now();
                let stands = repository.raise_fence(&invitation, epoch, now).await?;
                repository.commit("raise_fence").await?;
                Ok(stands)
            })
            .await
    }
}
