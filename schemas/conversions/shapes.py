"""Geometries as WKB, whatever text or bytes a source has for them."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.contract import Field
from schemas.conversions.texts import Read, as_text, stored_form, tidy, unread

Objects = npt.NDArray[np.object_]


def geometries(values: pa.Array, field: Field, timezone: str) -> Read:  # noqa: ARG001 (one shape for all conversions)
    """Read WKB (bytes or hexadecimal), WKT or GeoJSON and return little-endian ISO WKB without an SRID.

    One geometry has one form, so an unchanged row keeps its hash. Whether it is valid is not judged here.
    """
    stored = stored_form(values)
    if pa.types.is_binary(stored.type) or pa.types.is_fixed_size_binary(stored.type):
        return unread(stored, _from_bytes(stored))
    text = tidy(as_text(stored))
    return unread(text, _from_text(text))


def _from_bytes(stored: pa.Array) -> pa.Array:
    import shapely  # noqa: PLC0415 (slow to import, and most contracts have no geometry)

    return _wkb(shapely.from_wkb(_objects(stored), on_invalid="ignore"))


def _from_text(text: pa.Array) -> pa.Array:
    """Tell the three written forms apart by their first character: only hexadecimal WKB begins with 0."""
    import shapely  # noqa: PLC0415 (slow to import, and most contracts have no geometry)

    written = _objects(text)
    shapes = np.full(len(written), None, dtype=np.object_)
    firsts = np.array([(value or " ")[0] for value in written])
    for readable, chosen in (
        (shapely.from_wkb, firsts == "0"),
        (shapely.from_geojson, firsts == "{"),
        (shapely.from_wkt, (firsts != "0") & (firsts != "{")),
    ):
        if chosen.any():
            shapes[chosen] = readable(written[chosen], on_invalid="ignore")
    return _wkb(shapes)


def _objects(column: pa.Array) -> Objects:
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.object_)


def _wkb(shapes: Objects) -> pa.Array:
    import shapely  # noqa: PLC0415 (slow to import, and most contracts have no geometry)

    return pa.array(shapely.to_wkb(shapes, byte_order=1, flavor="iso", include_srid=False), pa.binary())
