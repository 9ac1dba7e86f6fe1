"""Answers of the hub's database as a stream of Arrow batches."""

from collections.abc import Iterator

import adbc_driver_manager
import pyarrow as pa

from hub.database.engine import adbc
from hub.database.failures import refused_by_adbc
from hub.database.roles import Role


def answer(role: Role, query: str) -> Iterator[pa.RecordBatch]:
    """Yield what *query* gives *role*, batch by batch, on a connection of its own.

    Raises the errors of :func:`hub.database.engine.engine`; none repeats a value.
    """
    with adbc(role) as connection, connection.cursor() as cursor:
        try:
            cursor.execute(query)
            yield from cursor.fetch_record_batch()
        except (adbc_driver_manager.Error, pa.ArrowException, OSError) as error:
            raise refused_by_adbc(error) from None
