//! `UserService`: operations on all records of a person (R13). Needs the scope `homeroom.admit`.

use homeroom_api::{
    ids::UserId,
    membership::v1::{
        EraseUserRequest, EraseUserResponse, MoveUserRequest, MoveUserResponse,
        erase_user_response, user_service_server::UserService,
    },
    names::{OrganizationName, UserName},
};
use homeroom_kit::{
    Result,
    auth::Caller,
    erasure::{Replacement, is_move_id},
    validation::Violations,
};

use crate::app::{App, erase_user::may_erase, move_user::may_move};

homeroom_kit::rpcs! {
    UserService for pub(crate) struct UserApi(pub(crate) App) {
        erase_user: EraseUserRequest => EraseUserResponse;
        move_user: MoveUserRequest => MoveUserResponse;
    }
}

impl UserApi {
    async fn erase_user(
        &self,
        caller: &Caller,
        request: EraseUserRequest,
    ) -> Result<EraseUserResponse> {
        may_erase(caller)?;
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
        let particulars =
            known
                .into_iter()
                .map(|(organization, known)| erase_user_response::Particulars {
                    organization: OrganizationName(organization).to_string(),
                    email: known.email,
                    external_id: known.external_id,
                });
        Ok(EraseUserResponse {
            particulars: particulars.collect(),
        })
    }

    async fn move_user(
        &self,
        caller: &Caller,
        request: MoveUserRequest,
    ) -> Result<MoveUserResponse> {
        may_move(caller)?;
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
