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
    auth::Caller,
    batching::{self, Batcher},
    validation::Violations,
};
use tonic::{Request, Response, Status};

use super::log_parent::organization_parent;
use super::refused_attempt_messages::refused_attempt;
use crate::{
    app::App,
    redemption::{
        attempt::Attempt,
        reply::{
            Redeemed, batch_result, not_known_yet, preview_response, redeem_response, redemption,
        },
    },
};

/// How redemptions form batches: all that arrive while others are under way share the next one.
const BATCHING: batching::Limits = batching::Limits {
    // One round trip of the limiter, one transaction and one call of membership carry so many in time.
    batch_items_max: 128,
    queue_items_max: 10_000,
    batches_max: 8,
    prompt_batches_max: 2,
    slow_after_millis: 100,
    apart_millis: 0,
};

/// The handlers.
#[derive(Debug, Clone)]
pub struct RedemptionHandlers {
    app: Arc<App>,
    redemptions: Batcher<Attempt, homeroom_kit::Result<Redeemed>>,
}

impl RedemptionHandlers {
    /// Over the use cases. Call it inside a runtime.
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

#[tonic::async_trait]
impl RedemptionService for RedemptionHandlers {
    async fn preview_redemption(
        &self,
        request: Request<PreviewRedemptionRequest>,
    ) -> Result<Response<PreviewRedemptionResponse>, Status> {
        let caller = Caller::of(&request)?;
        let app = &self.app;
        let request = request.into_inner();
        let attempt = Attempt::of_preview(&caller, request, &app.public_url, &app.keys)?;
        let preview = app.redemptions.preview(&caller, attempt).await?;
        Ok(Response::new(preview_response(preview)))
    }

    async fn redeem(
        &self,
        request: Request<RedeemRequest>,
    ) -> Result<Response<RedeemResponse>, Status> {
        let caller = Caller::of(&request)?;
        let attempt = Attempt::of_redeem(
            &caller,
            request.get_ref(),
            "",
            &self.app.public_url,
            &self.app.keys,
        )?;
        let mut answers = self.redemptions.submit(vec![attempt]).await?;
        let redeemed = answers.pop().unwrap_or_else(|| Err(not_known_yet()))?;
        Ok(Response::new(redeem_response(redeemed)))
    }

    async fn batch_redeem(
        &self,
        request: Request<BatchRedeemRequest>,
    ) -> Result<Response<BatchRedeemResponse>, Status> {
        let caller = Caller::of(&request)?;
        let app = &self.app;
        let batch = request.get_ref();
        let attempts = Attempt::of_batch(&caller, batch, &app.public_url, &app.keys)?;
        let results = app.redemptions.redeem_batch(attempts).await;
        Ok(Response::new(BatchRedeemResponse {
            results: (0_i32..).zip(results).map(batch_result).collect(),
        }))
    }

    async fn get_redemption(
        &self,
        request: Request<GetRedemptionRequest>,
    ) -> Result<Response<Redemption>, Status> {
        let caller = Caller::of(&request)?;
        let name = name(&request.get_ref().name)?;
        let found = self.app.get_redemption(&caller, &name).await?;
        Ok(Response::new(redemption(&found)))
    }

    async fn list_redemptions(
        &self,
        request: Request<ListRedemptionsRequest>,
    ) -> Result<Response<ListRedemptionsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.get_ref();
        let place = parent(&request.parent, request.page_size)?;
        let page = self
            .app
            .list_redemptions(
                &caller,
                &place,
                request.page_size,
                &request.page_token,
                &request.filter,
            )
            .await?;
        Ok(Response::new(ListRedemptionsResponse {
            redemptions: page.items.iter().map(redemption).collect(),
            next_page_token: page.next_page_token,
        }))
    }

    async fn list_refused_attempts(
        &self,
        request: Request<ListRefusedAttemptsRequest>,
    ) -> Result<Response<ListRefusedAttemptsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.get_ref();
        let organization = organization_parent(&request.parent, request.page_size)?;
        let page = self
            .app
            .list_refused_attempts(
                &caller,
                organization.as_ref(),
                request.page_size,
                &request.page_token,
                &request.filter,
            )
            .await?;
        Ok(Response::new(ListRefusedAttemptsResponse {
            refused_attempts: page.items.iter().map(refused_attempt).collect(),
            next_page_token: page.next_page_token,
        }))
    }
}

fn name(text: &str) -> homeroom_kit::Result<RedemptionName> {
    let mut violations = Violations::new();
    let parsed = RedemptionName::parse(text)
        .map_err(|invalid| invalid.to_string())
        .and_then(|name| match name.place {
            Place::Organization(_) => Ok(name),
            Place::Class(_) => {
                Err("must be `organizations/{organization}/redemptions/{redemption}`".to_owned())
            }
        });
    let name = violations.take("name", parsed);
    violations.finish()?;
    name.ok_or_else(|| homeroom_kit::Error::internal("a violation was not recorded"))
}

fn parent(text: &str, page_size: i32) -> homeroom_kit::Result<Place> {
    let mut violations = Violations::new();
    let place = violations.take("parent", Place::parse(text));
    violations.page_size(page_size);
    violations.finish()?;
    place.ok_or_else(|| homeroom_kit::Error::internal("a violation was not recorded"))
}
