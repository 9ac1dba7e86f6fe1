-- From which version on the history of a contribution is whole; a contribution without a row is whole from the beginning.
CREATE TABLE hub.history_kept (
  library text NOT NULL,
  entity text NOT NULL,
  dataset text NOT NULL,
  oldest integer NOT NULL,
  PRIMARY KEY (library, entity, dataset)
);

-- A legal hold: of one dataset, or of the subjects listed beside it.
CREATE TABLE hub.hold (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  dataset text,
  reason text NOT NULL,
  legal_basis text NOT NULL,
  placed_by text NOT NULL,
  placed_at timestamptz NOT NULL DEFAULT now(),
  released_by text,
  released_at timestamptz,
  release_reason text
);
CREATE TABLE hub.held_subject (
  hold bigint NOT NULL REFERENCES hub.hold,
  library text NOT NULL,
  entity text NOT NULL,
  subject bigint NOT NULL,
  PRIMARY KEY (hold, library, entity, subject)
);

CREATE TABLE hub.erasure (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  domain text NOT NULL,
  requester text NOT NULL,
  approver text NOT NULL,
  recorded_by text NOT NULL,
  reason text NOT NULL,
  legal_basis text NOT NULL,
  counts jsonb NOT NULL DEFAULT '{}',
  lifted_at timestamptz,
  lifted_by text
);
-- By a mark a later sync knows whom it must not bring back. It is made under a key of its own, in the keyring, from the
-- identifier itself: it joins nothing, and survives a rotation of tokens.
CREATE TABLE hub.suppression (
  mark bytea NOT NULL,
  key_version integer NOT NULL,
  domain text NOT NULL,
  erasure bigint NOT NULL REFERENCES hub.erasure,
  PRIMARY KEY (mark, domain)
);
CREATE TABLE hub.tombstone (
  library text NOT NULL,
  entity text NOT NULL,
  subject bigint NOT NULL,
  erasure bigint NOT NULL REFERENCES hub.erasure,
  founded integer NOT NULL,
  version integer NOT NULL,
  PRIMARY KEY (library, entity, subject)
);
-- Tables whose files may still hold what was removed, until the owner has written them anew.
CREATE TABLE hub.rewrite (
  library text NOT NULL,
  name text NOT NULL,
  PRIMARY KEY (library, name)
);

GRANT SELECT, INSERT, UPDATE, DELETE ON hub.history_kept, hub.hold, hub.held_subject, hub.erasure, hub.suppression, hub.tombstone, hub.rewrite
  TO hub_writer;
GRANT SELECT ON hub.history_kept, hub.hold, hub.held_subject, hub.erasure, hub.tombstone, hub.rewrite TO hub_reader, hub_auditor;
