//! `homeroom webhooks` beside `homeroom serve`, run as the installed binary, with a receiver over HTTP.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on stops where it stands"
)]

mod receiver;
#[path = "../served/mod.rs"]
mod served;

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use receiver::{Receiver, SECRET};
use serde_json::{Value, json};
use served::{Served, TEACHER, folder, homeroom, printed, succeeds, text};
use sqlx::{ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

/// The longest time that a test waits for an expected condition.
const EVENTUALLY: Duration = Duration::from_mins(1);
const STUDENT: [&str; 2] = ["--user", "student"];
const PLATFORM: [&str; 4] = ["--user", "platform", "--scope", "homeroom.platform"];

/// A process that is killed when it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
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

/// Both services, with a folder for a relay beside their data.
struct World {
    served: Served,
    folder: TempDir,
}

impl World {
    fn start() -> Self {
        let (folder, data) = folder();
        let served = Served::start(&data);
        Self { served, folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Calls a method that must succeed.
    fn call(&self, method: &str, request: &Value, holder: &[&str]) {
        self.served.ask(method, request, holder).unwrap();
    }

    /// Gives the class `biology` another name.
    fn rename_class(&self, name: &str) {
        let class = "organizations/hamilton/classes/biology";
        let update =
            json!({"class": {"name": class, "displayName": name}, "updateMask": "displayName"});
        self.call("ClassService/UpdateClass", &update, &TEACHER);
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
        relay.args(["--membership", &self.served.membership]);
        relay.args(["--invitations", &self.served.invitations]);
        relay
    }

    fn start_relay(&self) -> Running {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.path("relay.log"));
        let mut relay = self.relay();
        relay.stdout(Stdio::piped()).stderr(log.unwrap());
        let mut running = Running(relay.spawn().unwrap());
        let mut lines = BufReader::new(running.0.stdout.take().unwrap()).lines();
        let line = lines.next().unwrap().unwrap();
        assert!(line.starts_with("delivering to 1 endpoints"), "{line}");
        running
    }

    /// Runs a command on the relay's folder.
    fn webhooks(&self, arguments: &[&str]) -> String {
        let mut command = homeroom(&["webhooks"]);
        let relay = self.path("relay");
        command.args(arguments).args(["--data", text(&relay)]);
        succeeds(command)
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
    let code = world.served.school();
    world.write_token("no.access.token");
    let _relay = world.start_relay();
    // The relay goes on when its token is replaced; what was there before its first start is not delivered.
    eventually("a refused token in the log", || {
        world
            .log()
            .contains("the feed cannot be read")
            .then_some(())
    });
    world.write_token(&world.served.token(&PLATFORM));
    eventually("positions in both feeds", || {
        let again = world.log().matches("the feed is read again").count();
        (again == 2).then_some(())
    });
    let redeem = "RedemptionService/Redeem";
    let request = json!({"credential": code});
    world.call(redeem, &request, &STUDENT);
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
    world.write_token(&world.served.token(&PLATFORM));
    world.served.school();
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
    world.rename_class("Biology 2");
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
    world.write_token(&world.served.token(&PLATFORM));
    world.served.school();
    let relay = world.start_relay();
    receiver.wait_for("class.created", 1);
    drop(relay);
    // Given a relay that is away while events behind its position are made and deleted, all but the newest,
    for name in ["Biology 2", "Biology 3"] {
        world.rename_class(name);
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
    world.write_token(&world.served.token(&PLATFORM));
    world.served.school();
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
    world.rename_class("Biology 2");
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
