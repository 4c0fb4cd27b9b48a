//! `homeroom token`: prints an access token and nothing else.

use anstream::println;
use homeroom_kit::clock::SystemClock;

use crate::{
    Failure, access_token::AccessToken, arguments::TokenArguments, data_folder::DataFolder,
};

pub(crate) fn run(arguments: &TokenArguments) -> Result<(), Failure> {
    let signer = DataFolder::signer(&arguments.data)?;
    let token = AccessToken {
        user: &arguments.user,
        name: arguments.name.as_deref(),
        email: arguments.email.as_deref(),
        email_verified: arguments.email_verified,
        external_id: arguments.external_id.as_deref(),
        scopes: arguments
            .scopes
            .iter()
            .flat_map(|scopes| scopes.iter())
            .collect(),
        organizations: &arguments.organizations,
        life: arguments.ttl,
    }
    .mint(&signer, &SystemClock)?;
    println!("{}", token.expose());
    Ok(())
}
