"""Use cases, one module per noun: each composes the folders, commits, and records."""
