//! `homeroom.invitations.v1.UserService`.

use std::sync::Arc;

use homeroom_api::{
    invitations::v1::{
        ClearFailedAttemptsRequest, ClearFailedAttemptsResponse, EraseUserRequest,
        EraseUserResponse, user_service_server::UserService,
    },
    names::UserName,
};
use homeroom_kit::{Result, auth::Caller, request_ids::claimed, rpc, validation::Violations};

use crate::app::{App, rules::USER_SCOPE};

/// The handlers of `UserService`.
#[derive(Debug, Clone)]
pub struct UserHandlers(pub Arc<App>);

homeroom_kit::rpcs! {
    UserService for UserHandlers {
        erase_user: EraseUserRequest => EraseUserResponse;
        clear_failed_attempts: ClearFailedAttemptsRequest => ClearFailedAttemptsResponse;
    }
}

impl UserHandlers {
    async fn erase_user(
        &self,
        caller: &Caller,
        request: EraseUserRequest,
    ) -> Result<EraseUserResponse> {
        caller.require(USER_SCOPE)?;
        let parse = |v: &mut Violations| v.take("name", UserName::parse(&request.name));
        let (id, name) = rpc::change(&request.request_id, parse)?;
        let once = claimed(&self.0.keys, caller, id, &request);
        self.0.erase_user(caller, name.0, once).await?;
        Ok(EraseUserResponse {})
    }

    async fn clear_failed_attempts(
        &self,
        caller: &Caller,
        request: ClearFailedAttemptsRequest,
    ) -> Result<ClearFailedAttemptsResponse> {
        caller.require(USER_SCOPE)?;
        let name = rpc::name(UserName::parse(&request.name))?;
        self.0.clear_failed_attempts(caller, name.0).await?;
        Ok(ClearFailedAttemptsResponse {})
    }
}
