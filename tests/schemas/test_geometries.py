"""Rules about geometries."""

import pyarrow as pa
import pytest
import shapely

from schemas.rules.geometries import geometry_valid, in_country


def wkb(*texts: str | None) -> pa.Array:
    return pa.array([None if text is None else shapely.to_wkb(shapely.from_wkt(text)) for text in texts], pa.binary())


def test_a_plain_shape_is_valid():
    assert geometry_valid(wkb("POLYGON ((120 30, 121 30, 121 31, 120 30))")).to_pylist() == [True]


@pytest.mark.parametrize("shape", ["POLYGON ((120 30, 121 31, 121 30, 120 31, 120 30))", "POINT EMPTY"])
def test_a_crossing_ring_and_an_empty_shape_are_not_valid(shape):
    assert geometry_valid(wkb(shape)).to_pylist() == [False]


def test_a_point_of_the_city_lies_in_the_country():
    assert in_country(wkb("POINT (120.2 30.3)")).to_pylist() == [True]


@pytest.mark.parametrize("shape", ["POINT (30.3 120.2)", "POINT (519000 3352000)", "LINESTRING (135 40, 137 40)"])
def test_exchanged_axes_metres_and_what_reaches_beyond_do_not(shape):
    assert in_country(wkb(shape)).to_pylist() == [False]


def test_a_missing_geometry_is_not_judged():
    assert geometry_valid(wkb(None)).to_pylist() == [None]
    assert in_country(wkb(None)).to_pylist() == [None]
