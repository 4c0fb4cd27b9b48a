//! Requirements on a server, the settings of a session on it, and the choice among several servers.

use std::time::Duration;

use homeroom_kit::database::{OpenError, Options, Url, connect_postgres};
use homeroom_membership::store;
use sqlx::{Connection as _, Executor as _, PgConnection};

use crate::support::Database;

/// Returns the URL of the same database for another user.
fn as_user(url: &str, user: &str) -> Url {
    let (_, server) = url.split_once('@').unwrap();
    Url::parse(&format!("postgres://{user}@{server}")).unwrap()
}

#[tokio::test]
async fn f5_a_session_is_set_by_statements_that_a_pooler_passes_on() {
    let database = Database::postgres().await;
    let options = Options {
        lock_timeout: Duration::from_millis(1_234),
        statement_timeout: Duration::from_millis(23_456),
        ..Options::default()
    };
    let pools = connect_postgres(&database.url, options).await.unwrap();
    let mut session = pools.write().await.unwrap();
    for (setting, expected) in [
        ("lock_timeout", "1234ms"),
        ("statement_timeout", "23456ms"),
        ("idle_in_transaction_session_timeout", "23456ms"),
        ("plan_cache_mode", "force_generic_plan"),
        ("enable_seqscan", "off"),
        ("enable_hashjoin", "off"),
        ("enable_mergejoin", "off"),
        ("jit", "off"),
    ] {
        let set: String = sqlx::query_scalar("SELECT current_setting($1)")
            .bind(setting)
            .fetch_one(session.connection())
            .await
            .unwrap();
        assert_eq!(set, expected, "{setting}");
    }
    session.rollback().await;
}

#[tokio::test]
async fn of_several_hosts_the_first_that_serves_is_used() {
    // Given several hosts of which the first ones do not answer,
    let database = Database::postgres().await;
    let (user, server) = database.postgres_url().split_once('@').unwrap();
    let url = Url::parse(&format!("{user}@127.0.0.1:1,127.0.0.1:2,{server}")).unwrap();

    // when a pool connects, then it writes to the one that does,
    let pools = connect_postgres(&url, Options::default()).await.unwrap();
    let mut sessions = Vec::new();
    for _ in 0..4 {
        sessions.push(pools.write().await.unwrap());
    }
    for session in sessions {
        session.commit("membership", "test").await.unwrap();
    }
    pools.close().await;

    // and if none answers, the error names each.
    let nobody = Url::parse(&format!("{user}@127.0.0.1:1,127.0.0.1:2/school")).unwrap();
    let options = Options {
        acquire_timeout: Duration::from_millis(50),
        ..Options::default()
    };
    let refused = connect_postgres(&nobody, options).await.unwrap_err();
    assert!(matches!(refused, OpenError::Silent { .. }), "{refused}");
    assert!(refused.to_string().contains("127.0.0.1:1, 127.0.0.1:2"));
}

#[tokio::test]
async fn f4_what_the_database_says_of_its_schema_is_told() {
    const MIGRATE: &str = "has `membership migrate` been run?";
    const STRANGER: &str = "homeroom_f4_stranger";
    let make = "DO $$ BEGIN CREATE ROLE homeroom_f4_stranger LOGIN; \
                EXCEPTION WHEN duplicate_object THEN NULL; END $$";
    #[rustfmt::skip]
    let cases = [
        ("ALTER TABLE _sqlx_migrations RENAME TO elsewhere", None, MIGRATE),
        ("ALTER TABLE _sqlx_migrations DROP COLUMN checksum CASCADE", None, MIGRATE),
        ("DELETE FROM _sqlx_migrations", None, MIGRATE),
        (make, Some(STRANGER), "permission denied for table _sqlx_migrations"),
        ("ALTER TABLE _sqlx_migrations ALTER COLUMN version TYPE TEXT", None, "cannot be used ("),
        ("BEGIN; LOCK TABLE _sqlx_migrations IN ACCESS EXCLUSIVE MODE", None, "canceling statement due to lock timeout"),
    ];
    for (change, user, expected) in cases {
        let database = Database::postgres().await;
        let url = database.postgres_url();
        // The connection holds the lock that it takes.
        let mut held = PgConnection::connect(url).await.unwrap();
        held.execute(change).await.unwrap();
        let url = user.map_or(database.url.clone(), |user| as_user(url, user));
        let options = Options {
            lock_timeout: Duration::from_millis(50),
            ..Options::default()
        };
        let store = store::open(&url, options, false).await.unwrap();
        let said = store.check_ready().await.unwrap_err().to_string();
        assert!(said.contains(expected), "{change}: {said}");
        assert_eq!(
            said.contains(MIGRATE),
            expected == MIGRATE,
            "{change}: {said}"
        );
        if let Some(user) = user {
            store.close().await;
            let give_up = format!("DROP OWNED BY {user}; DROP ROLE {user}");
            database.run(&give_up).await;
        }
    }
}

#[tokio::test]
async fn f6_a_database_that_cannot_keep_every_name_is_refused_before_anything_is_made() {
    let template = Database::postgres().await;
    for encoding in ["LATIN1", "SQL_ASCII", "EUC_CN"] {
        let name = format!(
            "homeroom_f6_{}_{}",
            std::process::id(),
            encoding.to_lowercase()
        );
        let create = format!(
            "CREATE DATABASE {name} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        );
        template.run(&create).await;
        let (before, _) = template.postgres_url().rsplit_once('/').unwrap();
        let url_text = format!("{before}/{name}");
        let url = Url::parse(&url_text).unwrap();

        let refused = store::open(&url, Options::default(), true).await;
        let refused = refused.unwrap_err();
        let said = refused.to_string();
        assert!(matches!(refused, OpenError::Encoding { .. }), "{said}");
        assert!(said.contains(&name) && said.contains(encoding), "{said}");
        let mut connection = PgConnection::connect(&url_text).await.unwrap();
        let tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'";
        let made = sqlx::query_scalar::<_, String>(tables).fetch_all(&mut connection);
        assert_eq!(made.await.unwrap(), [""; 0]);
        let end = format!("DROP DATABASE {name} WITH (FORCE)");
        template.run(&end).await;
    }
}
