"""A source as one of the standard's servers: where the data is, never who may read it."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

from schemas.contract import Contract
from schemas.source import Source

_TYPES = {"postgres": "postgres", "postgresql": "postgres", "mysql": "mysql", "mariadb": "mysql", "oracle": "oracle", "mssql": "sqlserver"}
_PORTS = {"postgres": 5432, "mysql": 3306, "oracle": 1521, "sqlserver": 1433}
_FORMATS = {"csv": "csv", "excel": "xlsx", "geojson": "geojson", "sqlite": "sqlite", "parquet": "parquet"}


def server(source: Source, contract: Contract) -> dict[str, Any]:
    """Return *source* as a server; the user name of its URL stays here."""
    common: dict[str, Any] = {"server": source.source, "description": source.title.en}
    if source.path is not None:
        return common | {"type": "local", "path": source.path, "format": _FORMATS.get(source.connector, source.connector)}
    parts = urlsplit(source.url or "")
    kind = _TYPES.get(parts.scheme.partition("+")[0])
    if parts.scheme in {"http", "https"}:
        return common | {"type": "api", "location": parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()}
    if kind is None:
        return common | {"type": "custom", "customProperties": [{"property": "connector", "value": source.connector}]}
    host = parts.hostname or parse_qs(parts.query).get("host", ["localhost"])[0]
    place: dict[str, Any] = {"type": kind, "host": host, "port": parts.port or _PORTS[kind]}
    database = parts.path.lstrip("/")
    if kind == "oracle":
        return common | place | {"serviceName": database}
    schema, dot, _ = (contract.table or "").rpartition(".")
    named = {"schema": schema if dot else "public"} if kind == "postgres" else {"schema": schema or "dbo"} if kind == "sqlserver" else {}
    return common | place | {"database": database} | named
