-- The columns and types that a batch saw at its source, and what of them was new (schemas/shapes.py).
ALTER TABLE hub.batch ADD COLUMN shape jsonb, ADD COLUMN drift jsonb NOT NULL DEFAULT '[]';
