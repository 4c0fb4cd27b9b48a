//! `homeroom keys`: the key files that the two services need in production.

use anstream::println;

use crate::{
    Failure,
    arguments::KeysArguments,
    data_folder::{
        DataFolder, INVITATIONS_KEYS_FILE, INVITATIONS_SIGNING_KEY_FILE, JWKS_FILE,
        MEMBERSHIP_KEYS_FILE, SIGNING_KEY_FILE,
    },
};

/// Each file with a description of its use.
const FILES: [(&str, &str); 5] = [
    (MEMBERSHIP_KEYS_FILE, "membership's key ring"),
    (
        INVITATIONS_KEYS_FILE,
        "invitations' key ring: without it every invitation is lost",
    ),
    (
        INVITATIONS_SIGNING_KEY_FILE,
        "invitations signs its own tokens for membership with it",
    ),
    (
        SIGNING_KEY_FILE,
        "`homeroom token` signs with it; no service reads it",
    ),
    (
        JWKS_FILE,
        "both services check tokens with it; add your platform's public keys to it",
    ),
];

pub(crate) fn run(arguments: &KeysArguments) -> Result<(), Failure> {
    let folder = DataFolder::open_or_create(&arguments.data)?;
    let existed = FILES.map(|(name, _)| folder.file(name).exists());
    folder.load_or_generate()?;
    for ((name, purpose), existed) in FILES.into_iter().zip(existed) {
        let what = if existed { "kept" } else { "made" };
        println!("{what}  {name}: {purpose}");
    }
    Ok(())
}
