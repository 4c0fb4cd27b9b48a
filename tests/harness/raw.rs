//! Calls any method of the contract by its name, with a request in bytes or written as JSON.

use std::{sync::LazyLock, time::Duration};

use homeroom_api::FILE_DESCRIPTOR_SET;
use prost::{
    Message as _,
    bytes::{Buf as _, BufMut as _},
};
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor};
use serde_json::Value;
use tonic::{
    Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    transport::Channel,
};

use crate::{
    Claims, Homeroom,
    clients::{Clients, Credentials},
};

/// The time for which a caller waits for the first message of a stream.
const STREAM_SECONDS: u64 = 30;

/// Returns every method of the contract.
#[must_use]
pub fn methods() -> &'static [MethodDescriptor] {
    static METHODS: LazyLock<Vec<MethodDescriptor>> = LazyLock::new(|| {
        DescriptorPool::decode(FILE_DESCRIPTOR_SET)
            .unwrap()
            .services()
            .filter(|service| service.full_name().starts_with("homeroom."))
            .flat_map(|service| service.methods().collect::<Vec<_>>())
            .collect()
    });
    &METHODS
}

/// Returns the method of this full name, or of the end of one, such as `ClassService.GetClass`.
#[must_use]
pub fn method(name: &str) -> &'static MethodDescriptor {
    let is_it = |method: &&MethodDescriptor| {
        let rest = method.full_name().strip_suffix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    let found = methods().iter().find(is_it);
    found.unwrap_or_else(|| panic!("no method {name}"))
}

/// Returns true if membership serves the method.
#[must_use]
pub fn is_memberships(method: &MethodDescriptor) -> bool {
    method.full_name().starts_with("homeroom.membership.")
}

/// Encodes a request that is written as JSON.
///
/// # Panics
/// Panics if it is no request of this method.
#[must_use]
pub fn encode(method: &MethodDescriptor, body: &Value) -> Vec<u8> {
    DynamicMessage::deserialize(method.input(), body)
        .unwrap_or_else(|error| panic!("{}: {body}: {error}", method.full_name()))
        .encode_to_vec()
}

impl Clients {
    /// Calls a method by its name and returns the first message in protobuf's JSON.
    pub async fn call(&self, method: &str, body: &Value) -> Result<Value, Status> {
        let method = self::method(method);
        let bytes = self.send(method, encode(method, body)).await?;
        let answer = DynamicMessage::decode(method.output(), bytes.as_slice()).unwrap();
        Ok(serde_json::to_value(&answer).unwrap())
    }

    /// Calls a method by its name, with a request of its type, and returns the first message.
    pub async fn call_typed<M: prost::Message + Default>(
        &self,
        method: &str,
        request: &impl prost::Message,
    ) -> Result<M, Status> {
        let request = request.encode_to_vec();
        let bytes = self.send(self::method(method), request).await?;
        Ok(M::decode(bytes.as_slice()).unwrap())
    }

    /// Calls a method by its name and returns the first message, which has this type.
    ///
    /// # Panics
    /// Panics if the call fails.
    pub async fn ask<M: prost::Message + Default>(&self, method: &str, body: Value) -> M {
        let request = encode(self::method(method), &body);
        let bytes = self.send(self::method(method), request).await;
        let bytes = bytes.unwrap_or_else(|status| panic!("{method}: {body}: {status:?}"));
        M::decode(bytes.as_slice()).unwrap()
    }

    /// Calls a method by its name and returns the first message in protobuf's JSON.
    ///
    /// # Panics
    /// Panics if the call fails.
    pub async fn done(&self, method: &str, body: Value) -> Value {
        let done = self.call(method, &body).await;
        done.unwrap_or_else(|status| panic!("{method}: {body}: {status:?}"))
    }

    /// Calls a method by its name and returns the reason of its refusal.
    ///
    /// # Panics
    /// Panics if the call succeeds.
    pub async fn refused(&self, method: &str, body: Value) -> String {
        crate::reason(&self.call(method, &body).await.unwrap_err())
    }

    async fn send(&self, method: &MethodDescriptor, body: Vec<u8>) -> Result<Vec<u8>, Status> {
        let mut request = Request::new(body);
        self.credentials.add_to(&mut request);
        let channel = self.channels[usize::from(!is_memberships(method))].clone();
        let wait = Duration::from_secs(STREAM_SECONDS);
        send(channel, method, request, wait).await
    }
}

impl Homeroom {
    /// Calls a method by its name, such as `homeroom.membership.v1.ClassService.GetClass`, and
    /// returns the first message in protobuf's JSON.
    pub async fn call(
        &self,
        caller: Claims<'_>,
        method: &str,
        body: &Value,
    ) -> Result<Value, Status> {
        self.user_with(caller).call(method, body).await
    }

    /// Calls a method with exactly this `authorization` header.
    pub async fn call_with_authorization(
        &self,
        authorization: &str,
        method: &str,
        body: &Value,
    ) -> Result<Value, Status> {
        let caller = Clients {
            channels: [self.membership.clone(), self.invitations.clone()],
            credentials: Credentials::new(authorization, ""),
        };
        caller.call(method, body).await
    }
}

/// Makes one call and returns its answer; of a stream, the first message, or nothing if none comes
/// within `wait`.
pub async fn send(
    channel: Channel,
    method: &MethodDescriptor,
    request: Request<Vec<u8>>,
    wait: Duration,
) -> Result<Vec<u8>, Status> {
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name())
        .parse()
        .unwrap();
    let mut grpc = Grpc::new(channel);
    grpc.ready()
        .await
        .map_err(|error| Status::unavailable(error.to_string()))?;
    if !method.is_server_streaming() {
        return Ok(grpc.unary(request, path, RawCodec).await?.into_inner());
    }
    let answer = grpc.server_streaming(request, path, RawCodec).await?;
    let mut stream = answer.into_inner();
    let first = tokio::time::timeout(wait, stream.message()).await;
    Ok(first.unwrap_or(Ok(None))?.unwrap_or_default())
}

/// A codec whose messages are raw bytes.
#[derive(Debug, Clone, Copy, Default)]
struct RawCodec;

impl Codec for RawCodec {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for RawCodec {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for RawCodec {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut bytes = vec![0; buffer.remaining()];
        buffer.copy_to_slice(&mut bytes);
        Ok(Some(bytes))
    }
}
