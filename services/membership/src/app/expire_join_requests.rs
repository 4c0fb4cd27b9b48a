//! The sweep that expires requests that nobody decided within 90 days.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use homeroom_api::ids::OrganizationId;
use homeroom_kit::Result;

use super::App;
use crate::{admission::plan::Plan, domain::join_request::SYSTEM, store::Known};

/// Maximum number of organizations in one round of the sweep.
pub const SWEEP_ORGANIZATIONS_MAX: u32 = 100;
/// Maximum number of requests that one transaction of the sweep expires.
pub const SWEEP_REQUESTS_MAX: u32 = 500;

impl App {
    /// Expires every overdue request, with one event each (P5), in transactions of at most [`SWEEP_REQUESTS_MAX`]
    /// requests of one organization. Returns their number. An organization that fails is skipped until the next sweep.
    pub async fn expire_join_requests(&self) -> Result<u64> {
        let now = self.clock.now();
        let mut expired = 0;
        let mut failed = BTreeSet::new();
        loop {
            let mut repository = self.store.read().await?;
            let organizations = repository
                .organizations_with_lapsed_requests(now, &failed, SWEEP_ORGANIZATIONS_MAX)
                .await?;
            drop(repository);
            if organizations.is_empty() {
                return Ok(expired);
            }
            for organization in organizations {
                let (app, swept) = (self.clone(), organization.clone());
                let done = self
                    .writes
                    .run(async move { app.expire_some(&swept, now).await })
                    .await;
                match done {
                    Ok(count) => expired += count,
                    Err(error) => {
                        tracing::error!(%organization, %error, "join requests whose time is over stay until the next sweep");
                        failed.insert(organization);
                    }
                }
            }
        }
    }

    async fn expire_some(&self, organization: &OrganizationId, now: DateTime<Utc>) -> Result<u64> {
        let mut repository = self.store.write().await?;
        let organizations = BTreeSet::from([organization.clone()]);
        repository.lock_organizations(&organizations).await?;
        let lapsed = repository
            .lapsed_requests(organization, now, SWEEP_REQUESTS_MAX)
            .await?;
        let count = u64::try_from(lapsed.len()).unwrap_or(u64::MAX);
        let mut plan = Plan::new(Known::default(), now);
        for request in lapsed {
            plan.end(request.as_of(now), SYSTEM);
        }
        let (effects, events) = plan.finish(&BTreeMap::new());
        repository
            .outbox()
            .append(&events, now, self.random.as_ref())
            .await?;
        repository.save(&effects).await?;
        repository.commit("expire").await?;
        Ok(count)
    }
}
