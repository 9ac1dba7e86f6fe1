"""GeoJSON: properties as columns, geometry in CGCS2000, broken files."""

import json

import pytest
import shapely

from connectors.protocol import Oddity, Place, Window
from connectors.registry import open_connector
from hub.errors import Mistake, Rejected

POINT = {"type": "Point", "coordinates": [121.5, 31.25]}


def feature(geometry=POINT, **properties):
    return {"type": "Feature", "geometry": geometry, "properties": properties}


@pytest.fixture
def opened(tmp_path, source):
    """Return a function that writes features (or a text) and opens them."""

    def write(*features, text=None, crs="EPSG:4490", encoding="utf-8", **members):
        text = text or json.dumps({"type": "FeatureCollection", "features": features, **members}, ensure_ascii=False)
        (tmp_path / "a.geojson").write_bytes(text.encode("gb18030" if encoding == "gb18030" else "utf-8"))
        return open_connector(source("geojson", path=str(tmp_path), crs=crs, encoding=encoding), Place(file="a.geojson"))

    return write


def rows(session):
    return [row for batch in session.read(session.columns().names, Window()) for row in batch.to_pylist()]


def test_properties_of_all_features_are_columns(opened):
    with opened(feature(None, a=1, b="x"), feature(None, c=[1, "𠮷"]), feature(None, a=1.50, b="", c=None)) as session:
        assert rows(session) == [
            {"a": "1", "b": "x", "c": None, "geometry": None},
            {"a": None, "b": None, "c": '[1, "𠮷"]', "geometry": None},
            {"a": "1.5", "b": "", "c": None, "geometry": None},
        ]


def test_numbers_keep_every_digit(opened):
    text = '{"features": [{"type": "Feature", "geometry": null, "properties": {"n": 12345678901234567890.10, "i": 98765432109876543210}}]}'
    with opened(text=text) as session:
        assert rows(session) == [{"n": "12345678901234567890.10", "i": "98765432109876543210", "geometry": None}]


def test_an_id_is_a_column_unless_a_property_has_its_name(opened):
    with opened({**feature(None), "id": 7}, {**feature(None, id="own"), "id": 8}) as session:
        assert [row["id"] for row in rows(session)] == ["7", "own"]


def test_geometry_in_the_stored_system_arrives_unchanged(opened):
    with opened(feature(POINT)) as session:
        assert shapely.from_wkb(rows(session)[0]["geometry"]) == shapely.Point(121.5, 31.25)


def test_geometry_is_transformed_from_the_declared_system(opened):
    # EPSG:4549 is CGCS2000 / 3-degree Gauss-Kruger CM 120E: false easting 500 km, so x = 500000 is the central meridian;
    # 3 320 113.398 m is the meridian arc from the equator to 30 N on the CGCS2000 ellipsoid (GRS 80 arc, scale factor 1).
    with opened(feature({"type": "Point", "coordinates": [500000, 3320113.398]}), crs="EPSG:4549") as session:
        point = shapely.from_wkb(rows(session)[0]["geometry"])
    assert (point.x, point.y) == (pytest.approx(120, abs=1e-9), pytest.approx(30, abs=1e-7))


def test_a_third_coordinate_is_left_out(opened):
    with opened(feature({"type": "Point", "coordinates": [121.5, 31.25, 8]})) as session:
        assert not shapely.from_wkb(rows(session)[0]["geometry"]).has_z


def test_a_geometry_that_cannot_be_read_is_null_and_counted(opened):
    with opened(
        feature({"type": "Point", "coordinates": ["x", 1]}), feature({"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]})
    ) as session:
        assert [row["geometry"] for row in rows(session)] == [None, None]
        assert session.oddities == {Oddity("geometry", "unreadable geometry"): 2}


def test_a_geometry_outside_its_system_is_null_and_counted(opened):
    with opened(feature({"type": "Point", "coordinates": [5e10, 4e15]}), crs="EPSG:4549") as session:
        assert rows(session)[0]["geometry"] is None
        assert session.oddities == {Oddity("geometry", "geometry outside its reference system"): 1}


@pytest.mark.parametrize("crs", [None, "EPSG:99999", "somewhere"])
def test_a_missing_or_unknown_reference_system_is_a_mistake(opened, crs):
    with pytest.raises(Mistake), opened(feature(), crs=crs):
        pass


def test_a_file_that_contradicts_the_declared_system_is_a_mistake(opened):
    said = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::4549"}}
    with pytest.raises(Mistake), opened(text=json.dumps({"features": [], "crs": said})):
        pass


def test_a_file_that_names_the_declared_system_is_read(opened):
    said = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::4490"}}
    with opened(text=json.dumps({"crs": said, "features": [feature()]})) as session:
        assert len(rows(session)) == 1


def test_another_encoding_is_understood_when_declared(opened):
    with opened(feature(None, name="张三"), encoding="gb18030") as session:
        assert rows(session)[0]["name"] == "张三"


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[]",
        '{"features": [1]}',
        '{"features": []',
        '{"features": []} x',
        '{"features": [{"type": "Feature", "properties": {"a": NaN}}]}',
        '{"a": ' + "[" * 100_000,
    ],
)
def test_what_is_no_feature_collection_is_rejected(opened, text):
    with pytest.raises(Rejected), opened(text=text):
        pass


def test_a_file_cut_short_is_rejected_with_the_features_that_were_whole(opened):
    text = json.dumps({"features": [feature(name="secret")] * 3})
    with pytest.raises(Rejected, match="after 2 whole features") as caught, opened(text=text[:-30]):
        pass
    assert "secret" not in str(caught.value)


def test_a_wrong_encoding_is_rejected(opened, tmp_path, source):
    (tmp_path / "b.geojson").write_bytes(json.dumps({"features": [feature(name="张三")]}, ensure_ascii=False).encode("gbk"))
    with pytest.raises(Rejected), open_connector(source("geojson", path=str(tmp_path), crs="EPSG:4490"), Place(file="b.geojson")):
        pass


def test_a_feature_longer_than_a_piece_is_read_whole(opened):
    ring = [[121 + n / 1e6, 31] for n in range(20_000)] + [[121, 32], [121, 31]]
    with opened(feature({"type": "Polygon", "coordinates": [ring]}, name="long"), feature(POINT, name="after")) as session:
        assert [row["name"] for row in rows(session)] == ["long", "after"]
