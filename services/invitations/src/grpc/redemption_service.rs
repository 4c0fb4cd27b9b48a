//! `homeroom.invitations.v1.RedemptionService`.

use std::sync::Arc;

use homeroom_api::{
    invitations::v1::{
        BatchRedeemRequest, BatchRedeemResponse, GetRedemptionRequest, ListRedemptionsRequest,
        ListRedemptionsResponse, ListRefusedAttemptsRequest, ListRefusedAttemptsResponse,
        PreviewRedemptionRequest, PreviewRedemptionResponse, RedeemRequest, RedeemResponse,
        Redemption, redemption_service_server::RedemptionService,
    },
    names::{Place, RedemptionName},
};
use homeroom_kit::{
    Result,
    auth::Caller,
    batching::{self, Batcher},
    rpc,
};

use super::log_parent::organization_parent;
use super::refused_attempt_messages::refused_attempt;
use crate::{
    app::App,
    redemption::{
        reply::{
            Redeemed, batch_result, not_known_yet, preview_response, redeem_response, redemption,
        },
        request::Attempt,
    },
};

/// The limits by which redemptions form batches: all that arrive while others are under way share the next one.
const BATCHING: batching::Limits = batching::Limits {
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
pub struct RedemptionHandlers {
    app: Arc<App>,
    redemptions: Batcher<Attempt, Result<Redeemed>>,
}

impl RedemptionHandlers {
    /// Makes the handlers for the use cases. It must be called inside a runtime.
    #[must_use]
    pub fn new(app: Arc<App>) -> Self {
        let redeeming = Arc::clone(&app.redemptions);
        let redemptions = Batcher::start(BATCHING, move |attempts| {
            let redemptions = Arc::clone(&redeeming);
            async move { redemptions.redeem_many(attempts).await }
        });
        Self { app, redemptions }
    }
}

homeroom_kit::rpcs! {
    RedemptionService for RedemptionHandlers {
        preview_redemption: PreviewRedemptionRequest => PreviewRedemptionResponse;
        redeem: RedeemRequest => RedeemResponse;
        batch_redeem: BatchRedeemRequest => BatchRedeemResponse;
        get_redemption: GetRedemptionRequest => Redemption;
        list_redemptions: ListRedemptionsRequest => ListRedemptionsResponse;
        list_refused_attempts: ListRefusedAttemptsRequest => ListRefusedAttemptsResponse;
    }
}

impl RedemptionHandlers {
    async fn preview_redemption(
        &self,
        caller: &Caller,
        request: PreviewRedemptionRequest,
    ) -> Result<PreviewRedemptionResponse> {
        let app = &self.app;
        let attempt = Attempt::of_preview(caller, request, &app.public_url, &app.keys)?;
        let preview = app.redemptions.preview(caller, attempt).await?;
        Ok(preview_response(preview))
    }

    async fn redeem(&self, caller: &Caller, request: RedeemRequest) -> Result<RedeemResponse> {
        let attempt =
            Attempt::of_redeem(caller, &request, "", &self.app.public_url, &self.app.keys)?;
        let mut answers = self.redemptions.submit(vec![attempt]).await?;
        let redeemed = answers.pop().unwrap_or_else(|| Err(not_known_yet()))?;
        Ok(redeem_response(redeemed))
    }

    async fn batch_redeem(
        &self,
        caller: &Caller,
        request: BatchRedeemRequest,
    ) -> Result<BatchRedeemResponse> {
        let app = &self.app;
        let batch = &request;
        let attempts = Attempt::of_batch(caller, batch, &app.public_url, &app.keys)?;
        let results = app.redemptions.redeem_batch(attempts).await;
        Ok(BatchRedeemResponse {
            results: (0_i32..).zip(results).map(batch_result).collect(),
        })
    }

    async fn get_redemption(
        &self,
        caller: &Caller,
        request: GetRedemptionRequest,
    ) -> Result<Redemption> {
        let name = rpc::name(redemption_name(&request.name))?;
        let found = self.app.get_redemption(caller, &name).await?;
        Ok(redemption(&found))
    }

    async fn list_redemptions(
        &self,
        caller: &Caller,
        request: ListRedemptionsRequest,
    ) -> Result<ListRedemptionsResponse> {
        let place = rpc::parent(Place::parse(&request.parent), request.page_size)?;
        let asked = (
            request.page_size,
            request.page_token.as_str(),
            request.filter.as_str(),
        );
        let page = self.app.list_redemptions(caller, &place, asked).await?;
        Ok(ListRedemptionsResponse {
            redemptions: page.items.iter().map(redemption).collect(),
            next_page_token: page.next_page_token,
        })
    }

    async fn list_refused_attempts(
        &self,
        caller: &Caller,
        request: ListRefusedAttemptsRequest,
    ) -> Result<ListRefusedAttemptsResponse> {
        let organization = organization_parent(&request.parent, request.page_size)?;
        let asked = (
            request.page_size,
            request.page_token.as_str(),
            request.filter.as_str(),
        );
        let page = self
            .app
            .list_refused_attempts(caller, organization.as_ref(), asked)
            .await?;
        Ok(ListRefusedAttemptsResponse {
            refused_attempts: page.items.iter().map(refused_attempt).collect(),
            next_page_token: page.next_page_token,
        })
    }
}

fn redemption_name(text: &str) -> std::result::Result<RedemptionName, String> {
    let name = RedemptionName::parse(text).map_err(|invalid| invalid.to_string())?;
    match name.place {
        Place::Organization(_) => Ok(name),
        Place::Class(_) => {
            Err("must be `organizations/{organization}/redemptions/{redemption}`".to_owned())
        }
    }
}
