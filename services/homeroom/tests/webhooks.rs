//! `homeroom webhooks` beside `homeroom serve`, run as the installed binary, with a receiver over HTTP.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on stops where it stands"
)]

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use aws_lc_rs::hmac;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use sqlx::{ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

/// The longest time that a test waits for an expected condition.
const EVENTUALLY: Duration = Duration::from_mins(1);
/// The bytes of the secret.
const SECRET: [u8; 32] = [7; 32];
const STUDENT: [&str; 2] = ["--user", "student"];
const TEACHER: [&str; 2] = ["--user", "teacher"];
const PLATFORM: [&str; 4] = ["--user", "platform", "--scope", "homeroom.platform"];

/// A process that is killed when it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn homeroom(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_homeroom"));
    command.args(arguments);
    command
}

fn printed(output: &Output) -> String {
    let printed = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8(printed).unwrap()
}

/// Returns what a command that must succeed prints.
fn succeeds(arguments: &[&str]) -> String {
    let output = homeroom(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        printed(&output)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Waits until `found` returns a value.
fn eventually<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(begun.elapsed() < EVENTUALLY, "not within a minute: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// Starts a command and returns the first lines that it prints.
fn start(mut command: Command, log: &Path, lines: usize) -> (Running, Vec<String>) {
    let log = File::options().create(true).append(true).open(log);
    command.stdout(Stdio::piped()).stderr(log.unwrap());
    let mut running = Running(command.spawn().unwrap());
    let output = BufReader::new(running.0.stdout.take().unwrap()).lines();
    let printed: Vec<String> = output.take(lines).map(Result::unwrap).collect();
    assert_eq!(printed.len(), lines, "it has not started: {printed:?}");
    (running, printed)
}

/// A webhook as it was received.
#[derive(Clone)]
struct Received {
    head: String,
    body: String,
}

impl Received {
    fn header(&self, name: &str) -> &str {
        let start = format!("{name}: ");
        let mut lines = self.head.lines();
        let found = lines.find_map(|line| line.strip_prefix(&start));
        found.unwrap_or_else(|| panic!("no {name}: {}", self.head))
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn is_signed(&self) -> bool {
        let (id, time) = (self.header("webhook-id"), self.header("webhook-timestamp"));
        let signed = format!("{id}.{time}.{}", self.body);
        let signature = self
            .header("webhook-signature")
            .strip_prefix("v1,")
            .unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &SECRET);
        let tag = BASE64_STANDARD.decode(signature).unwrap();
        hmac::verify(&key, signed.as_bytes(), &tag).is_ok()
    }
}

/// A receiver, which answers all webhooks with one status and keeps them.
struct Receiver {
    port: u16,
    status: Arc<AtomicU16>,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Receiver {
    fn start(status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let receiver = Self {
            port: listener.local_addr().unwrap().port(),
            status: Arc::new(AtomicU16::new(status)),
            received: Arc::default(),
        };
        let (status, kept) = (Arc::clone(&receiver.status), Arc::clone(&receiver.received));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                let webhook = receive(&stream);
                kept.lock().unwrap().push(webhook);
                let status = status.load(Ordering::SeqCst);
                let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\n\r\n");
                (&stream).write_all(answer.as_bytes()).unwrap();
            }
        });
        receiver
    }

    fn answer(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    /// Returns the webhooks of a type in the order in which they came.
    fn of(&self, kind: &str) -> Vec<Received> {
        let received = self.received.lock().unwrap();
        let of_kind = received.iter().filter(|one| one.json()["type"] == kind);
        of_kind.cloned().collect()
    }

    fn wait_for(&self, kind: &str, count: usize) -> Vec<Received> {
        eventually(&format!("{count} of {kind}"), || {
            Some(self.of(kind)).filter(|found| found.len() >= count)
        })
    }
}

fn receive(stream: &TcpStream) -> Received {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).unwrap() > 0, "{head}");
    }
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.unwrap().parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    let body = String::from_utf8(body).unwrap();
    Received { head, body }
}

/// Both services, with a folder for a relay beside their data.
struct World {
    _served: Running,
    membership: String,
    invitations: String,
    folder: TempDir,
}

impl World {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let any = "127.0.0.1:0";
        let mut serve = homeroom(&["serve", "--membership", any, "--invitations", any]);
        serve.arg("--data").arg(&data);
        let (served, lines) = start(serve, &folder.path().join("serve.log"), 2);
        let address = |line: &String| line.split_once("http://").unwrap().1.to_owned();
        Self {
            membership: address(&lines[0]),
            invitations: address(&lines[1]),
            _served: served,
            folder,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn token(&self, holder: &[&str]) -> String {
        let data = self.path("data");
        let mut arguments = vec!["token", "--data", data.to_str().unwrap()];
        arguments.extend(holder);
        succeeds(&arguments)
    }

    fn call(&self, address: &str, method: &str, request: &Value, holder: &[&str]) -> Value {
        let (request, token) = (request.to_string(), self.token(holder));
        let answer = succeeds(&["call", address, method, &request, "--token", &token]);
        serde_json::from_str(&answer).unwrap()
    }

    /// Creates the school `hamilton` with the class `biology`; returns the class's code.
    fn school(&self) -> String {
        let organization = json!({
            "organizationId": "hamilton", "organization": {"displayName": "Hamilton"}, "admin": "teacher"
        });
        let class = json!({
            "parent": "organizations/hamilton", "classId": "biology", "class": {"displayName": "Biology"}
        });
        let create = "OrganizationService/CreateOrganization";
        self.call(&self.membership, create, &organization, &PLATFORM);
        let create = "ClassService/CreateClass";
        self.call(&self.membership, create, &class, &TEACHER);
        let code = json!({"name": "organizations/hamilton/classes/biology/classCode"});
        let get = "ClassCodeService/GetClassCode";
        let code = self.call(&self.invitations, get, &code, &TEACHER);
        code["code"].as_str().unwrap().to_owned()
    }

    /// Writes the file of one endpoint, `crm`, and its secret.
    fn configure(&self, receiver: &Receiver, more: &Value) {
        let secret = format!("whsec_{}\n", BASE64_STANDARD.encode(SECRET));
        fs::write(self.path("crm.secret"), secret).unwrap();
        let mut endpoint = json!({
            "id": "crm", "url": format!("http://127.0.0.1:{}/hook", receiver.port), "secret_file": "crm.secret",
            "allow_private_networks": true
        });
        for (name, value) in more.as_object().unwrap() {
            endpoint[name] = value.clone();
        }
        let config = json!({"endpoints": [endpoint]});
        fs::write(self.path("webhooks.json"), config.to_string()).unwrap();
    }

    fn write_token(&self, token: &str) {
        fs::write(self.path("webhooks.token"), token).unwrap();
    }

    /// Returns the command that relays.
    fn relay(&self) -> Command {
        let mut relay = homeroom(&["webhooks", "run"]);
        relay.arg("--config").arg(self.path("webhooks.json"));
        relay.arg("--token-file").arg(self.path("webhooks.token"));
        relay.arg("--data").arg(self.path("relay"));
        relay.args(["--membership", &self.membership]);
        relay.args(["--invitations", &self.invitations]);
        relay
    }

    fn start_relay(&self) -> Running {
        let log = self.path("relay.log");
        let (relay, lines) = start(self.relay(), &log, 1);
        assert!(lines[0].starts_with("delivering to 1 endpoints"));
        relay
    }

    /// Runs a command on the relay's folder.
    fn webhooks(&self, arguments: &[&str]) -> String {
        let relay = self.path("relay");
        let arguments = [
            &["webhooks"],
            arguments,
            &["--data", relay.to_str().unwrap()],
        ];
        succeeds(&arguments.concat())
    }

    fn dead(&self) -> Vec<Value> {
        serde_json::from_str(&self.webhooks(&["dead", "--json"])).unwrap()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("relay.log")).unwrap()
    }
}

#[test]
fn a_student_who_joins_causes_signed_webhooks_of_both_services_without_a_secret() {
    let world = World::start();
    let receiver = Receiver::start(204);
    world.configure(&receiver, &json!({"organizations": ["hamilton"]}));
    let code = world.school();
    world.write_token("no.access.token");
    let _relay = world.start_relay();
    // The relay goes on when its token is replaced; what was there before its first start is not delivered.
    eventually("a refused token in the log", || {
        world
            .log()
            .contains("the feed cannot be read")
            .then_some(())
    });
    world.write_token(&world.token(&PLATFORM));
    eventually("positions in both feeds", || {
        let again = world.log().matches("the feed is read again").count();
        (again == 2).then_some(())
    });
    let redeem = "RedemptionService/Redeem";
    let request = json!({"credential": code});
    world.call(&world.invitations, redeem, &request, &STUDENT);
    let joined = receiver.wait_for("member.joined", 2);
    let committed = receiver.wait_for("redemption.committed", 1);
    let class = "organizations/hamilton/classes/biology";
    let of_class: Vec<_> = joined
        .iter()
        .filter(|one| one.json()["data"]["class"] == class)
        .collect();
    assert_eq!((joined.len(), of_class.len()), (2, 1));
    let event = of_class[0].json();
    assert_eq!(event["data"]["data"]["user"], "student");
    assert_eq!(event["timestamp"], event["data"]["createTime"]);
    assert_eq!(event["data"]["id"], of_class[0].header("webhook-id"));
    assert!(receiver.of("class.created").is_empty());
    let plain = code.replace('-', "");
    for webhook in joined.iter().chain(&committed) {
        assert!(webhook.is_signed(), "{}", webhook.head);
        let all = format!("{}{}", webhook.head, webhook.body);
        assert!(!all.contains(&code) && !all.contains(&plain), "{all}");
    }
}

#[test]
fn a_dead_letter_is_delivered_again_while_the_relay_runs_and_410_disables() {
    let world = World::start();
    let receiver = Receiver::start(500);
    world.configure(
        &receiver,
        &json!({"types": ["class.created", "class.updated"], "since": "2020-01-01T00:00:00Z", "retry_seconds": [1]}),
    );
    world.write_token(&world.token(&PLATFORM));
    world.school();
    let relay = world.start_relay();
    let letter = eventually("a dead letter", || world.dead().into_iter().next());
    assert_eq!(
        (&letter["endpoint"], &letter["type"]),
        (&json!("crm"), &json!("class.created"))
    );
    assert_eq!(letter["attempts"], 2);
    assert_eq!(letter["cause"], "it answered 500 Internal Server Error");
    assert_eq!(letter["payload"]["type"], "class.created");
    assert_eq!(receiver.of("class.created").len(), 2);

    receiver.answer(200);
    let id = letter["id"].to_string();
    assert_eq!(
        world.webhooks(&["redeliver", &id]),
        format!("{id} queued again")
    );
    let attempts = receiver.wait_for("class.created", 3);
    let ids: Vec<&str> = attempts
        .iter()
        .map(|one| one.header("webhook-id"))
        .collect();
    assert!(ids.iter().all(|id| *id == ids[0]));
    eventually("no failed delivery is left", || {
        (world.webhooks(&["redeliver", "--all"]) == "0 queued again").then_some(())
    });
    assert!(world.dead().is_empty());

    receiver.answer(410);
    let update = json!({
        "class": {"name": "organizations/hamilton/classes/biology", "displayName": "Biology 2"}, "updateMask": "displayName"
    });
    world.call(
        &world.membership,
        "ClassService/UpdateClass",
        &update,
        &TEACHER,
    );
    receiver.wait_for("class.updated", 1);
    receiver.answer(200);
    eventually("the endpoint is disabled", || {
        world.log().contains("410 Gone").then_some(())
    });
    // A new start finds it disabled, and delivers when it is enabled.
    drop(relay);
    let _relay = world.start_relay();
    assert_eq!(
        world.webhooks(&["enable", "crm"]),
        "crm is delivered to again"
    );
    receiver.wait_for("class.updated", 2);
}

/// Runs statements on a SQLite database that others have open.
fn change(database: &Path, sql: &'static str) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let options = SqliteConnectOptions::new().filename(database);
        let mut connection = options.connect().await.unwrap();
        let changed = sqlx::raw_sql(sql).execute(&mut connection).await;
        changed.unwrap();
        connection.close().await.unwrap();
    });
}

#[test]
fn f9_a_relay_whose_events_were_deleted_says_so_and_goes_on_with_the_oldest() {
    let world = World::start();
    let receiver = Receiver::start(200);
    world.configure(
        &receiver,
        &json!({"types": ["class.created", "class.updated"], "since": "2020-01-01T00:00:00Z"}),
    );
    world.write_token(&world.token(&PLATFORM));
    world.school();
    let relay = world.start_relay();
    receiver.wait_for("class.created", 1);
    drop(relay);
    // Given a relay that is away while events behind its position are made and deleted, all but the newest,
    for name in ["Biology 2", "Biology 3"] {
        let update = json!({
            "class": {"name": "organizations/hamilton/classes/biology", "displayName": name},
            "updateMask": "displayName"
        });
        let method = "ClassService/UpdateClass";
        world.call(&world.membership, method, &update, &TEACHER);
    }
    change(
        &world.path("data").join("membership.db"),
        "BEGIN IMMEDIATE; \
         DELETE FROM events WHERE position < (SELECT max(position) FROM events); \
         INSERT INTO pruned_events (organization_id, class_id, position, create_time) \
         SELECT '', '', position - 1, create_time FROM events; COMMIT",
    );
    // when it is back, then it says so and delivers what is kept.
    let _relay = world.start_relay();
    receiver.wait_for("class.updated", 1);
    let told = "events were deleted before they were read";
    assert_eq!(world.log().matches(told).count(), 1);
}

#[test]
fn r11_a_relay_ahead_of_a_restored_database_reads_its_feed_again() {
    let world = World::start();
    let receiver = Receiver::start(200);
    world.configure(
        &receiver,
        &json!({"types": ["class.created", "class.updated"], "since": "2020-01-01T00:00:00Z"}),
    );
    world.write_token(&world.token(&PLATFORM));
    world.school();
    let _relay = world.start_relay();
    receiver.wait_for("class.created", 1);
    // Given a database restored to a moment before the first event,
    change(
        &world.path("data").join("membership.db"),
        "DELETE FROM events",
    );
    eventually("the feed is read again", || {
        let told = "the feed is read from its beginning again";
        world.log().contains(told).then_some(())
    });
    // when an event gets a position that the relay has read, then it is delivered.
    let update = json!({
        "class": {"name": "organizations/hamilton/classes/biology", "displayName": "Biology 2"},
        "updateMask": "displayName"
    });
    world.call(
        &world.membership,
        "ClassService/UpdateClass",
        &update,
        &TEACHER,
    );
    receiver.wait_for("class.updated", 1);
}

#[test]
fn a_folder_has_one_relay_and_a_wrong_file_is_refused_with_every_mistake() {
    let world = World::start();
    let receiver = Receiver::start(200);
    world.configure(&receiver, &json!({}));
    world.write_token("");
    let _relay = world.start_relay();
    let refused = |command: &mut Command| {
        let output = command.output().unwrap();
        assert!(!output.status.success());
        printed(&output)
    };
    let said = refused(&mut world.relay());
    assert!(said.contains("`homeroom webhooks run`"), "{said}");
    world.configure(
        &receiver,
        &json!({"id": "A", "allow_private_networks": false}),
    );
    let said = refused(&mut world.relay());
    for mistake in ["endpoints[0].id: ", "endpoints[0].url: "] {
        assert!(said.contains(mistake), "{said}");
    }
}
