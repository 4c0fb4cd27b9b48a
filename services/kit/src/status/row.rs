//! A failure inside an answer, for one row of a batch.

use prost::Message as _;
use tonic::Status;

use super::Error;

impl Error {
    /// Returns the failure of one row of a batch, with the same details as that of the single call.
    #[must_use]
    pub fn into_row_status(self) -> tonic_types::Status {
        let status = Status::from(self);
        tonic_types::Status::decode(status.details()).unwrap_or_else(|_| tonic_types::Status {
            code: status.code().into(),
            message: status.message().to_owned(),
            details: Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use homeroom_api::common::v1::ErrorReason;
    use tonic::Code;

    use super::*;

    #[test]
    fn a_row_carries_code_message_and_details() {
        let row = Error::new(ErrorReason::NoSeats, "Free a seat.").into_row_status();
        assert_eq!(row.code, i32::from(Code::FailedPrecondition));
        assert_eq!(row.message, "Free a seat.");
        assert_eq!(row.details.len(), 1);
    }

    #[test]
    fn an_internal_failure_keeps_its_cause_to_itself() {
        let row = Error::internal("a secret cause").into_row_status();
        assert_eq!(row.code, i32::from(Code::Internal));
        assert!(!row.message.contains("secret"));
    }
}
