//! A gRPC client that knows only the descriptors, as `buf curl` and grpcurl do: JSON in, JSON out.

use http::uri::PathAndQuery;
use prost::Message as _;
use prost_reflect::{
    DescriptorPool, DynamicMessage, MessageDescriptor, MethodDescriptor, SerializeOptions,
};
use serde_json::Value;
use tonic::{
    Code, Request, Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    transport::Channel,
};

use tonic_types::StatusExt as _;

use crate::Failure;

/// The contract, as reflection serves it.
#[derive(Debug, Clone)]
pub(crate) struct Contract(DescriptorPool);

impl Contract {
    pub(crate) fn load() -> Result<Self, Failure> {
        Ok(Self(DescriptorPool::decode(
            homeroom_api::FILE_DESCRIPTOR_SET,
        )?))
    }

    /// The method named `Service/Method`; the service by as many last parts of its full name as tell it apart.
    pub(crate) fn method(&self, name: &str) -> Result<MethodDescriptor, Failure> {
        let (service, method) = name
            .split_once('/')
            .ok_or("a method is named Service/Method")?;
        let ending = format!(".{service}");
        self.0
            .services()
            .find(|candidate| candidate.full_name().ends_with(&ending))
            .and_then(|service| {
                service
                    .methods()
                    .find(|candidate| candidate.name() == method)
            })
            .ok_or_else(|| format!("the contract has no {name}").into())
    }
}

/// The request of `method` that the JSON says, with an access token.
pub(crate) fn request(
    method: &MethodDescriptor,
    json: &Value,
    token: &str,
) -> Result<Request<DynamicMessage>, Failure> {
    let message = DynamicMessage::deserialize(method.input(), json.clone())?;
    let mut request = Request::new(message);
    request
        .metadata_mut()
        .insert("authorization", format!("Bearer {token}").parse()?);
    Ok(request)
}

/// The reason that an error carries; empty for one that is not of Homeroom.
pub(crate) fn reason_of(status: &Status) -> String {
    status
        .get_details_error_info()
        .map(|info| info.reason)
        .unwrap_or_default()
}

/// The code as the gRPC specification writes it.
pub(crate) fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// Calls `method`; the answer as JSON, with the fields that have their defaults.
pub(crate) async fn call(
    channel: Channel,
    method: &MethodDescriptor,
    request: Request<DynamicMessage>,
) -> Result<Result<Value, Status>, Failure> {
    let path: PathAndQuery =
        format!("/{}/{}", method.parent_service().full_name(), method.name()).parse()?;
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await?;
    let codec = DynamicCodec {
        output: method.output(),
    };
    match client.unary(request, path, codec).await {
        Ok(response) => {
            let options = SerializeOptions::new().skip_default_fields(false);
            let json = response
                .into_inner()
                .serialize_with_options(serde_json::value::Serializer, &options)?;
            Ok(Ok(json))
        }
        Err(status) => Ok(Err(status)),
    }
}

struct DynamicCodec {
    output: MessageDescriptor,
}

impl Codec for DynamicCodec {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = DynamicEncoder;
    type Decoder = DynamicDecoder;

    fn encoder(&mut self) -> DynamicEncoder {
        DynamicEncoder
    }

    fn decoder(&mut self) -> DynamicDecoder {
        DynamicDecoder(self.output.clone())
    }
}

struct DynamicEncoder;

impl Encoder for DynamicEncoder {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(
        &mut self,
        message: DynamicMessage,
        buffer: &mut EncodeBuf<'_>,
    ) -> Result<(), Status> {
        message
            .encode(buffer)
            .map_err(|error| homeroom_kit::Error::internal(error).into())
    }
}

struct DynamicDecoder(MessageDescriptor);

impl Decoder for DynamicDecoder {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        DynamicMessage::decode(self.0.clone(), buffer)
            .map(Some)
            .map_err(|error| homeroom_kit::Error::internal(error).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_found_by_the_end_of_their_service_name() {
        let contract = Contract::load().unwrap();
        let redeem = contract.method("RedemptionService/Redeem").unwrap();
        assert_eq!(
            redeem.full_name(),
            "homeroom.invitations.v1.RedemptionService.Redeem"
        );
        let list = contract
            .method("membership.v1.EventService/ListEvents")
            .unwrap();
        assert_eq!(
            list.full_name(),
            "homeroom.membership.v1.EventService.ListEvents"
        );
        assert!(contract.method("RedemptionService/Undo").is_err());
        assert!(contract.method("Redeem").is_err());
    }
}
