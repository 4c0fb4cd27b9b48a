//! Makes several calls in turn, repeatedly, so that anything that slows the machine down slows all
//! of them.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Instant};

use homeroom_api::{
    invitations::v1::{
        ListRedemptionsRequest, RedemptionOutcome,
        redemption_service_client::RedemptionServiceClient,
    },
    membership::v1::{
        ApproveJoinRequestRequest, ListClassMembersRequest, ListJoinRequestsRequest,
        join_request_service_client::JoinRequestServiceClient,
        member_service_client::MemberServiceClient,
    },
};
use serde::Deserialize;
use serde_json::{Value, json};
use tonic::transport::Channel;

use crate::{
    Failure,
    closed_loop::micros,
    homeroom::{Credentials, connect, joining, mixed},
};

/// The longest page, by which pages before the requested one are skipped.
const PAGE_SIZE_MAX: i32 = 1_000;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The file of the calls: a JSON list of `{"name", "address", "token_file", "user", …}`.
    #[arg(long)]
    calls: PathBuf,
    /// The number of counted repetitions of each call.
    #[arg(long)]
    repetitions: u64,
    /// The number of uncounted repetitions before them.
    #[arg(long, default_value_t = 20)]
    warm_up: u64,
    /// A number that makes this run's users, request ids and order differ from those of all others.
    #[arg(long)]
    run: u64,
}

/// A call as the file describes it.
#[derive(Debug, Deserialize)]
struct Described {
    name: String,
    /// The address of the called service.
    address: SocketAddr,
    token_file: PathBuf,
    /// The acting user; a join has a new user each time.
    #[serde(default)]
    user: String,
    #[serde(flatten)]
    what: What,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "call", rename_all = "snake_case")]
enum What {
    /// Lets a new user join by a code.
    Join { credential: String },
    /// Reads the page that begins after this many items.
    List(Page),
    /// Approves join requests, one per call, beginning after this many.
    Approve(Page),
}

#[derive(Debug, Clone, Deserialize)]
struct Page {
    #[serde(default = "join_requests")]
    list: List,
    parent: String,
    #[serde(default)]
    filter: String,
    skip: i32,
    #[serde(default)]
    size: i32,
}

const fn join_requests() -> List {
    List::JoinRequests
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum List {
    JoinRequests,
    ClassMembers,
    Redemptions,
}

/// A call that is ready to be made.
struct Call {
    caller: Caller,
    what: What,
    /// The page's token.
    token: String,
    names: Vec<String>,
    latencies: Vec<f64>,
}

#[derive(Clone)]
struct Caller {
    channel: Channel,
    credentials: Credentials,
    user: String,
}

impl Caller {
    /// Returns the names on a page, and the next page's token.
    async fn page(
        &self,
        page: &Page,
        size: i32,
        token: &str,
    ) -> Result<(Vec<String>, String), Failure> {
        let (parent, filter, page_token) =
            (page.parent.clone(), page.filter.clone(), token.to_owned());
        let channel = self.channel.clone();
        let page_size = size;
        macro_rules! list {
            ($client:ident, $request:ident, $method:ident, $items:ident) => {{
                let request = $request {
                    parent,
                    page_size,
                    page_token,
                    filter,
                };
                let request = self.credentials.request(&self.user, request)?;
                let answer = $client::new(channel).$method(request).await?.into_inner();
                let names = answer.$items.into_iter().map(|item| item.name).collect();
                (names, answer.next_page_token)
            }};
        }
        Ok(match page.list {
            List::JoinRequests => list!(
                JoinRequestServiceClient,
                ListJoinRequestsRequest,
                list_join_requests,
                join_requests
            ),
            List::ClassMembers => list!(
                MemberServiceClient,
                ListClassMembersRequest,
                list_class_members,
                members
            ),
            List::Redemptions => list!(
                RedemptionServiceClient,
                ListRedemptionsRequest,
                list_redemptions,
                redemptions
            ),
        })
    }

    /// Returns the token of the page that begins after this many items.
    async fn token_after(&self, page: &Page) -> Result<String, Failure> {
        let (mut token, mut left) = (String::new(), page.skip);
        while left > 0 {
            let size = left.min(PAGE_SIZE_MAX);
            let (names, next) = self.page(page, size, &token).await?;
            if next.is_empty() || i32::try_from(names.len())? != size {
                let missing = left - i32::try_from(names.len())?;
                return Err(format!("{} has {missing} items too few", page.parent).into());
            }
            (token, left) = (next, left - size);
        }
        Ok(token)
    }
}

impl Call {
    async fn prepare(
        described: Described,
        times: u64,
        caller: Caller,
    ) -> Result<(String, Self), Failure> {
        let mut call = Self {
            caller,
            what: described.what,
            token: String::new(),
            names: Vec::new(),
            latencies: Vec::new(),
        };
        match &call.what {
            What::Join { .. } => {}
            What::List(page) => call.token = call.caller.token_after(page).await?,
            What::Approve(page) => {
                let token = call.caller.token_after(page).await?;
                let size = i32::try_from(times)?;
                let (names, _) = call.caller.page(page, size, &token).await?;
                if names.len() < usize::try_from(times)? {
                    return Err(format!("{} has too few to approve", page.parent).into());
                }
                call.names = names;
            }
        }
        Ok((described.name, call))
    }

    async fn make(&mut self, run: u64, number: u64) -> Result<(), Failure> {
        match &self.what {
            What::Join { credential } => {
                let credential = credential.clone();
                let request = joining(&self.caller.credentials, credential, run, number)?;
                let mut client = RedemptionServiceClient::new(self.caller.channel.clone());
                let outcome = client.redeem(request).await?.into_inner().outcome();
                if outcome != RedemptionOutcome::Admitted {
                    return Err(outcome.as_str_name().into());
                }
            }
            What::List(page) => {
                let (names, _) = self.caller.page(page, page.size, &self.token).await?;
                if i32::try_from(names.len())? != page.size {
                    return Err(format!("a page of {} has {}", page.parent, names.len()).into());
                }
            }
            What::Approve(_) => {
                let request = ApproveJoinRequestRequest {
                    name: self.names.pop().ok_or("all are approved")?,
                    ..Default::default()
                };
                let request = self
                    .caller
                    .credentials
                    .request(&self.caller.user, request)?;
                let mut client = JoinRequestServiceClient::new(self.caller.channel.clone());
                client.approve_join_request(request).await?;
            }
        }
        Ok(())
    }
}

pub(crate) async fn run(arguments: &Arguments) -> Result<Value, Failure> {
    let described: Vec<Described> = serde_json::from_slice(&std::fs::read(&arguments.calls)?)?;
    let times = arguments.warm_up + arguments.repetitions;
    let mut channels: BTreeMap<SocketAddr, Channel> = BTreeMap::new();
    let mut calls = Vec::new();
    for described in described {
        let channel = match channels.get(&described.address) {
            Some(channel) => channel.clone(),
            None => connect(described.address).await?,
        };
        channels.insert(described.address, channel.clone());
        let caller = Caller {
            channel,
            credentials: Credentials::read(&described.token_file)?,
            user: described.user.clone(),
        };
        calls.push(Call::prepare(described, times, caller).await?);
    }
    let mut number = 0;
    for time in 0..times {
        // The order differs each time, so that the after-effects of one call fall on all others
        // alike.
        calls.sort_by_cached_key(|(name, _)| {
            let letters = name
                .bytes()
                .fold(time, |sum, byte| sum * 31 + u64::from(byte));
            mixed(arguments.run, letters)
        });
        for (name, call) in &mut calls {
            number += 1;
            let began = Instant::now();
            let made = call.make(arguments.run, number).await;
            made.map_err(|failure| format!("{name}: {failure}"))?;
            if time >= arguments.warm_up {
                call.latencies
                    .push(f64::from(micros(began.elapsed())) / 1000.0);
            }
        }
    }
    let latencies: BTreeMap<&String, &Vec<f64>> = calls
        .iter()
        .map(|(name, call)| (name, &call.latencies))
        .collect();
    Ok(json!({ "latencies_ms": latencies }))
}
