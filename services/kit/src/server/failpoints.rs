//! Failpoints at the arrival of a call and before its answer; compiled only with failpoints.

use homeroom_api::common::v1::ErrorReason;

use super::{Response, refuse};
use crate::{
    failpoints::{Injected, Moment, reached},
    status::Error,
};

/// Answers a call by `work`, which is the innermost step, so that deadlines include these waits.
pub(super) async fn around(path: &str, work: impl Future<Output = Response>) -> Response {
    let Some((service, rpc)) = names(path) else {
        return work.await;
    };
    if let Err(injected) = reached(service, rpc, Moment::Received).await {
        return unavailable(injected);
    }
    let response = work.await;
    match reached(service, rpc, Moment::Answering).await {
        Ok(()) => response,
        Err(injected) => unavailable(injected),
    }
}

/// Returns the service and the method of a path such as
/// `/homeroom.membership.v1.AdmissionService/Admit`, or `None` for health and reflection.
fn names(path: &str) -> Option<(&str, &str)> {
    let (service, _) = path.strip_prefix("/homeroom.")?.split_once('.')?;
    let (_, rpc) = path.rsplit_once('/')?;
    Some((service, rpc))
}

fn unavailable(injected: Injected) -> Response {
    refuse(Error::unavailable(
        ErrorReason::DatabaseUnavailable,
        injected.to_string(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_named_by_service_and_method() {
        for (path, expected) in [
            (
                "/homeroom.membership.v1.AdmissionService/BatchAdmit",
                Some(("membership", "BatchAdmit")),
            ),
            (
                "/homeroom.invitations.v1.RedemptionService/Redeem",
                Some(("invitations", "Redeem")),
            ),
            ("/grpc.health.v1.Health/Check", None),
        ] {
            assert_eq!(names(path), expected, "{path}");
        }
    }
}
