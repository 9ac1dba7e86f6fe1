-- How the fields of an entity rest, so that a change of treatment is seen where the column's type does not show it.
ALTER TABLE hub.library_view ADD COLUMN treatments jsonb NOT NULL DEFAULT '{}';

-- Under which key a batch's rows are known, and a digest of what its contract promised: null in batches from before this was kept.
ALTER TABLE hub.batch ADD COLUMN contract_key text, ADD COLUMN contract_digest text;
