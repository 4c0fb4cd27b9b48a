//! Each service is repeatedly stopped and restarted while a class full of students redeems.

use std::{
    collections::BTreeMap,
    ops::RangeInclusive,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use homeroom_api::{invitations::v1::RedemptionOutcome, membership::v1::GetOrganizationRequest};
use homeroom_tests::{
    Engine, details,
    processes::{Callers, Processes, Service},
};
use tokio::sync::Semaphore;
use tonic::Status;

use crate::crowd::{CALL_SECONDS, OpenClass, redeem};

/// The number of concurrent redeemers, each for one student after the other.
const REDEEMERS: usize = 100;
/// The number of concurrent readers from membership.
const READERS: usize = 10;
/// The number of restarts of both services.
const ROUNDS: usize = 3;
/// The students who arrive before each restart, and once more at the end.
const STUDENTS_A_TIME: usize = 120;
/// The number of them who are admitted before the order to stop, which the others meet.
const ANSWERS_BEFORE: usize = 50;
/// The number of students, at most one page of a list.
const STUDENTS: usize = STUDENTS_A_TIME * (2 * ROUNDS + 1);
/// The time within which a service must stop if every client closes its connections.
const STOP_SECONDS: u64 = 15;

/// A call that the service accepted.
struct Taken {
    of: Service,
    begun: Instant,
    ended: Instant,
    /// The failure in place of the service's own answer; `None` if it answered.
    cut_short: Option<String>,
}

/// One stop of a service.
struct Stop {
    of: Service,
    /// The interval from just before to just after the order.
    ordered: RangeInclusive<Instant>,
    /// The time at which the process was gone.
    ended: Instant,
}

impl Stop {
    /// Returns true if the call was under way at any time of the stop.
    fn met(&self, call: &Taken) -> bool {
        self.of == call.of && call.begun <= self.ended && call.ended >= *self.ordered.start()
    }

    /// Returns true if the call was under way when the order came.
    fn came_within(&self, call: &Taken) -> bool {
        self.of == call.of
            && call.begun <= *self.ordered.start()
            && call.ended >= *self.ordered.end()
    }
}

/// The observations of a load of calls.
struct Seen {
    waiting: Semaphore,
    admitted: Mutex<BTreeMap<usize, String>>,
    taken: Mutex<Vec<Taken>>,
    reads: AtomicUsize,
    next: AtomicUsize,
    over: AtomicBool,
}

impl Seen {
    /// Records a call that has ended, unless the service never accepted it.
    fn tried(&self, of: Service, begun: Instant, failure: Option<&Status>) {
        let ended = Instant::now();
        if failure.is_some_and(was_not_taken) {
            return;
        }
        let no_answer = failure.filter(|status| details(status).error_info().is_none());
        self.taken.lock().unwrap().push(Taken {
            of,
            begun,
            ended,
            cut_short: no_answer.map(|status| format!("{status:?}")),
        });
    }

    fn admitted(&self) -> usize {
        self.admitted.lock().unwrap().len()
    }

    /// Sends more students. Waits until this many of all are admitted.
    async fn students_come(&self, admitted: usize) {
        self.waiting.add_permits(STUDENTS_A_TIME);
        let wait = async {
            while self.admitted() < admitted {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_mins(1), wait).await;
        waited.expect("load goes on");
    }
}

/// The message of hyper for a request that it still held when its connection closed.
const HELD: &str = "operation was canceled";
/// The message of h2 for a request beyond the last one that the server accepts (GOAWAY without an
/// error: RFC 9113, 6.8).
const NOT_TAKEN: &str = "connection error received: not a result of an error";

/// Returns true if the service never accepted the call: nobody listened, or the connection closed
/// before it was sent.
fn was_not_taken(status: &Status) -> bool {
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return error.kind() == std::io::ErrorKind::ConnectionRefused;
        }
        if [HELD, NOT_TAKEN].contains(&error.to_string().as_str()) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Redeems for one student after the other, until no more arrive.
async fn redeem_on(callers: Callers, class: Arc<OpenClass>, seen: Arc<Seen>) {
    while let Ok(student) = seen.waiting.acquire().await {
        student.forget();
        let number = seen.next.fetch_add(1, Ordering::Relaxed);
        let student = callers.user(&format!("student-{number}"));
        let tried = |begun, failure: Option<&_>| seen.tried(Service::Invitations, begun, failure);
        let redeemed = redeem(&student, class.request(number), tried).await;
        let redeemed = redeemed.unwrap();
        assert_eq!(redeemed.outcome(), RedemptionOutcome::Admitted);
        seen.admitted
            .lock()
            .unwrap()
            .insert(number, redeemed.redemption);
    }
}

/// Reads from membership on one connection, until the end.
async fn read_on(callers: Callers, seen: Arc<Seen>) {
    let mut teacher = callers.user("teacher");
    while !seen.over.load(Ordering::Relaxed) {
        let begun = Instant::now();
        let request = GetOrganizationRequest {
            name: "organizations/hamilton".to_owned(),
        };
        let read = teacher.organizations.get_organization(request);
        let Ok(read) = tokio::time::timeout(Duration::from_secs(CALL_SECONDS), read).await else {
            continue;
        };
        seen.tried(Service::Membership, begun, read.as_ref().err());
        if read.is_ok() {
            seen.reads.fetch_add(1, Ordering::Relaxed);
        } else {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn restarted_under_load(engine: Engine) {
    let mut processes = Processes::start(engine).await;
    let class = Arc::new(OpenClass::create(&processes, STUDENTS).await);
    let seen = Arc::new(Seen {
        waiting: Semaphore::new(0),
        admitted: Mutex::default(),
        taken: Mutex::default(),
        reads: AtomicUsize::new(0),
        next: AtomicUsize::new(0),
        over: AtomicBool::new(false),
    });
    let load: Vec<_> = (0..REDEEMERS)
        .map(|_| tokio::spawn(redeem_on(processes.callers(), class.clone(), seen.clone())))
        .chain((0..READERS).map(|_| tokio::spawn(read_on(processes.callers(), seen.clone()))))
        .collect();

    // When each service is stopped and restarted in turn while students redeem,
    let mut stops = Vec::new();
    for _ in 0..ROUNDS {
        for service in [Service::Invitations, Service::Membership] {
            let come = stops.len() * STUDENTS_A_TIME;
            seen.students_come(come + ANSWERS_BEFORE).await;
            let before = Instant::now();
            processes.order_stop(service);
            let ordered = before..=Instant::now();
            let status = processes
                .ended(service, Duration::from_secs(STOP_SECONDS))
                .await;
            assert!(status.success(), "{service:?} ended with {status}");
            stops.push(Stop {
                of: service,
                ordered,
                ended: Instant::now(),
            });
            processes.launch(service).await;
        }
    }
    seen.students_come(STUDENTS).await;
    seen.waiting.close();
    seen.over.store(true, Ordering::Relaxed);
    for one in load {
        one.await.unwrap();
    }

    // then every accepted call that met a stop got the service's own answer,
    let taken = std::mem::take(&mut *seen.taken.lock().unwrap());
    for stop in &stops {
        let cut_short: Vec<_> = taken
            .iter()
            .filter(|call| stop.met(call))
            .filter_map(|call| call.cut_short.as_ref())
            .collect();
        assert!(cut_short.is_empty(), "{:?}: {cut_short:#?}", stop.of);
    }
    // and the orders to stop came in the middle of some calls,
    for service in [Service::Invitations, Service::Membership] {
        let of_service = stops.iter().filter(|stop| stop.of == service);
        let in_the_middle: usize = of_service
            .map(|stop| taken.iter().filter(|call| stop.came_within(call)).count())
            .sum();
        assert!(in_the_middle > 0, "{service:?} was only stopped while idle");
        println!("{service:?}: {in_the_middle} calls under way");
    }
    let reads = seen.reads.load(Ordering::Relaxed);
    assert!(reads > 0);
    println!(
        "{} redemptions and {reads} reads through {} restarts, none cut short",
        seen.admitted(),
        stops.len()
    );

    // every acknowledged answer is in the databases, and nothing else,
    let admitted = std::mem::take(&mut *seen.admitted.lock().unwrap());
    class.settled(&processes, admitted.len(), STUDENTS).await;

    // and the same request id gets the same answer.
    let callers = processes.callers();
    for (number, redemption) in admitted {
        let student = callers.user(&format!("student-{number}"));
        let again = redeem(&student, class.request(number), |_, _| {}).await;
        let again = again.unwrap();
        assert_eq!(again.outcome(), RedemptionOutcome::Admitted);
        assert_eq!(again.redemption, redemption);
    }
    processes.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_under_load_loses_no_acknowledged_answer_on_postgres() {
    restarted_under_load(Engine::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_under_load_loses_no_acknowledged_answer_on_sqlite() {
    restarted_under_load(Engine::Sqlite).await;
}
