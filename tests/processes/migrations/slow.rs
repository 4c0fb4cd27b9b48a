//! A migration may take longer than a statement of a call: no limit ends it.

use homeroom_tests::processes::Service;

use super::{Target, migrated};

/// Records the limit under which each statement changes a table that existed before its migration.
const LIMITS: &str = "
    CREATE SCHEMA faults;
    CREATE TABLE faults.made (relation OID, transaction XID8);
    CREATE TABLE faults.limits (statement TEXT, statement_timeout TEXT);
    CREATE FUNCTION faults.note() RETURNS event_trigger LANGUAGE plpgsql AS $$
    DECLARE command RECORD;
    BEGIN
        FOR command IN SELECT * FROM pg_event_trigger_ddl_commands() LOOP
            IF command.command_tag = 'CREATE TABLE' THEN
                INSERT INTO faults.made VALUES (command.objid, pg_current_xact_id());
            ELSIF command.command_tag IN ('ALTER TABLE', 'CREATE INDEX') AND NOT EXISTS (
                SELECT FROM faults.made WHERE transaction = pg_current_xact_id() AND relation IN
                (command.objid, (SELECT indrelid FROM pg_index WHERE indexrelid = command.objid))
            ) THEN
                INSERT INTO faults.limits VALUES (command.object_identity, current_setting('statement_timeout'));
            END IF;
        END LOOP;
    END $$;
    CREATE EVENT TRIGGER faults ON ddl_command_end EXECUTE FUNCTION faults.note();";

async fn takes_its_time(service: Service) {
    let mut target = Target::create(service).await;
    target.execute(LIMITS.to_owned()).await;
    migrated(service, &target.url);
    // When a schema in use is migrated, no statement is cancelled for being slow.
    let query = "SELECT statement, statement_timeout FROM faults.limits";
    let limits: Vec<(String, String)> = sqlx::query_as(query)
        .fetch_all(&mut target.connection)
        .await
        .unwrap();
    assert!(!limits.is_empty());
    assert!(limits.iter().all(|(_, limit)| limit == "0"), "{limits:?}");
    target.drop_all().await;
}

#[tokio::test]
async fn a_migration_of_membership_may_take_longer_than_a_statement_of_a_call() {
    takes_its_time(Service::Membership).await;
}

#[tokio::test]
async fn a_migration_of_invitations_may_take_longer_than_a_statement_of_a_call() {
    takes_its_time(Service::Invitations).await;
}
