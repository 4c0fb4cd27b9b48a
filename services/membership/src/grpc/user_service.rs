//! `UserService`: what is kept of persons, wherever they are (R13). Scope `homeroom.admit`.

use homeroom_api::{
    ids::UserId,
    membership::v1::{
        EraseUserRequest, EraseUserResponse, erase_user_response, user_service_server::UserService,
    },
    names::{OrganizationName, UserName},
};
use homeroom_kit::{
    auth::Caller,
    erasure::{Replacement, is_pseudonym},
    validation::Violations,
};
use tonic::{Request, Response, Status, async_trait};

use super::parse;
use crate::app::{App, erase_user::may_erase};

/// The service over the use cases.
#[derive(Debug, Clone)]
pub(crate) struct UserApi(pub(crate) App);

#[async_trait]
impl UserService for UserApi {
    async fn erase_user(
        &self,
        request: Request<EraseUserRequest>,
    ) -> Result<Response<EraseUserResponse>, Status> {
        let caller = Caller::of(&request)?;
        may_erase(&caller)?;
        let request = request.into_inner();
        let mut violations = Violations::new();
        let user = violations.take("name", UserName::parse(&request.name));
        let pseudonym = UserId::parse(&request.pseudonym).ok().filter(is_pseudonym);
        let needless = request.validate_only && request.pseudonym.is_empty();
        violations.check(
            needless || pseudonym.is_some(),
            "pseudonym",
            "must be `erased-` and a UUID",
        );
        let UserName(user) = parse::finish(violations, user)?;
        if let Some(pseudonym) = pseudonym.filter(|_| !request.validate_only) {
            let replacement = Replacement { user, pseudonym };
            self.0.erase_user(&caller, &request, replacement).await?;
            return Ok(Response::new(EraseUserResponse::default()));
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
        Ok(Response::new(EraseUserResponse {
            particulars: particulars.collect(),
        }))
    }
}
