"""Base libraries: what each department contributed, and what the library makes of it."""
