//! `homeroom token`: prints an access token and nothing else.

use anstream::println;
use homeroom_kit::{Clock as _, auth::Claims, clock::SystemClock};

use crate::{
    Failure,
    arguments::TokenArguments,
    data_folder::{AUDIENCE, DataFolder, ISSUER},
};

pub(crate) fn run(arguments: &TokenArguments) -> Result<(), Failure> {
    let signer = DataFolder::signer(&arguments.data)?;
    let scopes = arguments.scopes.iter().flat_map(|scopes| scopes.iter());
    let email = arguments.email.clone();
    let organizations = arguments.organizations.iter().map(ToString::to_string);
    let organizations: Vec<_> = organizations.collect();
    let (now, life) = (SystemClock.now(), arguments.ttl);
    let claims = Claims {
        name: arguments.name.clone(),
        email_verified: email.as_ref().map(|_| arguments.email_verified),
        email,
        external_id: arguments.external_id.clone(),
        organizations: Some(organizations).filter(|bound| !bound.is_empty()),
        ..Claims::new(ISSUER, AUDIENCE, arguments.user.as_str(), now, life)
            .with_scopes(scopes.collect())
    };
    println!("{}", signer.sign(&claims)?.expose());
    Ok(())
}
