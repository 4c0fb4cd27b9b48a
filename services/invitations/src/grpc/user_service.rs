//! `homeroom.invitations.v1.UserService`.

use std::sync::Arc;

use homeroom_api::{
    common::v1::User,
    invitations::v1::{
        self as api,
        user_record::{self, Record},
        user_service_server::UserService,
    },
    names::UserName,
};
use homeroom_kit::{
    Result,
    auth::{Caller, Scope},
    events::to_wire,
    request_ids::claimed,
    rpc,
    validation::Violations,
};

use crate::app::{App, user_records::UserRecord};

/// The scope that its methods need: a person belongs to no single organization, and no role suffices.
const USER_SCOPE: Scope = Scope::Platform;

impl From<UserRecord> for api::UserRecord {
    fn from(record: UserRecord) -> Self {
        let record = match record {
            UserRecord::Membership(record) => Record::Membership(record),
            UserRecord::Redemption(redemption) => {
                let person = redemption.person.clone();
                Record::Redemption(user_record::UserRedemption {
                    redemption: Some(redemption.into()),
                    user: Some(User {
                        user: person.user.to_string(),
                        display_name: person.display_name,
                        email: person.email,
                        external_id: person.external_id,
                        ..User::default()
                    }),
                })
            }
            UserRecord::RefusedAttempt(attempt) => Record::RefusedAttempt(attempt.into()),
            UserRecord::AuditEntry(entry) => Record::AuditEntry(entry.into()),
            UserRecord::Token(token) => Record::Token((*token).into()),
            UserRecord::Event(event) => Record::Event(to_wire(event)),
        };
        Self {
            record: Some(record),
        }
    }
}

homeroom_kit::rpcs! {
    UserService for pub struct UserHandlers(pub Arc<App>) {
        erase_user: api::EraseUserRequest => api::EraseUserResponse;
        move_user: api::MoveUserRequest => api::MoveUserResponse;
        list_user_records: api::ListUserRecordsRequest => api::ListUserRecordsResponse;
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

    async fn list_user_records(
        &self,
        caller: &Caller,
        request: api::ListUserRecordsRequest,
    ) -> Result<api::ListUserRecordsResponse> {
        caller.require(USER_SCOPE)?;
        let parent = UserName::parse(&request.parent);
        let UserName(user) = rpc::parent(parent, request.page_size)?;
        // Only the first page is an audit entry, so nobody reads on where another caller began (R12).
        let list = [request.parent.as_str(), caller.subject.as_str()];
        let (size, token) = (request.page_size, &request.page_token);
        let page = rpc::page(&self.0.paging, caller, list, size, token)?;
        let page = self.0.user_records(caller, user, &page).await?;
        Ok(api::ListUserRecordsResponse {
            user_records: page.items.into_iter().map(Into::into).collect(),
            next_page_token: page.next_page_token,
        })
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
