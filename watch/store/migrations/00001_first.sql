-- +goose Up
-- Times are nanoseconds since 1970 UTC, 0 for none; durations are nanoseconds.
-- Lists, maps, more and notes are JSON, '' when empty.

-- more is what few alarms have: a column that is read for a million alarms at
-- the start costs a third of a second.
CREATE TABLE alarm (
  id              INTEGER PRIMARY KEY AUTOINCREMENT,
  revision        INTEGER NOT NULL,
  project         TEXT    NOT NULL,
  name            TEXT    NOT NULL,
  namespace       TEXT    NOT NULL,
  metric          TEXT    NOT NULL,
  dimensions      TEXT    NOT NULL,
  statistic       TEXT    NOT NULL,
  period          INTEGER NOT NULL,
  periods         INTEGER NOT NULL,
  threshold       REAL    NOT NULL,
  comparison      TEXT    NOT NULL,
  missing         TEXT    NOT NULL,
  actions_enabled INTEGER NOT NULL,
  on_alarm        TEXT    NOT NULL,
  stack           TEXT    NOT NULL,
  matching        TEXT    NOT NULL,
  origin          TEXT    NOT NULL,
  file            TEXT    NOT NULL,
  created         INTEGER NOT NULL,
  updated         INTEGER NOT NULL,
  more            TEXT    NOT NULL,
  UNIQUE (project, name)
);

-- Beside alarm, because it changes with each transition and its row is short.
CREATE TABLE state (
  alarm_id INTEGER PRIMARY KEY,
  state    TEXT    NOT NULL,
  number   INTEGER NOT NULL,
  since    INTEGER NOT NULL,
  reason   TEXT    NOT NULL,
  data     TEXT    NOT NULL
);

-- The history. It names alarms, and outlives them.
--
-- A storm writes a million of them, in no order of the alarms: an index in
-- which each would have a page of its own costs more than all else. home is a
-- number of the project, and place one of 512 shares of the alarms, by project
-- and name: in their indexes each grows at its end, and a query of an alarm
-- reads its share. data of a transition is short, not what is told of it.
CREATE TABLE event (
  id      INTEGER PRIMARY KEY,
  at      INTEGER NOT NULL,
  kind    TEXT    NOT NULL,
  project TEXT    NOT NULL,
  alarm   TEXT    NOT NULL,
  home    INTEGER NOT NULL,
  place   INTEGER NOT NULL,
  target  TEXT    NOT NULL,
  row_key TEXT    NOT NULL,
  summary TEXT    NOT NULL,
  data    TEXT    NOT NULL
);
CREATE INDEX event_of_project ON event (home);
CREATE INDEX event_of_alarm ON event (place);
CREATE INDEX event_of_target ON event (target) WHERE target <> '';
CREATE INDEX event_of_row ON event (row_key) WHERE row_key <> '';

-- Actions wanted. What comes before born never changes; notes is what no query
-- asks for and few rows have. stage is what status says in numbers, for the
-- indexes: 0 in flight, 1 not in flight, 2 ended. made is 0 of what a transition
-- wants, which is written with it, once: nobody need look whether it is there.
--
-- As of the history: what a storm writes goes to the ends of its indexes. That
-- of all actions of an alarm has shares of 4,096 alarms.
CREATE TABLE outbox (
  id       INTEGER PRIMARY KEY,
  row_key  TEXT    NOT NULL,
  made     INTEGER NOT NULL,
  rough    INTEGER NOT NULL,
  object   TEXT    NOT NULL,
  alarm_id INTEGER NOT NULL,
  project  TEXT    NOT NULL,
  alarm    TEXT    NOT NULL,
  revision INTEGER NOT NULL,
  number   INTEGER NOT NULL,
  was      TEXT    NOT NULL,
  state    TEXT    NOT NULL,
  at       INTEGER NOT NULL,
  reason   TEXT    NOT NULL,
  data     TEXT    NOT NULL,
  position INTEGER NOT NULL,
  repeated INTEGER NOT NULL,
  action   TEXT    NOT NULL,
  origin   TEXT    NOT NULL,
  stack    TEXT    NOT NULL,
  target   TEXT    NOT NULL,
  span     INTEGER NOT NULL,
  born     INTEGER NOT NULL,
  status   TEXT    NOT NULL,
  stage    INTEGER NOT NULL,
  next     INTEGER NOT NULL,
  claim    TEXT    NOT NULL,
  lease    INTEGER NOT NULL,
  began    INTEGER NOT NULL,
  gate     TEXT    NOT NULL,
  why      TEXT    NOT NULL,
  since    INTEGER NOT NULL,
  forgiven INTEGER NOT NULL,
  notes    TEXT    NOT NULL
);
CREATE INDEX outbox_due ON outbox (stage, next);
CREATE UNIQUE INDEX outbox_made ON outbox (row_key) WHERE made;
CREATE INDEX outbox_of_alarm ON outbox (alarm_id / 4096);
CREATE INDEX outbox_messages ON outbox (alarm_id, number, repeated) WHERE NOT rough AND stage < 2;
CREATE INDEX outbox_begun ON outbox (began) WHERE began > 0;
CREATE INDEX outbox_of_object ON outbox (object) WHERE began > 0;
CREATE INDEX outbox_given_up ON outbox (alarm_id, number) WHERE rough AND status = 'gave-up';

CREATE TABLE suspension (
  id      INTEGER PRIMARY KEY AUTOINCREMENT,
  scope   TEXT    NOT NULL,
  project TEXT    NOT NULL,
  name    TEXT    NOT NULL,
  owner   TEXT    NOT NULL,
  reason  TEXT    NOT NULL,
  since   INTEGER NOT NULL,
  until   INTEGER NOT NULL
);

CREATE TABLE access_key (
  access  TEXT    PRIMARY KEY,
  secret  TEXT    NOT NULL,
  project TEXT    NOT NULL,
  stack   TEXT    NOT NULL,
  role    TEXT    NOT NULL,
  created INTEGER NOT NULL,
  expires INTEGER NOT NULL,
  revoked INTEGER NOT NULL
);

-- Which alarms a key has fed: what may be alive when a push of that key is refused.
CREATE TABLE key_alarm (
  access   TEXT    NOT NULL,
  alarm_id INTEGER NOT NULL,
  PRIMARY KEY (access, alarm_id)
) WITHOUT ROWID;
CREATE INDEX key_of_alarm ON key_alarm (alarm_id);

-- For how long pushes of a key have been refused, since one was taken last.
CREATE TABLE refused_key (
  access TEXT    PRIMARY KEY,
  lasted INTEGER NOT NULL
) WITHOUT ROWID;

-- When a write was last tried, so that it is known at once when none is possible.
CREATE TABLE probe (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  at INTEGER NOT NULL
);
