//! `homeroom.invitations.v1.RedemptionService`.

use std::sync::Arc;

use homeroom_api::{
    invitations::v1::{self as api, redemption_service_server::RedemptionService},
    names::{Place, RedemptionName},
};
use homeroom_kit::{
    Result,
    auth::Caller,
    batching::{self, Batcher},
};

use super::logs::organization_parent;
use crate::{
    app::{App, list_logs::attempt_filter, list_redemptions::redemption_filter},
    redemption::{
        reply::{Redeemed, batch_result, not_known_yet, preview_response, redeem_response},
        request::Attempt,
    },
};

/// The limits by which redemptions form batches: all that arrive while others are under way share the next one.
const BATCHING: batching::Limits = batching::Limits {
    name: "redeem",
    // This many fit in time into one round trip of the limiter, one transaction and one call of membership.
    batch_items_max: 128,
    queue_items_max: 10_000,
    batches_max: 8,
    prompt_batches_max: 2,
    slow_after_millis: 100,
    apart_millis: 0,
};

/// The handlers of `RedemptionService`.
#[derive(Debug, Clone)]
pub struct RedemptionHandlers(Arc<App>, Batcher<Attempt, Result<Redeemed>>);

impl RedemptionHandlers {
    /// Makes the handlers for the use cases. It must be called inside a runtime.
    #[must_use]
    pub fn new(app: Arc<App>) -> Self {
        let redeeming = Arc::clone(&app.redemptions);
        let redemptions = Batcher::start(BATCHING, move |attempts| {
            let redemptions = Arc::clone(&redeeming);
            async move { redemptions.redeem_many(attempts).await }
        });
        Self(app, redemptions)
    }
}

homeroom_kit::rpcs! {
    RedemptionService for RedemptionHandlers {
        preview_redemption: api::PreviewRedemptionRequest => api::PreviewRedemptionResponse;
        redeem: api::RedeemRequest => api::RedeemResponse;
        batch_redeem: api::BatchRedeemRequest => api::BatchRedeemResponse;
        get_redemption: api::GetRedemptionRequest => api::Redemption
            = get(RedemptionName::parse, App::get_redemption);
        list_redemptions: api::ListRedemptionsRequest => api::ListRedemptionsResponse { redemptions }
            = list(Place::parse, redemption_filter, App::list_redemptions);
        list_refused_attempts: api::ListRefusedAttemptsRequest => api::ListRefusedAttemptsResponse { refused_attempts }
            = list(organization_parent, attempt_filter, App::list_refused_attempts);
    }
}

impl RedemptionHandlers {
    async fn preview_redemption(
        &self,
        caller: &Caller,
        request: api::PreviewRedemptionRequest,
    ) -> Result<api::PreviewRedemptionResponse> {
        let app = &self.0;
        let attempt = Attempt::of_preview(caller, request, &app.public_url, &app.keys)?;
        let preview = app.redemptions.preview(caller, attempt).await?;
        Ok(preview_response(preview))
    }

    async fn redeem(
        &self,
        caller: &Caller,
        request: api::RedeemRequest,
    ) -> Result<api::RedeemResponse> {
        let attempt = Attempt::of_redeem(caller, &request, "", &self.0.public_url, &self.0.keys)?;
        let mut answers = self.1.submit(vec![attempt]).await?;
        let redeemed = answers.pop().unwrap_or_else(|| Err(not_known_yet()))?;
        Ok(redeem_response(redeemed))
    }

    async fn batch_redeem(
        &self,
        caller: &Caller,
        request: api::BatchRedeemRequest,
    ) -> Result<api::BatchRedeemResponse> {
        let app = &self.0;
        let batch = &request;
        let attempts = Attempt::of_batch(caller, batch, &app.public_url, &app.keys)?;
        let results = app.redemptions.redeem_batch(attempts).await;
        Ok(api::BatchRedeemResponse {
            results: (0_i32..).zip(results).map(batch_result).collect(),
        })
    }
}
