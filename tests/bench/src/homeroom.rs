//! Redeems class codes at Homeroom like a learning platform that acts for its users.

use std::{net::SocketAddr, path::Path, time::Duration};

use homeroom_api::invitations::v1::{
    RedeemRequest, RedemptionOutcome, redemption_service_client::RedemptionServiceClient,
};
use serde_json::Value;
use tonic::{
    Code, Request, Status,
    metadata::{Ascii, MetadataValue},
    transport::Channel,
};
use tonic_types::StatusExt as _;
use uuid::Uuid;

use crate::{
    Failure, LoadArguments, Target,
    closed_loop::{self, Operation, Refusal},
};

/// The deadline of each call.
const CALL_SECONDS_MAX: u64 = 10;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    load: LoadArguments,
    /// The number of connections that the clients share.
    #[arg(long, default_value_t = 4)]
    connections: usize,
}

/// Adds the access token to requests, and the user for whom the token's service acts.
#[derive(Debug, Clone)]
pub(crate) struct Credentials(MetadataValue<Ascii>);

impl Credentials {
    pub(crate) fn read(token_file: &Path) -> Result<Self, Failure> {
        let token = std::fs::read_to_string(token_file)?;
        Ok(Self(format!("Bearer {}", token.trim()).parse()?))
    }

    pub(crate) fn request<T>(&self, user: &str, message: T) -> Result<Request<T>, Failure> {
        let mut request = Request::new(message);
        request.set_timeout(Duration::from_secs(CALL_SECONDS_MAX));
        let metadata = request.metadata_mut();
        metadata.insert("authorization", self.0.clone());
        metadata.insert("x-homeroom-user", user.parse()?);
        Ok(request)
    }
}

/// Opens a connection.
pub(crate) async fn connect(address: SocketAddr) -> Result<Channel, Failure> {
    let endpoint = Channel::from_shared(format!("http://{address}"))?;
    Ok(endpoint.connect().await?)
}

/// Returns the request by which a new user redeems a code, the `number`th of a run.
pub(crate) fn joining(
    credentials: &Credentials,
    credential: String,
    run: u64,
    number: u64,
) -> Result<Request<RedeemRequest>, Failure> {
    let [user, high, low] = [0, 2, 3].map(|part| mixed(run, number * 4 + part));
    let request = RedeemRequest {
        credential,
        request_id: Uuid::from_u64_pair(high, low).to_string(),
        ..Default::default()
    };
    credentials.request(&format!("user-{user:016x}"), request)
}

/// One client that redeems codes.
#[derive(Debug, Clone)]
pub(crate) struct Redeemer {
    client: RedemptionServiceClient<Channel>,
    credentials: Credentials,
    codes: std::sync::Arc<[String]>,
    run: u64,
}

impl Redeemer {
    /// Opens this many connections, and returns a client for each.
    pub(crate) async fn connect(target: &Target, connections: usize) -> Result<Vec<Self>, Failure> {
        let credentials = Credentials::read(&target.token_file)?;
        let codes = std::fs::read_to_string(&target.codes)?;
        let codes: std::sync::Arc<[String]> = codes.lines().map(str::to_owned).collect();
        let mut redeemers = Vec::new();
        for _ in 0..connections {
            redeemers.push(Self {
                client: RedemptionServiceClient::new(connect(target.invitations).await?),
                credentials: credentials.clone(),
                codes: std::sync::Arc::clone(&codes),
                run: target.run,
            });
        }
        Ok(redeemers)
    }

    /// Lets one new user join by one of the codes.
    pub(crate) async fn redeem(&mut self, number: u64) -> Result<(), Refusal> {
        // Users, codes and request ids come in random order.
        let code = mixed(self.run, number * 4 + 1);
        let codes = u64::try_from(self.codes.len()).unwrap_or(u64::MAX);
        let place = code
            .checked_rem(codes)
            .and_then(|n| usize::try_from(n).ok());
        let credential = place.and_then(|place| self.codes.get(place)).cloned();
        let credential = credential.ok_or("there are no codes")?;
        let request = joining(&self.credentials, credential, self.run, number)?;
        let response = self.client.redeem(request).await.map_err(Box::new)?;
        match response.into_inner().outcome() {
            RedemptionOutcome::Admitted => Ok(()),
            other => Err(other.as_str_name().into()),
        }
    }
}

impl Operation for Redeemer {
    async fn run(&mut self, number: u64) -> Result<(), Refusal> {
        self.redeem(number).await
    }
}

/// The reason of a refusal that the caller should retry later.
const OVERLOADED: &str = "OVERLOADED";

impl From<&str> for Refusal {
    fn from(reason: &str) -> Self {
        Self {
            reason: reason.to_owned(),
            ..Self::default()
        }
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::from(failure.to_string().as_str())
    }
}

impl From<Box<Status>> for Refusal {
    fn from(status: Box<Status>) -> Self {
        let details = status.get_error_details();
        let reason = details.error_info().map(|info| info.reason.clone());
        Self {
            // HTTP/2 itself may refuse a stream, without a reason.
            shed: reason.as_deref().map_or(
                matches!(status.code(), Code::Unavailable | Code::ResourceExhausted),
                |reason| reason == OVERLOADED,
            ),
            retry_after: details.retry_info().and_then(|retry| retry.retry_delay),
            reason: reason.unwrap_or_else(|| format!("{:?}: {}", status.code(), status.message())),
        }
    }
}

/// Mixes two numbers into one that looks random (the finalizer of `SplitMix64`, twice).
pub(crate) fn mixed(run: u64, number: u64) -> u64 {
    let mut mixed = run;
    for part in [number, 0] {
        mixed = mixed.wrapping_add(part).wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
    }
    mixed
}

pub(crate) async fn run(arguments: &Arguments) -> Result<Value, Failure> {
    let redeemers = Redeemer::connect(&arguments.target, arguments.connections).await?;
    let clients = usize::try_from(arguments.load.clients)?;
    let operations: Vec<Redeemer> = redeemers.iter().cycle().take(clients).cloned().collect();
    closed_loop::run(&arguments.load, operations).await
}
