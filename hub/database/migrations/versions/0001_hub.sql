CREATE SCHEMA IF NOT EXISTS staging;
GRANT USAGE ON SCHEMA hub TO hub_writer, hub_reader, hub_auditor;
GRANT USAGE, CREATE ON SCHEMA staging TO hub_writer;

CREATE TABLE hub.batch (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  dataset text NOT NULL,
  state text NOT NULL CHECK (state IN ('planned', 'staged', 'held', 'published', 'discarded', 'withdrawn')),
  started_by text NOT NULL,
  started_at timestamptz NOT NULL DEFAULT now(),
  ended_at timestamptz,
  reason text,
  cursor_field text,
  cursor_after text,
  cursor_until text,
  snapshot text,
  contract_version integer NOT NULL,
  policy_version integer NOT NULL,
  code_version text NOT NULL,
  protection text NOT NULL,
  counts jsonb NOT NULL DEFAULT '{}',
  seconds jsonb NOT NULL DEFAULT '{}',
  source_checksum text,
  target_checksum text,
  gate jsonb,
  docs text
);
CREATE INDEX batch_of_dataset ON hub.batch (dataset, id DESC);

CREATE TABLE hub.batch_check (
  batch bigint NOT NULL REFERENCES hub.batch,
  position integer NOT NULL,
  check_id text NOT NULL,
  rule text NOT NULL,
  fields text[] NOT NULL,
  severity text NOT NULL,
  title_zh text NOT NULL,
  title_en text NOT NULL,
  judged bigint NOT NULL,
  failing bigint NOT NULL,
  PRIMARY KEY (batch, check_id)
);

CREATE TABLE hub.watermark (
  dataset text PRIMARY KEY,
  cursor text,
  protection text NOT NULL,
  batch bigint NOT NULL REFERENCES hub.batch
);

CREATE TABLE hub.library_version (
  library text NOT NULL,
  version integer NOT NULL CHECK (version > 0),
  made_at timestamptz NOT NULL DEFAULT now(),
  cause text NOT NULL CHECK (cause IN ('publish', 'withdrawal', 'authority', 'erasure', 'epoch')),
  batch bigint REFERENCES hub.batch,
  PRIMARY KEY (library, version)
);

CREATE TABLE hub.authority (
  library text NOT NULL,
  entity text NOT NULL,
  field text NOT NULL,
  dataset text NOT NULL,
  rank integer NOT NULL,
  basis text NOT NULL,
  since integer NOT NULL,
  until integer,
  PRIMARY KEY (library, entity, field, dataset, since)
);

CREATE TABLE hub.library_view (
  library text NOT NULL,
  entity text NOT NULL,
  definition text NOT NULL,
  PRIMARY KEY (library, entity)
);

CREATE TABLE hub.quarantine (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  batch bigint NOT NULL REFERENCES hub.batch,
  dataset text NOT NULL,
  position bigint NOT NULL,
  row_key bytea,
  key_is_token boolean NOT NULL,
  checks text[] NOT NULL,
  sealed bytea NOT NULL,
  key_version integer NOT NULL,
  closed_by bigint REFERENCES hub.batch,
  UNIQUE (batch, position)
);
CREATE INDEX quarantine_open ON hub.quarantine (dataset, row_key) WHERE closed_by IS NULL;

CREATE TABLE hub.job (
  dataset text PRIMARY KEY,
  paused boolean NOT NULL,
  changed_by text NOT NULL,
  changed_at timestamptz NOT NULL DEFAULT now(),
  reason text
);

CREATE SCHEMA audit;
GRANT USAGE ON SCHEMA audit TO hub_writer, hub_auditor;
CREATE TABLE audit.entry (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  event text NOT NULL,
  actor text NOT NULL,
  details jsonb NOT NULL
);

GRANT SELECT, INSERT, UPDATE ON hub.batch, hub.watermark, hub.quarantine, hub.job TO hub_writer;
GRANT DELETE ON hub.quarantine TO hub_writer;
GRANT SELECT, INSERT ON hub.batch_check, hub.library_version TO hub_writer;
GRANT SELECT ON hub.authority, hub.library_view TO hub_writer;
GRANT SELECT ON hub.batch, hub.batch_check, hub.watermark, hub.library_version, hub.authority, hub.job TO hub_reader, hub_auditor;
GRANT SELECT ON hub.quarantine TO hub_reader;
-- The writer may add an audit entry and nothing else: it cannot even read them back (privacy rule 22).
GRANT INSERT (event, actor, details) ON audit.entry TO hub_writer;
GRANT SELECT ON audit.entry TO hub_auditor;

CREATE FUNCTION audit.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'audit entries are never changed';
END $$;
CREATE TRIGGER entry_is_append_only BEFORE UPDATE OR DELETE ON audit.entry FOR EACH ROW EXECUTE FUNCTION audit.refuse();
CREATE TRIGGER entry_is_not_emptied BEFORE TRUNCATE ON audit.entry FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse();

-- Whether a table is nothing but columns, constant defaults and indexes over built-in functions. Views, rules, triggers,
-- policies, checks and functions in an index or a default would run with the rights of whoever owns the table.
CREATE FUNCTION hub.is_plain(p_table regclass) RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT c.relkind = 'r' AND c.relpersistence = 'p' AND c.relacl IS NULL AND c.reloftype = 0
    AND NOT (c.relrowsecurity OR c.relforcerowsecurity)
    AND NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = c.oid AND (attacl IS NOT NULL OR attgenerated <> '' OR attidentity <> ''))
    AND NOT EXISTS (SELECT FROM pg_rewrite WHERE ev_class = c.oid)
    AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = c.oid)
    AND NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = c.oid)
    AND NOT EXISTS (SELECT FROM pg_constraint WHERE c.oid IN (conrelid, confrelid))
    AND NOT EXISTS (SELECT FROM pg_inherits WHERE c.oid IN (inhrelid, inhparent))
    -- What PostgreSQL brings itself is pinned and not listed here, so anything listed is somebody's own.
    AND NOT EXISTS (
      SELECT FROM pg_depend d WHERE d.refclassid <> 'pg_class'::regclass AND d.deptype <> 'i' AND (
        (d.classid = 'pg_attrdef'::regclass AND d.objid IN (SELECT oid FROM pg_attrdef WHERE adrelid = c.oid))
        OR (d.classid = 'pg_class'::regclass AND d.objid IN (SELECT indexrelid FROM pg_index WHERE indrelid = c.oid)))
    )
  FROM pg_class c WHERE c.oid = p_table
$$;

-- The only DDL that a writer can cause: an empty library table is replaced by a staged one of the same columns.
CREATE FUNCTION hub.adopt(p_library text, p_entity text, p_table text, p_staged text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  filled boolean;
  differing integer;
  view_definition text;
BEGIN
  SELECT definition INTO STRICT view_definition FROM hub.library_view WHERE library = p_library AND entity = p_entity;
  IF starts_with(p_table, p_entity || '__') IS NOT TRUE THEN
    RAISE EXCEPTION 'table % is not of entity %', p_table, p_entity;
  END IF;
  EXECUTE format('LOCK TABLE %I.%I, staging.%I IN ACCESS EXCLUSIVE MODE', p_library, p_table, p_staged);
  IF NOT hub.is_plain(format('staging.%I', p_staged)::regclass) THEN
    RAISE EXCEPTION 'staged table % is more than a table', p_staged;
  END IF;
  EXECUTE format('SELECT EXISTS (SELECT FROM %I.%I)', p_library, p_table) INTO filled;
  IF filled THEN
    RAISE EXCEPTION 'table %.% is not empty', p_library, p_table;
  END IF;
  SELECT count(*) INTO differing FROM (
    SELECT attname, atttypid FROM pg_attribute
    WHERE attrelid = format('%I.%I', p_library, p_table)::regclass AND attnum > 0 AND NOT attisdropped
  ) target FULL JOIN (
    SELECT attname, atttypid FROM pg_attribute
    WHERE attrelid = format('staging.%I', p_staged)::regclass AND attnum > 0 AND NOT attisdropped
  ) staged USING (attname, atttypid)
  WHERE target.attname IS NULL OR staged.attname IS NULL;
  IF differing > 0 THEN
    RAISE EXCEPTION 'staged columns of %.% differ', p_library, p_table;
  END IF;
  EXECUTE format('ALTER TABLE staging.%I OWNER TO hub_owner', p_staged);
  EXECUTE format('ALTER TABLE %I.%I RENAME TO %I', p_library, p_table, p_staged);
  EXECUTE format('ALTER TABLE staging.%I RENAME TO %I', p_staged, p_table);
  EXECUTE format('ALTER TABLE staging.%I SET SCHEMA %I', p_table, p_library);
  EXECUTE format('REVOKE ALL ON %I.%I FROM PUBLIC, hub_writer', p_library, p_table);
  EXECUTE format('GRANT SELECT, INSERT, DELETE ON %I.%I TO hub_writer', p_library, p_table);
  IF p_table = p_entity || '__key' THEN
    EXECUTE format('GRANT UPDATE (current) ON %I.%I TO hub_writer', p_library, p_table);
  END IF;
  EXECUTE format('GRANT SELECT ON %I.%I TO hub_reader', p_library, p_table);
  EXECUTE format('CREATE OR REPLACE VIEW %I.%I AS %s', p_library, p_entity, view_definition);
  EXECUTE format('DROP TABLE %I.%I', p_library, p_staged);
END $$;
REVOKE ALL ON FUNCTION hub.is_plain, hub.adopt FROM PUBLIC;
GRANT EXECUTE ON FUNCTION hub.adopt TO hub_writer;
