//! `homeroom.invitations.v1.UserService`.

use std::sync::Arc;

use homeroom_api::{
    invitations::v1::{self as api, user_service_server::UserService},
    names::UserName,
};
use homeroom_kit::{
    Result,
    auth::{Caller, Scope},
    request_ids::claimed,
    rpc,
    validation::Violations,
};

use crate::app::App;

/// The scope that its methods need: a person belongs to no single organization, and no role suffices.
const USER_SCOPE: Scope = Scope::Platform;

homeroom_kit::rpcs! {
    UserService for pub struct UserHandlers(pub Arc<App>) {
        erase_user: api::EraseUserRequest => api::EraseUserResponse;
        move_user: api::MoveUserRequest => api::MoveUserResponse;
        clear_failed_attempts: api::ClearFailedAttemptsRequest => api::ClearFailedAttemptsResponse;
    }
}

impl UserHandlers {
    async fn erase_user(
        &self,
        caller: &Caller,
        request: api::EraseUserRequest,
    ) -> Result<api::EraseUserResponse> {
        caller.require(USER_SCOPE)?;
        let parse = |v: &mut Violations| v.take("name", UserName::parse(&request.name));
        let (id, name) = rpc::change(&request.request_id, parse)?;
        let once = claimed(&self.0.keys, caller, id, &request);
        self.0.replace_user(caller, (name.0, None), once).await?;
        Ok(api::EraseUserResponse {})
    }

    async fn move_user(
        &self,
        caller: &Caller,
        request: api::MoveUserRequest,
    ) -> Result<api::MoveUserResponse> {
        caller.require(USER_SCOPE)?;
        let parse = |v: &mut Violations| {
            let name = v.take("name", UserName::parse(&request.name));
            let target = v.take("target", UserName::parse(&request.target));
            if name.is_some() {
                v.check(name != target, "target", "must be another user");
            }
            name.zip(target)
        };
        let (id, (name, target)) = rpc::change(&request.request_id, parse)?;
        let once = claimed(&self.0.keys, caller, id, &request);
        let accounts = (name.0, Some(target.0));
        self.0.replace_user(caller, accounts, once).await?;
        Ok(api::MoveUserResponse {})
    }

    async fn clear_failed_attempts(
        &self,
        caller: &Caller,
        request: api::ClearFailedAttemptsRequest,
    ) -> Result<api::ClearFailedAttemptsResponse> {
        caller.require(USER_SCOPE)?;
        let name = rpc::name(UserName::parse(&request.name))?;
        self.0.clear_failed_attempts(caller, name.0).await?;
        Ok(api::ClearFailedAttemptsResponse {})
    }
}
