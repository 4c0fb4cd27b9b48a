-- The folder of `homeroom webhooks`. Times are microseconds since the epoch.

-- Where the reading of a feed for an endpoint stands.
CREATE TABLE positions (
  endpoint_id TEXT NOT NULL,
  feed TEXT NOT NULL,
  parent TEXT NOT NULL,
  -- The `next_page_token` to resume from; empty: the oldest event kept.
  page_token TEXT NOT NULL,
  -- Events of an earlier time are read and not delivered.
  since_time INTEGER NOT NULL,
  -- The time of the last event read.
  last_time INTEGER NOT NULL,
  PRIMARY KEY (endpoint_id, feed, parent)
) STRICT;

-- What is to be delivered, and what was given up. A row that was delivered is deleted.
CREATE TABLE deliveries (
  -- In the order in which they were recorded, which is that of a lane.
  delivery_id INTEGER PRIMARY KEY AUTOINCREMENT,
  endpoint_id TEXT NOT NULL,
  feed TEXT NOT NULL,
  -- The class, or the organization of an event that concerns no class.
  lane TEXT NOT NULL,
  event_id TEXT NOT NULL,
  event_type TEXT NOT NULL,
  body TEXT NOT NULL,
  failed_attempts INTEGER NOT NULL,
  next_attempt_time INTEGER NOT NULL,
  -- Why the last attempt failed; empty before the first.
  cause TEXT NOT NULL,
  -- Set for a dead letter.
  dead_time INTEGER,
  UNIQUE (endpoint_id, event_id)
) STRICT;
CREATE INDEX deliveries_waiting ON deliveries (endpoint_id, lane, delivery_id, next_attempt_time) WHERE dead_time IS NULL;
CREATE INDEX deliveries_of_feed ON deliveries (endpoint_id, feed) WHERE dead_time IS NULL;
CREATE INDEX deliveries_dead ON deliveries (endpoint_id, delivery_id) WHERE dead_time IS NOT NULL;

-- The endpoints that answered 410 Gone.
CREATE TABLE disabled_endpoints (
  endpoint_id TEXT PRIMARY KEY,
  disable_time INTEGER NOT NULL
) STRICT;
