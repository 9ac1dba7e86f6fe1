-- A life of this database between two recoveries. The random id tells it from every other, a restored older one included.
CREATE TABLE hub.epoch (
  number integer PRIMARY KEY CHECK (number > 0),
  id uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
  opened_at timestamptz NOT NULL DEFAULT now(),
  opened_by text NOT NULL,
  reason text NOT NULL,
  replaces uuid  -- the epoch that was in force when this one was opened, where the restored database did not know it
);
INSERT INTO hub.epoch (number, opened_by, reason) VALUES (1, 'hub', 'the first');

-- What a recovery left of each library: versions up to `kept` stand, those between `kept` and `first` were lost.
CREATE TABLE hub.library_epoch (
  library text NOT NULL,
  epoch integer NOT NULL REFERENCES hub.epoch,
  kept integer NOT NULL CHECK (kept >= 0),
  first integer NOT NULL CHECK (first > kept),
  PRIMARY KEY (library, epoch)
);
ALTER TABLE hub.library_version DROP CONSTRAINT library_version_cause_check;
ALTER TABLE hub.library_version ADD CONSTRAINT library_version_cause_check
  CHECK (cause IN ('publish', 'withdrawal', 'authority', 'erasure', 'epoch', 'recovery'));

-- Written by `hub restore` into the copy before it is put in place, so that no restored database is ever without it.
CREATE TABLE hub.restoration (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  backup text NOT NULL,
  restored_at timestamptz NOT NULL DEFAULT now(),
  recovered_in integer REFERENCES hub.epoch
);

-- By which the keys in HUB_KEYS are recognised as those that this database was written with; tells nothing of them.
CREATE TABLE hub.key_check (
  purpose text NOT NULL,
  version integer NOT NULL,
  value bytea NOT NULL,
  PRIMARY KEY (purpose, version)
);

GRANT SELECT ON hub.epoch, hub.library_epoch, hub.restoration, hub.key_check TO hub_writer, hub_reader, hub_auditor;
GRANT INSERT ON hub.key_check TO hub_writer;
