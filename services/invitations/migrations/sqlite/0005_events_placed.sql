-- An event is written once here, with its position: only the events of classes need the index of classes.
CREATE INDEX events_placed_by_class ON events (organization_id, class_id, position) WHERE class_id IS NOT NULL;
DROP INDEX events_by_class;
