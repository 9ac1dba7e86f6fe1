"""The hub's own PostgreSQL: the embedded server or another, its roles, connections and migrations."""
