//! Calls any method of the contract by its name, with a request written as JSON.

use std::sync::LazyLock;

use homeroom_api::FILE_DESCRIPTOR_SET;
use prost::{
    Message as _,
    bytes::{Buf as _, BufMut as _},
};
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor};
use tonic::{
    Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    transport::Channel,
};

use crate::{Claims, Homeroom};

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

/// Returns the method of this full name.
#[must_use]
pub fn method(full_name: &str) -> &'static MethodDescriptor {
    methods()
        .iter()
        .find(|method| method.full_name() == full_name)
        .unwrap_or_else(|| panic!("no method {full_name}"))
}

impl Homeroom {
    /// Calls a method by its full name, such as `homeroom.membership.v1.ClassService.GetClass`, and
    /// returns the first message in protobuf's JSON.
    pub async fn call(
        &self,
        caller: Claims<'_>,
        method: &str,
        body: &serde_json::Value,
    ) -> Result<serde_json::Value, Status> {
        let authorization = format!("Bearer {}", self.access_token(caller));
        self.call_with_headers(&authorization, caller.acting_user, method, body)
            .await
    }

    /// Calls a method with exactly this `authorization` header.
    pub async fn call_with_authorization(
        &self,
        authorization: &str,
        method: &str,
        body: &serde_json::Value,
    ) -> Result<serde_json::Value, Status> {
        self.call_with_headers(authorization, "", method, body)
            .await
    }

    async fn call_with_headers(
        &self,
        authorization: &str,
        acting_user: &str,
        method: &str,
        body: &serde_json::Value,
    ) -> Result<serde_json::Value, Status> {
        let descriptor = self::method(method);
        let message = DynamicMessage::deserialize(descriptor.input(), body)
            .unwrap_or_else(|error| panic!("{method}: {body}: {error}"));
        let mut request = Request::new(message.encode_to_vec());
        request
            .metadata_mut()
            .insert("authorization", authorization.parse().unwrap());
        if !acting_user.is_empty() {
            request
                .metadata_mut()
                .insert("x-homeroom-user", acting_user.parse().unwrap());
        }
        let channel = self.channel_of(method);
        let bytes = send(channel, descriptor, request).await?;
        let answer = DynamicMessage::decode(descriptor.output(), bytes.as_slice()).unwrap();
        Ok(serde_json::to_value(&answer).unwrap())
    }
}

async fn send(
    channel: Channel,
    method: &MethodDescriptor,
    request: Request<Vec<u8>>,
) -> Result<Vec<u8>, Status> {
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name())
        .parse()
        .unwrap();
    let mut grpc = Grpc::new(channel);
    grpc.ready()
        .await
        .map_err(|error| Status::unavailable(error.to_string()))?;
    if method.is_server_streaming() {
        let mut stream = grpc
            .server_streaming(request, path, RawCodec)
            .await?
            .into_inner();
        Ok(stream.message().await?.unwrap_or_default())
    } else {
        grpc.unary(request, path, RawCodec)
            .await
            .map(tonic::Response::into_inner)
    }
}

/// A codec whose messages are raw bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct RawCodec;

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
