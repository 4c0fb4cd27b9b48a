-- Up to where each feed was pruned: all its events with a later position are kept. Both ids are empty for the feed of
-- every organization, the class's for that of an organization. create_time is that of the last one pruned, in
-- microseconds since 1970-01-01 UTC.
CREATE TABLE pruned_events (
    organization_id TEXT COLLATE "C" NOT NULL,
    class_id        TEXT COLLATE "C" NOT NULL,
    position        BIGINT NOT NULL,
    create_time     BIGINT NOT NULL,
    PRIMARY KEY (organization_id, class_id)
);
