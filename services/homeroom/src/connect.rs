//! A connection to a running service, in plaintext or over TLS, and the caller who uses it.

use std::time::Duration;

use homeroom_kit::{
    auth::USER_METADATA,
    tls::{ClientTls, IdentityFiles, Names, RELOAD_SECONDS},
};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

use crate::{Failure, connection_arguments::TlsArguments};

/// The flags that name the files.
const FLAGS: Names = Names {
    certificate: "--client-cert-file",
    key: "--client-key-file",
    authorities: "--ca-file",
};

/// A connection on which each call has the credentials of one caller.
pub(crate) type Service = InterceptedService<Channel, Credentials>;

/// The caller's token, and the user for whom the caller acts.
#[derive(Clone)]
pub(crate) struct Credentials {
    authorization: MetadataValue<Ascii>,
    user: Option<MetadataValue<Ascii>>,
}

impl Credentials {
    pub(crate) fn new(token: &str, user: Option<&str>) -> Result<Self, Failure> {
        Ok(Self {
            authorization: format!("Bearer {token}").parse()?,
            user: user.map(str::parse).transpose()?,
        })
    }
}

impl Interceptor for Credentials {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let metadata = request.metadata_mut();
        metadata.insert("authorization", self.authorization.clone());
        if let Some(user) = &self.user {
            metadata.insert(USER_METADATA, user.clone());
        }
        Ok(request)
    }
}

/// Connects to `address`, a `host:port` or its URL, within `patience`, which also limits each call.
pub(crate) async fn connect(
    address: &str,
    arguments: &TlsArguments,
    patience: Duration,
) -> Result<Channel, Failure> {
    let (endpoint, tls) = endpoint(address, arguments, patience)?;
    let connected = match &tls {
        Some(tls) => tls.connect(&endpoint).await,
        None => endpoint.connect().await,
    };
    Ok(connected.map_err(|error| no_answer(address, &error, tls.is_some()))?)
}

/// Returns a channel to `address`, a `host:port` or its URL, that connects on first use and again after a loss. Each
/// connection and each call must end within `patience`.
pub(crate) fn channel(
    address: &str,
    arguments: &TlsArguments,
    patience: Duration,
) -> Result<Channel, Failure> {
    let (endpoint, tls) = endpoint(address, arguments, patience)?;
    Ok(match tls {
        Some(tls) => {
            tls.watch(Duration::from_secs(RELOAD_SECONDS));
            tls.channel(&endpoint)
        }
        None => endpoint.connect_lazy(),
    })
}

fn endpoint(
    address: &str,
    arguments: &TlsArguments,
    patience: Duration,
) -> Result<(Endpoint, Option<ClientTls>), Failure> {
    let tls = tls(arguments)?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    // `homeroom serve` prints URLs.
    let host = address.strip_prefix(&format!("{scheme}://"));
    let host = host.unwrap_or(address);
    let endpoint = Endpoint::from_shared(format!("{scheme}://{host}"))
        .map_err(|error| format!("{address} is no address: {error}"))?;
    let endpoint = endpoint.connect_timeout(patience).timeout(patience);
    Ok((endpoint, tls))
}

fn tls(arguments: &TlsArguments) -> Result<Option<ClientTls>, Failure> {
    let Some(authorities) = arguments.ca_file.clone() else {
        return Ok(None);
    };
    let files = arguments.client_cert_file.clone();
    let identity = files.zip(arguments.client_key_file.clone());
    let identity = identity.map(|(certificate, key)| IdentityFiles { certificate, key });
    let mut tls = ClientTls::load(FLAGS, authorities, identity)?;
    if let Some(name) = &arguments.server_name {
        tls = tls
            .with_server_name(name)
            .map_err(|error| format!("--server-name: {error}"))?;
    }
    Ok(Some(tls))
}

/// Returns the error for a server that does not speak gRPC, or not with this encryption.
fn no_answer(address: &str, error: &(dyn std::error::Error + 'static), encrypted: bool) -> String {
    let hint = if encrypted {
        "does it speak TLS, with a certificate of that authority?"
    } else {
        "does it speak plaintext (TLS takes --ca-file)?"
    };
    format!(
        "{address} does not answer; is the service running, does it listen there, and {hint} ({})",
        crate::chain(error)
    )
}
