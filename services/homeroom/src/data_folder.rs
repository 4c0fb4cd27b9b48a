//! The folder of an installation: databases, key rings, signing keys and the JWK set.

use std::{
    fmt,
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use homeroom_kit::{
    auth::{Scope, Signer, TokenKeys},
    database,
    key_files::{self, write_if_missing},
    keys::KeyRing,
    random::SystemRandomness,
};
use serde_json::json;

use crate::Failure;

/// `iss` of the tokens that an installation mints for itself.
pub(crate) const ISSUER: &str = "homeroom";
/// `aud` of the tokens that both services accept.
pub(crate) const AUDIENCE: &str = "homeroom";

/// The signing key of `homeroom token`.
pub(crate) const SIGNING_KEY_FILE: &str = "signing-key.pem";
/// The key with which invitations signs its own tokens for membership.
pub(crate) const INVITATIONS_SIGNING_KEY_FILE: &str = "invitations-signing-key.pem";
/// Membership's key ring.
pub(crate) const MEMBERSHIP_KEYS_FILE: &str = "membership.keys";
/// The key ring of invitations, which seals every invitation's secret.
pub(crate) const INVITATIONS_KEYS_FILE: &str = "invitations.keys";
/// Membership's database.
pub(crate) const MEMBERSHIP_DATABASE_FILE: &str = "membership.db";
/// The database of invitations.
pub(crate) const INVITATIONS_DATABASE_FILE: &str = "invitations.db";
/// The public keys with which both services verify tokens.
pub(crate) const JWKS_FILE: &str = "jwks.json";

/// A folder that exists.
#[derive(Debug)]
pub(crate) struct DataFolder(PathBuf);

/// The contents of the folder's key files.
pub(crate) struct Material {
    pub(crate) signer: Signer,
    pub(crate) invitations_signer: Signer,
    pub(crate) membership_keys: KeyRing,
    pub(crate) invitations_keys: KeyRing,
}

impl DataFolder {
    /// Makes the folder for its owner only (0700), if it is missing.
    pub(crate) fn open_or_create(path: &Path) -> Result<Self, Failure> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|error| format!("the folder {} cannot be made: {error}", path.display()))?;
        Ok(Self(path.to_owned()))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Locks the folder for this process for as long as the returned file lives: no other process can serve it
    /// meanwhile.
    pub(crate) fn lock(&self) -> Result<File, Failure> {
        let path = self.0.display();
        let cannot = |error: io::Error| format!("the folder {path} cannot be locked: {error}");
        let folder = File::open(&self.0).map_err(cannot)?;
        match folder.try_lock() {
            Ok(()) => Ok(folder),
            Err(TryLockError::WouldBlock) => Err(format!(
                "the folder {path} is served by another `homeroom serve` or `homeroom webhooks run`: end that one, or \
                 give another folder"
            )
            .into()),
            Err(TryLockError::Error(error)) => Err(cannot(error).into()),
        }
    }

    /// Reads the public keys of access tokens, with the path at which a service looks for changes.
    pub(crate) fn token_keys(&self) -> Result<TokenKeys, Failure> {
        self.load(JWKS_FILE, TokenKeys::of_file)
    }

    /// Returns the path of a file in the folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Returns the URL of the SQLite database `name`, and creates its file for its owner only (0600).
    pub(crate) fn database(&self, name: &str) -> Result<database::Url, Failure> {
        // SQLite treats an empty file as a new database, and gives its companion files the same mode.
        write_if_missing(&self.file(name), "")?;
        Ok(database::Url::parse(&format!(
            "sqlite://{}",
            self.file(name).display()
        ))?)
    }

    /// Reads the key files, and makes those that are missing (0600).
    pub(crate) fn load_or_generate(&self) -> Result<Material, Failure> {
        for (keys, database) in [
            (MEMBERSHIP_KEYS_FILE, MEMBERSHIP_DATABASE_FILE),
            (INVITATIONS_KEYS_FILE, INVITATIONS_DATABASE_FILE),
        ] {
            let is_used = fs::metadata(self.file(database)).is_ok_and(|file| file.len() > 0);
            if is_used && !self.file(keys).exists() {
                return Err(format!(
                    "{} is missing beside {database}: put the key files of the folder that the database comes from there",
                    self.file(keys).display()
                )
                .into());
            }
        }
        let random = SystemRandomness;
        let signer = |name| self.load(name, |path| Signer::load_or_generate(path, &random));
        let ring = |name| self.load(name, |path| KeyRing::load_or_generate(path, &random));
        let (signer, invitations_signer) = (
            signer(SIGNING_KEY_FILE)?,
            signer(INVITATIONS_SIGNING_KEY_FILE)?,
        );
        // Tokens of invitations' own key may claim only `homeroom.admit`.
        let admit_only = Some([Scope::Admit].into_iter().collect());
        let keys = json!({ "keys": [signer.jwk(None), invitations_signer.jwk(admit_only)] });
        write_if_missing(&self.file(JWKS_FILE), &format!("{keys:#}\n"))?;
        Ok(Material {
            membership_keys: ring(MEMBERSHIP_KEYS_FILE)?,
            invitations_keys: ring(INVITATIONS_KEYS_FILE)?,
            signer,
            invitations_signer,
        })
    }

    /// Reads a file of the folder; the error names the file.
    fn load<T, E: fmt::Display>(
        &self,
        name: &str,
        read: impl FnOnce(&Path) -> Result<T, E>,
    ) -> Result<T, Failure> {
        let path = self.file(name);
        read(&path).map_err(|error| format!("{} cannot be used: {error}", path.display()).into())
    }

    /// Reads the signing key of an installation that has one.
    pub(crate) fn signer(path: &Path) -> Result<Arc<Signer>, Failure> {
        let file = path.join(SIGNING_KEY_FILE);
        let pem = key_files::read_text(&file).map_err(|error| {
            format!(
                "the signing key {} cannot be read ({error}); `homeroom serve` and `homeroom keys` make it",
                file.display()
            )
        })?;
        let signer = Signer::from_pem(&pem)
            .map_err(|error| format!("{} cannot be used: {error}", file.display()))?;
        Ok(Arc::new(signer))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn the_folder_and_its_keys_are_for_their_owner_only() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("deep/data");
        let folder = DataFolder::open_or_create(&path).unwrap();
        folder.load_or_generate().unwrap();
        folder.database(MEMBERSHIP_DATABASE_FILE).unwrap();
        assert_eq!(mode(&path), 0o700);
        for name in [
            SIGNING_KEY_FILE,
            INVITATIONS_SIGNING_KEY_FILE,
            MEMBERSHIP_KEYS_FILE,
            INVITATIONS_KEYS_FILE,
            JWKS_FILE,
            MEMBERSHIP_DATABASE_FILE,
        ] {
            assert_eq!(mode(&folder.file(name)), 0o600, "{name}");
        }
    }

    #[test]
    fn f8_databases_without_their_keys_get_no_others() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataFolder::open_or_create(parent.path()).unwrap();
        fs::write(folder.file(INVITATIONS_DATABASE_FILE), "rows").unwrap();
        let refused = folder.load_or_generate().err().unwrap().to_string();
        assert!(refused.contains(INVITATIONS_KEYS_FILE), "{refused}");
        assert!(!folder.file(INVITATIONS_KEYS_FILE).exists());
        assert!(!folder.file(SIGNING_KEY_FILE).exists());
    }

    #[test]
    fn a_second_start_keeps_every_key() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataFolder::open_or_create(parent.path()).unwrap();
        folder.load_or_generate().unwrap();
        let before = fs::read(folder.file(JWKS_FILE)).unwrap();
        let signing_key = fs::read(folder.file(SIGNING_KEY_FILE)).unwrap();
        folder.load_or_generate().unwrap();
        assert_eq!(fs::read(folder.file(JWKS_FILE)).unwrap(), before);
        assert_eq!(
            fs::read(folder.file(SIGNING_KEY_FILE)).unwrap(),
            signing_key
        );
    }

    #[test]
    fn f8_a_folder_is_taken_by_one_process_at_a_time() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataFolder::open_or_create(&parent.path().join("data")).unwrap();
        // The lock holds for every path to the folder.
        let link = parent.path().join("link");
        std::os::unix::fs::symlink(folder.path(), &link).unwrap();
        let others = [folder.path().join("../data"), link].map(DataFolder);
        let taken = folder.lock().unwrap();
        for other in [&folder, &others[0], &others[1]] {
            let refused = other.lock().unwrap_err().to_string();
            assert!(refused.contains("is served by another"), "{refused}");
        }
        drop(taken);
        folder.lock().unwrap();
    }

    #[test]
    fn the_key_of_invitations_may_only_admit() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataFolder::open_or_create(parent.path()).unwrap();
        folder.load_or_generate().unwrap();
        let set: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(folder.file(JWKS_FILE)).unwrap()).unwrap();
        assert_eq!(set["keys"][0].get("homeroom_scopes"), None);
        assert_eq!(set["keys"][1]["homeroom_scopes"], json!(["homeroom.admit"]));
        assert!(set["keys"][0].get("d").is_none());
    }
}
