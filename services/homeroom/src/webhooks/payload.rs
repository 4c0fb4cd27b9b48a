//! The body of a webhook: an event in the JSON that protobuf defines, within what Standard Webhooks proposes.

use homeroom_api::common::v1::Event;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use serde_json::json;

use crate::Failure;

/// Makes bodies.
#[derive(Debug, Clone)]
pub(crate) struct Payloads(MessageDescriptor);

impl Payloads {
    /// Reads the contract.
    pub(crate) fn load() -> Result<Self, Failure> {
        let pool = DescriptorPool::decode(homeroom_api::FILE_DESCRIPTOR_SET)?;
        let event = pool.get_message_by_name("homeroom.common.v1.Event");
        Ok(Self(event.ok_or("the contract has no events")?))
    }

    /// Returns the body for an event.
    pub(crate) fn body(&self, event: &Event) -> Result<String, Failure> {
        let bytes = event.encode_to_vec();
        let data = DynamicMessage::decode(self.0.clone(), bytes.as_slice())?;
        let data = serde_json::to_value(&data)?;
        let time = data.get("createTime");
        let body = json!({"type": event.r#type, "timestamp": time, "data": data});
        Ok(body.to_string())
    }
}

/// Returns the lane of an event: its class, or its organization if it concerns no class.
pub(crate) fn lane(event: &Event) -> &str {
    if event.class.is_empty() {
        &event.organization
    } else {
        &event.class
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn joined() -> Event {
        Event {
            id: "01900000-0000-7000-8000-000000000001".to_owned(),
            r#type: "member.joined".to_owned(),
            organization: "organizations/hamilton".to_owned(),
            class: "organizations/hamilton/classes/biology".to_owned(),
            subject: "organizations/hamilton/classes/biology/members/ada".to_owned(),
            actor: "ada".to_owned(),
            notify: vec![],
            create_time: Some(prost_types::Timestamp {
                seconds: 1_700_000_000,
                nanos: 123_456_000,
            }),
            data: [("user".to_owned(), "ada".to_owned())].into(),
        }
    }

    #[test]
    fn a_body_is_the_event_with_its_type_and_time() {
        let body = Payloads::load().unwrap().body(&joined()).unwrap();
        let body: Value = serde_json::from_str(&body).unwrap();
        let expected = json!({
            "type": "member.joined",
            "timestamp": "2023-11-14T22:13:20.123456Z",
            "data": {
                "id": "01900000-0000-7000-8000-000000000001",
                "type": "member.joined",
                "organization": "organizations/hamilton",
                "class": "organizations/hamilton/classes/biology",
                "subject": "organizations/hamilton/classes/biology/members/ada",
                "actor": "ada",
                "createTime": "2023-11-14T22:13:20.123456Z",
                "data": {"user": "ada"}
            }
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn a_lane_is_the_class_or_else_the_organization() {
        let mut event = joined();
        assert_eq!(lane(&event), "organizations/hamilton/classes/biology");
        event.class.clear();
        assert_eq!(lane(&event), "organizations/hamilton");
    }
}
