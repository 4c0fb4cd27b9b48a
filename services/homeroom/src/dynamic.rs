//! A gRPC client that knows only the descriptors, as `buf curl` and grpcurl do: JSON in, JSON out.

use http::uri::PathAndQuery;
use prost::Message as _;
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, MessageDescriptor, MethodDescriptor,
    SerializeOptions, ServiceDescriptor,
};
use serde_json::Value;
use serde_path_to_error::{Path, Segment, Track};
use tonic::{
    Request, Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};
use tonic_types::StatusExt as _;

use crate::{Failure, connect::Service, similar::by_similarity};

/// The contract, as the reflection service describes it.
#[derive(Debug, Clone)]
pub(crate) struct Contract(DescriptorPool);

impl Contract {
    pub(crate) fn load() -> Result<Self, Failure> {
        Ok(Self(DescriptorPool::decode(
            homeroom_api::FILE_DESCRIPTOR_SET,
        )?))
    }

    /// Returns the method named `Service/Method`; the service is named in full, or by as many last parts of its name as
    /// make it unique.
    pub(crate) fn method(&self, name: &str) -> Result<MethodDescriptor, Failure> {
        let (service, method) = name
            .split_once('/')
            .ok_or("a method is named Service/Method, such as ClassCodeService/GetClassCode")?;
        let services = self.0.services().filter(|one| is_named(one, service));
        let found: Vec<MethodDescriptor> = services
            .flat_map(|service| service.methods().collect::<Vec<_>>())
            .filter(|candidate| candidate.name() == method)
            .collect();
        match found.as_slice() {
            [only] => Ok(only.clone()),
            [] => Err(format!("the contract has no {name}; {}", self.methods_of(service)).into()),
            several => {
                let names: Vec<String> = several.iter().map(path_of).collect();
                let names = names.join("\n  ");
                Err(format!("{name} may be any of these: name one in full\n  {names}").into())
            }
        }
    }

    /// Returns the available methods of the named service, or the available services if there is no such service.
    fn methods_of(&self, service: &str) -> String {
        let ours: Vec<ServiceDescriptor> = self
            .0
            .services()
            .filter(|candidate| candidate.full_name().starts_with("homeroom."))
            .collect();
        let service_named = ours.iter().find(|one| is_named(one, service));
        let (what, names): (_, Vec<String>) = match service_named {
            Some(service) => (
                format!("{} has", service.full_name()),
                service.methods().map(|one| one.name().to_owned()).collect(),
            ),
            None => (
                "its services are".to_owned(),
                ours.iter().map(|one| one.full_name().to_owned()).collect(),
            ),
        };
        format!("{what}\n  {}", names.join("\n  "))
    }
}

/// Returns true if the service has this name, or one that ends so.
fn is_named(service: &ServiceDescriptor, name: &str) -> bool {
    service.full_name() == name || service.full_name().ends_with(&format!(".{name}"))
}

/// Returns the full name of the method.
pub(crate) fn path_of(method: &MethodDescriptor) -> String {
    format!("{}/{}", method.parent_service().full_name(), method.name())
}

/// Returns the request of `method` from JSON, or says which field is wrong.
pub(crate) fn message(method: &MethodDescriptor, json: &Value) -> Result<DynamicMessage, Failure> {
    let mut track = Track::new();
    let tracked = serde_path_to_error::Deserializer::new(json.clone(), &mut track);
    DynamicMessage::deserialize(method.input(), tracked).map_err(|error| {
        let (error, path) = (error.to_string(), track.path());
        let field = path.to_string();
        let within = format!(" in the field {field}");
        let within = if field == "." { "" } else { &within };
        let known = known_fields(&method.input(), &path, &error).unwrap_or_default();
        let name = method.input().name().to_owned();
        format!("the request is no {name}{within}: {error}{known}").into()
    })
}

/// Returns what follows the error of an unknown field: the fields of the message at its place.
fn known_fields(request: &MessageDescriptor, path: &Path, error: &str) -> Option<String> {
    let written = error.strip_prefix("unrecognized field name '")?;
    let written = written.strip_suffix('\'')?;
    let mut message = request.clone();
    for segment in path {
        if let Segment::Map { key } = segment {
            let field = message.get_field_by_json_name(key);
            let field = field.or_else(|| message.get_field_by_name(key))?;
            message = field.kind().as_message()?.clone();
        }
    }
    let fields: Vec<_> = message.fields().collect();
    let names: Vec<&str> = fields.iter().map(FieldDescriptor::json_name).collect();
    let (message, names) = (message.name(), by_similarity(written, &names));
    Some(format!("; the fields of {message} are {names}"))
}

/// Returns the reason in an error; empty if the error is not from Homeroom.
pub(crate) fn reason_of(status: &Status) -> String {
    status
        .get_details_error_info()
        .map(|info| info.reason)
        .unwrap_or_default()
}

/// Calls `method`; returns the answer as JSON, including fields that have their default values.
pub(crate) async fn call(
    service: Service,
    method: &MethodDescriptor,
    request: DynamicMessage,
) -> Result<Result<Value, Status>, Failure> {
    let path: PathAndQuery = format!("/{}", path_of(method)).parse()?;
    let mut client = tonic::client::Grpc::new(service);
    client.ready().await?;
    let codec = DynamicCodec {
        output: method.output(),
    };
    match client.unary(Request::new(request), path, codec).await {
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
    use serde_json::json;

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
        let full = contract
            .method("homeroom.invitations.v1.EventService/ListEvents")
            .unwrap();
        assert_eq!(
            path_of(&full),
            "homeroom.invitations.v1.EventService/ListEvents"
        );
    }

    #[test]
    fn a_mistake_in_json_is_told_with_its_field() {
        let contract = Contract::load().unwrap();
        let method = contract.method("RedemptionService/BatchRedeem").unwrap();
        let said = |json| message(&method, &json).unwrap_err().to_string();
        for (json, expected) in [
            (
                json!({"requests": [{"user": {"emailVerified": "yes"}}]}),
                "in the field requests[0].user.emailVerified: ",
            ),
            (
                json!({"requests": [{}, {"credentail": "x"}]}),
                "in the field requests[1]: ",
            ),
            (
                json!({"requests": [{}, {"credentail": "x"}]}),
                "; the fields of RedeemRequest are credential, organization, user, signUp, clientIp, requestId",
            ),
            (
                json!({"requests": [{"user": {"mail": "x"}}]}),
                "; the fields of User are email, ",
            ),
            (json!({"reqests": []}), "are requests"),
            (json!({"requests": 7}), "in the field requests: "),
            (json!({"reqests": []}), "is no BatchRedeemRequest: "),
        ] {
            let said = said(json);
            assert!(said.contains(expected), "{said}");
        }
    }

    #[test]
    fn a_proxy_learns_the_http_path_of_each_method_and_the_details_of_errors() {
        let Contract(pool) = Contract::load().unwrap();
        let http = pool.get_extension_by_name("google.api.http").unwrap();
        let ours = pool
            .services()
            .filter(|one| one.full_name().starts_with("homeroom."));
        for method in ours.flat_map(|one| one.methods().collect::<Vec<_>>()) {
            assert!(
                method.options().has_extension(&http),
                "{}",
                path_of(&method)
            );
        }
        assert!(pool.get_message_by_name("google.rpc.ErrorInfo").is_some());
    }

    #[test]
    fn a_name_that_does_not_tell_one_method_is_answered_with_those_that_do() {
        let contract = Contract::load().unwrap();
        let said = |name: &str| contract.method(name).unwrap_err().to_string();
        let ambiguous = said("EventService/ListEvents");
        assert!(ambiguous.contains("\n  homeroom.invitations.v1.EventService/ListEvents"));
        assert!(ambiguous.contains("\n  homeroom.membership.v1.EventService/ListEvents"));
        assert!(said("RedemptionService/Undo").contains("\n  Redeem"));
        assert!(said("Nothing/Undo").contains("\n  homeroom.invitations.v1.RedemptionService"));
        assert!(said("Redeem").contains("Service/Method"));
    }
}
