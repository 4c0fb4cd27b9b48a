//! `homeroom.invitations.v1.UserService`.

use std::sync::Arc;

use homeroom_api::{
    invitations::v1::{EraseUserRequest, EraseUserResponse, user_service_server::UserService},
    names::UserName,
};
use homeroom_kit::{
    Error,
    auth::Caller,
    request_ids::{BodyMac, RequestKey},
    validation::Violations,
};
use tonic::{Request, Response, Status};

use crate::app::{App, rules::ERASE_USER_SCOPE};

/// The handlers.
#[derive(Debug, Clone)]
pub struct UserHandlers(pub Arc<App>);

#[tonic::async_trait]
impl UserService for UserHandlers {
    async fn erase_user(
        &self,
        request: Request<EraseUserRequest>,
    ) -> Result<Response<EraseUserResponse>, Status> {
        let caller = Caller::of(&request)?;
        caller.require(ERASE_USER_SCOPE)?;
        let request = request.get_ref();
        let mut violations = Violations::new();
        let user = violations.take("name", UserName::parse(&request.name));
        let request_id = violations.request_id(&request.request_id);
        violations.finish().map_err(Status::from)?;
        let UserName(user) = user.ok_or_else(|| Error::internal("a violation was not recorded"))?;
        let once = request_id.map(|id| {
            let body = BodyMac::of(&self.0.keys, request);
            (RequestKey::new(&caller, id), body)
        });
        self.0.erase_user(&caller, user, once).await?;
        Ok(Response::new(EraseUserResponse {}))
    }
}
