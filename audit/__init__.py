"""Proof: what happened, who did it, on whose authority. Entries are added in the effect's own transaction."""
