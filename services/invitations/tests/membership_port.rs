//! The port to membership over the wire, against a membership service whose answers the test sets.

#![expect(
    clippy::unwrap_used,
    reason = "these are tests: what they panic on is their failure"
)]

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use chrono::DateTime;
use homeroom_api::{
    common::v1::ErrorReason,
    membership::v1::{
        self as api, AdmitRequest, BatchAdmitRequest, BatchAdmitResponse, CheckAccessRequest,
        CheckAccessResponse, GetAdmissionRequest, RaiseFenceRequest, RaiseFenceResponse,
        admission_service_server::{AdmissionService, AdmissionServiceServer},
        batch_admit_response::{self, result::Outcome},
    },
};
use homeroom_invitations::{
    domain::redemption::MembershipAnswer,
    membership::{Membership as _, MembershipClient},
};
use homeroom_kit::{auth::Signer, clock::ManualClock, random::SeededRandomness, trace};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, transport::Server};

/// A service that answers a batch with prepared rows, and records the time and the trace that it was given.
#[derive(Debug, Clone, Default)]
struct Stub {
    rows: Arc<Mutex<Vec<batch_admit_response::Result>>>,
    given: Arc<Mutex<Vec<Duration>>>,
    parents: Arc<Mutex<Vec<Option<String>>>>,
}

/// Returns the time of a call's `grpc-timeout`, which tonic sends in the unit that fits.
fn timeout<T>(request: &Request<T>) -> Duration {
    let text = request.metadata().get("grpc-timeout").unwrap();
    let (number, unit) = text.to_str().unwrap().split_at(text.len() - 1);
    let number = number.parse().unwrap();
    match unit {
        "n" => Duration::from_nanos(number),
        "u" => Duration::from_micros(number),
        "m" => Duration::from_millis(number),
        _ => Duration::from_secs(number),
    }
}

#[tonic::async_trait]
impl AdmissionService for Stub {
    async fn batch_admit(
        &self,
        request: Request<BatchAdmitRequest>,
    ) -> Result<Response<BatchAdmitResponse>, Status> {
        self.given.lock().unwrap().push(timeout(&request));
        let parent = request.metadata().get("traceparent");
        let parent = parent.map(|parent| parent.to_str().unwrap().to_owned());
        self.parents.lock().unwrap().push(parent);
        let results = self.rows.lock().unwrap().clone();
        Ok(Response::new(BatchAdmitResponse { results }))
    }

    async fn admit(
        &self,
        _: Request<AdmitRequest>,
    ) -> Result<Response<api::AdmitResponse>, Status> {
        Ok(Response::new(api::AdmitResponse::default()))
    }

    async fn get_admission(
        &self,
        _: Request<GetAdmissionRequest>,
    ) -> Result<Response<api::Admission>, Status> {
        Ok(Response::new(api::Admission::default()))
    }

    async fn raise_fence(
        &self,
        _: Request<RaiseFenceRequest>,
    ) -> Result<Response<RaiseFenceResponse>, Status> {
        Ok(Response::new(RaiseFenceResponse::default()))
    }

    async fn check_access(
        &self,
        _: Request<CheckAccessRequest>,
    ) -> Result<Response<CheckAccessResponse>, Status> {
        Ok(Response::new(CheckAccessResponse::default()))
    }
}

/// Serves the stub, and returns a client of it.
async fn client(stub: Stub) -> MembershipClient {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let server = Server::builder().add_service(AdmissionServiceServer::new(stub));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    let signer = Signer::generate(&SeededRandomness::new(1)).unwrap();
    let clock = Arc::new(ManualClock::new(
        DateTime::from_timestamp(1_800_000_000, 0).unwrap(),
    ));
    let url = format!("http://{address}");
    MembershipClient::new(&url, None, Arc::new(signer), "issuer", "homeroom", clock).unwrap()
}

fn row(index: i32, outcome: Option<Outcome>) -> batch_admit_response::Result {
    batch_admit_response::Result { index, outcome }
}

fn admitted() -> Outcome {
    Outcome::Admission(api::Admission {
        outcome: api::admission::Outcome::Admitted.into(),
        ..api::Admission::default()
    })
}

#[tokio::test]
async fn p11_a_row_that_a_reply_lacks_or_leaves_open_is_unknown() {
    let stub = Stub::default();
    let client = client(stub.clone()).await;
    let asked = vec![AdmitRequest::default(); 4];
    let failed = tonic_types::Status {
        code: tonic::Code::FailedPrecondition.into(),
        ..tonic_types::Status::default()
    };
    for (rows, known) in [
        (vec![], vec![]),
        (vec![row(2, Some(admitted()))], vec![2]),
        (
            vec![row(3, Some(admitted())), row(0, Some(admitted()))],
            vec![0, 3],
        ),
        // Rows of no request, without an outcome, or with a status instead of one.
        (
            vec![row(4, Some(admitted())), row(-1, Some(admitted()))],
            vec![],
        ),
        (vec![row(1, None), row(0, Some(admitted()))], vec![0]),
        (vec![row(1, Some(Outcome::Status(failed)))], vec![]),
    ] {
        stub.rows.lock().unwrap().clone_from(&rows);
        let answers = client.admit(&asked, None).await;
        assert_eq!(answers.len(), asked.len());
        for (index, answer) in answers.into_iter().enumerate() {
            if known.contains(&index) {
                assert_eq!(answer.unwrap().answer, MembershipAnswer::Admitted);
            } else {
                let unknown = answer.unwrap_err().reason();
                assert_eq!(unknown, ErrorReason::MembershipUnavailable, "{rows:?}");
            }
        }
    }
}

#[tokio::test]
async fn p13_membership_is_given_the_callers_deadline_less_50_milliseconds() {
    let stub = Stub::default();
    let client = client(stub.clone()).await;
    // The first call connects; it is given the time that is left after that.
    let two_seconds = Duration::from_secs(2);
    for _ in 0..2 {
        let deadline = Instant::now() + two_seconds;
        client
            .admit(&[AdmitRequest::default()], Some(deadline))
            .await;
    }
    let longest = Duration::from_millis(2_000 - 50);
    for given in stub.given.lock().unwrap().iter() {
        assert!(*given <= longest, "{given:?}");
        assert!(*given >= two_seconds / 2, "{given:?}");
    }
    assert_eq!(stub.given.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn membership_is_called_as_part_of_the_callers_trace() {
    let stub = Stub::default();
    let client = client(stub.clone()).await;
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let headers = [("traceparent".parse().unwrap(), parent.parse().unwrap())];
    let caller = trace::named_by(&headers.into_iter().collect());
    let asked = [AdmitRequest::default()];
    trace::within(caller, client.admit(&asked, None)).await;
    client.admit(&asked, None).await;
    assert_eq!(
        *stub.parents.lock().unwrap(),
        [Some(parent.to_owned()), None]
    );
}
