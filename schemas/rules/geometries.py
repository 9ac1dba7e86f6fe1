"""Rules about geometries: little-endian ISO WKB in EPSG:4490, longitude first."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.fixed_width import verdict
from schemas.rules.registry import rule

# The country's bounds in degrees of CGCS2000: west, south, east, north.
# What lies outside has its axes exchanged, or metres where degrees belong, or another country's place.
COUNTRY = (73.0, 3.0, 136.0, 54.0)

Objects = npt.NDArray[np.object_]


@rule("geometry_valid", zh="图形有效", en="The geometry is valid")
def geometry_valid(values: pa.Array) -> pa.BooleanArray:
    """Hold if the geometry is simple features valid (OGC 06-103r4): no ring crosses itself, none is empty."""
    import shapely  # noqa: PLC0415 (slow to import, and most contracts have no geometry)

    shapes = _shapes(values)
    return verdict(values, shapely.is_valid(shapes) & ~shapely.is_empty(shapes))


@rule("in_country", zh="图形位于国家范围内", en="The geometry lies within the country's bounds")
def in_country(values: pa.Array) -> pa.BooleanArray:
    """Hold if the whole geometry lies between 73° and 136° east and between 3° and 54° north."""
    import shapely  # noqa: PLC0415 (slow to import, and most contracts have no geometry)

    west, south, east, north = shapely.bounds(_shapes(values)).T
    inside = (west >= COUNTRY[0]) & (south >= COUNTRY[1]) & (east <= COUNTRY[2]) & (north <= COUNTRY[3])
    return verdict(values, inside)


def _shapes(values: pa.Array) -> Objects:
    import shapely  # noqa: PLC0415 (slow to import, and most contracts have no geometry)

    return np.asarray(shapely.from_wkb(np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.object_)), dtype=np.object_)
