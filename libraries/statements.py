"""Running SQL that is built from declared names (always quoted), never from values."""

import sqlalchemy as sa


def run_script(connection: sa.Connection, sql: str) -> None:
    """Run one or several statements without parameters."""
    connection.exec_driver_sql(sql, execution_options={"no_parameters": True})


def run(connection: sa.Connection, sql: str) -> int:
    """Run one statement without parameters and return how many rows it touched."""
    return connection.exec_driver_sql(sql, execution_options={"no_parameters": True}).rowcount


def scalar(connection: sa.Connection, sql: str) -> int:
    """Run one statement that gives one number, and return it."""
    return int(connection.exec_driver_sql(sql, execution_options={"no_parameters": True}).scalar_one())
