//! `UserService`: operations on all records of a person (R13). Needs the scope `homeroom.admit`.

use homeroom_api::{
    ids::UserId,
    membership::v1::{
        self as api, EraseUserRequest, EraseUserResponse, ListUserRecordsRequest,
        ListUserRecordsResponse, MoveUserRequest, MoveUserResponse, erase_user_response,
        user_record::{self, Record},
        user_service_server::UserService,
    },
    names::{OrganizationName, UserName},
};
use homeroom_kit::{
    Result,
    auth::Caller,
    clock::to_timestamp,
    erasure::{Replacement, is_move_id},
    events::to_wire,
    rpc,
    validation::Violations,
};

use crate::app::{
    App,
    erase_user::{Known, may_handle_users},
    rules,
    user_records::UserRecord,
};

fn particulars(known: Known) -> Vec<erase_user_response::Particulars> {
    let each = known.into_iter();
    each.map(|(organization, known)| erase_user_response::Particulars {
        organization: OrganizationName(organization).to_string(),
        email: known.email,
        external_id: known.external_id,
    })
    .collect()
}

impl From<UserRecord> for api::UserRecord {
    fn from(record: UserRecord) -> Self {
        let record = match record {
            UserRecord::Member(member) => Record::Member(member.into()),
            UserRecord::JoinRequest(request) => Record::JoinRequest(request.into()),
            UserRecord::Removal(removal) => Record::Removal(user_record::Removal {
                parent: removal.place.to_string(),
                remove_time: Some(to_timestamp(removal.remove_time)),
            }),
            UserRecord::Event(event) => Record::Event(to_wire(event)),
        };
        Self {
            record: Some(record),
        }
    }
}

homeroom_kit::rpcs! {
    UserService for pub(crate) struct UserApi(pub(crate) App) {
        erase_user: EraseUserRequest => EraseUserResponse;
        move_user: MoveUserRequest => MoveUserResponse;
        list_user_records: ListUserRecordsRequest => ListUserRecordsResponse;
    }
}

impl UserApi {
    async fn erase_user(
        &self,
        caller: &Caller,
        request: EraseUserRequest,
    ) -> Result<EraseUserResponse> {
        may_handle_users(caller, &rules::ERASE_USER)?;
        let mut violations = Violations::new();
        let user = violations.take("name", UserName::parse(&request.name));
        let pseudonym = UserId::parse(&request.pseudonym)
            .ok()
            .filter(UserId::is_pseudonym);
        let needless = request.validate_only && request.pseudonym.is_empty();
        violations.check(
            needless || pseudonym.is_some(),
            "pseudonym",
            "must be `erased-` and a UUID",
        );
        let UserName(user) = violations.finish_with(user)?;
        if let Some(pseudonym) = pseudonym.filter(|_| !request.validate_only) {
            let replacement = Replacement {
                user,
                by: pseudonym,
            };
            self.0.erase_user(caller, &request, replacement).await?;
            return Ok(EraseUserResponse::default());
        }
        let known = self.0.look_at_person(&user).await?;
        Ok(EraseUserResponse {
            particulars: particulars(known),
        })
    }

    async fn list_user_records(
        &self,
        caller: &Caller,
        request: ListUserRecordsRequest,
    ) -> Result<ListUserRecordsResponse> {
        may_handle_users(caller, &rules::LIST_USER_RECORDS)?;
        let UserName(user) = rpc::parent(UserName::parse(&request.parent), request.page_size)?;
        let list = [request.parent.as_str(), ""];
        let (size, token) = (request.page_size, &request.page_token);
        let page = rpc::page(&self.0.paging, caller, list, size, token)?;
        let (page, known) = self.0.user_records(&user, &page).await?;
        Ok(ListUserRecordsResponse {
            user_records: page.items.into_iter().map(Into::into).collect(),
            next_page_token: page.next_page_token,
            particulars: particulars(known),
        })
    }

    async fn move_user(
        &self,
        caller: &Caller,
        request: MoveUserRequest,
    ) -> Result<MoveUserResponse> {
        may_handle_users(caller, &rules::MOVE_USER)?;
        let mut violations = Violations::new();
        let user = violations.take("name", UserName::parse(&request.name));
        let target = violations.take("target", UserName::parse(&request.target));
        let id = UserId::parse(&request.move_id).ok().filter(is_move_id);
        violations.check(id.is_some(), "move_id", "must be `moved-` and a UUID");
        if user.is_some() {
            violations.check(user != target, "target", "must be another user");
        }
        let parsed = user.zip(target).zip(id);
        let ((UserName(user), UserName(by)), id) = violations.finish_with(parsed)?;
        let replacement = Replacement { user, by };
        self.0
            .move_user(caller, &request, (replacement, id))
            .await?;
        Ok(MoveUserResponse {})
    }
}
