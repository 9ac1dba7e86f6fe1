"""GeoJSON feature collections (RFC 7946), streamed feature by feature."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyproj
import shapely
from pyproj.exceptions import CRSError
from pyproj.network import set_network_enabled  # type: ignore[attr-defined]  # exported, though its types do not say so

from connectors.decoding import encoding_of
from connectors.files import opened
from connectors.geojson_reading import Collection
from connectors.protocol import Oddity
from connectors.registry import connector
from connectors.text import as_text
from connectors.windows import TextSession
from hub.errors import Mistake

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from connectors.files import SourceFile
    from connectors.geojson_reading import Feature
    from connectors.protocol import Connector, Place, Window
    from schemas.source import Source

GEOMETRY = "geometry"
STORED_CRS = "EPSG:4490"  # CGCS2000, longitude and latitude
FEATURES_AT_ONCE = 4096  # a feature may be large; memory is bounded by as many


@connector("geojson")
@contextmanager
def open_geojson(source: Source, place: Place, *, password: str | None, order_by: Sequence[str] = ()) -> Iterator[Connector]:
    """Open a feature collection; opening reads it once to learn its properties.

    Columns are the features' properties (text; a nested value is its JSON), ``id`` where features have one,
    and ``geometry``: WKB, two dimensions, longitude then latitude in EPSG:4490, transformed from the source's *declared* ``crs``.
    Coordinates are used as they stand, in the order x, y whatever the reference system's axis order says, as RFC 7946 has it.
    A geometry that cannot be read or lies outside its reference system is null and counted; validity is a rule's business.
    Features come in the file's order, whatever ``order_by`` says. There is no password.
    """
    del password, order_by
    crs = _declared_crs(source)
    with opened(source, place) as file:
        session = GeojsonSession(file, crs)
        session.begin()
        yield session


class GeojsonSession(TextSession):
    """One open file. Its snapshot is the file itself: a change while it is read rejects it."""

    def __init__(self, file: SourceFile, crs: pyproj.CRS) -> None:
        """Wrap *file*; :meth:`begin` must come next."""
        super().__init__(file.source, file.place, snapshot=f"the open file ({file.size} bytes)")
        self._file, self._crs = file, crs
        self._encoding = encoding_of(file.source)
        self._transformer = pyproj.Transformer.from_crs(crs, STORED_CRS, always_xy=True)
        self._rows = 0

    def begin(self) -> None:
        """Read the file once: its properties, its number of features, and whether it is whole."""
        names: dict[str, None] = {}
        collection = Collection(self._file, self._encoding)
        for feature in collection.features():
            names.update(dict.fromkeys(feature.properties))
            self._rows += 1
        self._agrees(collection.crs)
        fields: list[pa.Field] = [pa.field(name, pa.string()) for name in names if name != GEOMETRY]
        self._schema = pa.schema([*fields, pa.field(GEOMETRY, pa.binary())])

    def columns(self) -> pa.Schema:
        """Return the properties in the order they first appear, then ``geometry``."""
        return self._schema

    def count(self, window: Window) -> int:
        """Return the features of *window*."""
        if not window.bounded:
            return self._rows
        return sum(batch.num_rows for batch in self.read([window.cursor or ""], window))

    def read(self, columns: Sequence[str], window: Window) -> Iterator[pa.RecordBatch]:
        """Stream the features."""
        self.known(columns, window)
        names = list(dict.fromkeys([*columns, *([window.cursor] if window.cursor else [])]))
        features = Collection(self._file, self._encoding).features()
        while taken := list(islice(features, min(self._source.fetch_rows, FEATURES_AT_ONCE))):
            batch = pa.record_batch([self._column(name, taken) for name in names], names=names)
            batch = self.within(batch, window) if window.bounded else batch
            yield batch.select(list(columns))
        self._file.unchanged()

    def _column(self, name: str, features: list[Feature]) -> pa.Array:
        if name == GEOMETRY:
            return self._geometries(features)
        array, oddities = as_text([feature.properties.get(name) for feature in features], name)
        self.oddities.update(oddities)
        return array

    def _geometries(self, features: list[Feature]) -> pa.Array:
        texts = np.array([feature.text if feature.has_geometry else None for feature in features], dtype=object)
        given = np.array([feature.has_geometry for feature in features])
        shapes = shapely.force_2d(shapely.from_geojson(texts, on_invalid="ignore"))
        placed = shapely.transform(shapes, self._to_stored)
        outside = ~np.isfinite(shapely.bounds(placed)).all(axis=1) & ~shapely.is_empty(placed)
        placed[outside] = None
        self._notice("unreadable geometry", int((shapely.is_missing(shapes) & given).sum()))
        self._notice("geometry outside its reference system", int((outside & ~shapely.is_missing(shapes)).sum()))
        return pa.array(shapely.to_wkb(placed), pa.binary())

    def _to_stored(self, points: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        return np.column_stack(self._transformer.transform(points[:, 0], points[:, 1]))

    def _notice(self, what: str, number: int) -> None:
        if number:
            self.oddities[Oddity(GEOMETRY, what)] += number

    def _agrees(self, said: str | None) -> None:
        """Refuse a file that names another reference system (the member ``crs`` of GeoJSON before RFC 7946)."""
        try:
            same = said is None or pyproj.CRS.from_user_input(said).equals(self._crs, ignore_axis_order=True)
        except CRSError:
            same = False
        if not same:
            raise Mistake(
                f"source {self._source.source!r}, {self._place}: "
                f"the file names another reference system than the declared {self._source.crs!r}",
                remedy="ask the department which one is right; mend `crs` in the source's declaration or have the file written anew",
            )


def _declared_crs(source: Source) -> pyproj.CRS:
    set_network_enabled(active=False)  # no grid files from the internet
    problem = "`crs` is missing: coordinates do not say what they mean"
    if source.crs:
        try:
            return pyproj.CRS.from_user_input(source.crs)
        except CRSError:
            problem = f"there is no reference system {source.crs!r}"
    raise Mistake(
        f"source {source.source!r}: {problem}",
        remedy="ask the department, and write e.g. `crs: EPSG:4490` (CGCS2000) or `crs: EPSG:4326` (WGS 84)",
    )
