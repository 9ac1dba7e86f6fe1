"""The plug point: names, duplicates, strangers, and what importing costs."""

import subprocess
import sys

import pytest

from connectors.protocol import Place
from connectors.registry import connector, connector_names, open_connector
from hub.errors import Mistake


def test_the_built_in_connectors_are_listed():
    assert connector_names() == ("csv", "excel", "geojson", "http", "mysql", "parquet", "postgres", "sqlalchemy", "sqlite")


def test_a_name_is_taken_once():
    from connectors import sqlite

    with pytest.raises(Mistake):
        connector("sqlite")(sqlite.open_sqlite)


def test_an_unknown_connector_is_a_mistake_with_the_nearest_name(source):
    with pytest.raises(Mistake) as caught:
        open_connector(source("postgers", path="."), Place())
    assert "connector: postgres" in caught.value.remedy


def test_listing_connectors_imports_none_of_their_libraries():
    code = "import sys, connectors.registry as r; r.connector_names(); print([m for m in ('pyarrow', 'numpy', 'openpyxl', 'shapely', 'pymysql') if m in sys.modules])"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"
