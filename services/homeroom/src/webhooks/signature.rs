//! Signatures as in Standard Webhooks: HMAC-SHA256 with a secret that sender and receiver share.

use aws_lc_rs::hmac;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use zeroize::Zeroizing;

/// The beginning of a secret, by which it is recognized.
const PREFIX: &str = "whsec_";
/// The fewest bytes of a secret.
const SECRET_BYTES_MIN: usize = 24;
/// The most bytes of a secret.
const SECRET_BYTES_MAX: usize = 64;
/// The most secrets of an endpoint: the current one, and during a rotation the next one.
const SECRETS_MAX: usize = 2;

/// The secrets of an endpoint. They have no Debug.
#[derive(Clone)]
pub(crate) struct Secrets(Vec<hmac::Key>);

impl Secrets {
    /// Reads one secret, or two, each on its own line as `whsec_` and base64. The error completes "NAME …" and reveals
    /// nothing of the text.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let secrets: Vec<_> = lines.map(secret).collect::<Result<_, _>>()?;
        if (1..=SECRETS_MAX).contains(&secrets.len()) {
            Ok(Self(secrets))
        } else {
            Err(format!("must have 1 to {SECRETS_MAX} lines"))
        }
    }

    /// Returns the header `webhook-signature`: a signature by each secret.
    pub(crate) fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        let signed = format!("{id}.{timestamp}.{body}");
        let signatures = self.0.iter().map(|key| {
            let tag = hmac::sign(key, signed.as_bytes());
            format!("v1,{}", BASE64_STANDARD.encode(tag))
        });
        signatures.collect::<Vec<_>>().join(" ")
    }
}

fn secret(line: &str) -> Result<hmac::Key, String> {
    let bytes = line.strip_prefix(PREFIX).and_then(|text| {
        let bytes = BASE64_STANDARD.decode(text).map(Zeroizing::new);
        bytes.ok()
    });
    bytes
        .filter(|bytes| (SECRET_BYTES_MIN..=SECRET_BYTES_MAX).contains(&bytes.len()))
        .map(|bytes| hmac::Key::new(hmac::HMAC_SHA256, &bytes))
        .ok_or_else(|| {
            format!(
                "must have a secret on each line: `{PREFIX}` and the base64 of {SECRET_BYTES_MIN} to \
                 {SECRET_BYTES_MAX} random bytes"
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the libraries of Standard Webhooks.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn sign(file: &str) -> String {
        let secrets = Secrets::parse(file).ok().unwrap();
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        secrets.sign(id, 1_614_265_330, r#"{"test": 2432232314}"#)
    }

    #[test]
    fn a_signature_is_that_of_standard_webhooks() {
        assert_eq!(sign(SECRET), SIGNATURE);
    }

    #[test]
    fn during_a_rotation_both_secrets_sign() {
        let next = format!("whsec_{}", BASE64_STANDARD.encode([7; 32]));
        let both = sign(&format!("{SECRET}\n{next}\n"));
        assert_eq!(both, format!("{SIGNATURE} {}", sign(&next)));
    }

    #[test]
    fn a_secret_has_24_to_64_bytes_and_a_file_one_or_two() {
        let of = |bytes: usize| format!("whsec_{}", BASE64_STANDARD.encode(vec![1; bytes]));
        for right in [of(24), of(64), format!("\n {} \r\n\n{}\n", of(24), of(32))] {
            assert!(Secrets::parse(&right).is_ok(), "{right}");
        }
        let three = [of(24), of(25), of(26)].join("\n");
        let bare = BASE64_STANDARD.encode([1; 32]);
        for wrong in [
            "",
            "hunter2",
            "whsec_hunter2",
            &bare,
            &of(23),
            &of(65),
            &three,
        ] {
            let said = Secrets::parse(wrong).err().unwrap();
            assert!(said.starts_with("must have") && !said.contains("hunter2"));
        }
    }
}
