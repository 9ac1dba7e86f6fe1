"""What civil affairs, natural resources and transport keep about the ground."""

import json

import numpy as np

from demo.numbers import joined, padded
from demo.people import TODAY
from demo.places import (
    CITY,
    address_ids,
    corner,
    district_codes,
    districts,
    division_table,
)
from demo.register import Dataset, Register
from demo.truth import City
from demo.words import TOWNS

ROAD_CRS, DEGREES_CRS = "EPSG:4549", "EPSG:4490"
_SIDE = 0.215


def division(city: City) -> Dataset:  # noqa: ARG001 (the divisions are the country's, the same for every city)
    """Return all divisions of the country with their history."""
    return Dataset(table=division_table())


def division_boundary(city: City) -> Dataset:
    """Return an invented boundary for each district: rectangles with a bend, one of them with an island."""
    shapes = [_shape(place) for place in range(len(districts()))]
    columns = {
        "code": district_codes(),
        "name": np.array([district.name for district in districts()]),
        "area_km2": np.array([f"{480 + 7 * place}.5" for place in range(len(shapes))]),
        "geometry": np.array([_geometry("MultiPolygon", shape) for shape in shapes]),
    }
    return Register(columns, draw=city.draw(41), scale=city.scale).dataset()


def _shape(place: int) -> list[list[list[list[float]]]]:
    west, south = corner(place)
    ring = [(0.0, 0.0), (_SIDE, 0.0), (_SIDE, _SIDE), (_SIDE / 2, _SIDE * 0.9), (0.0, _SIDE), (0.0, 0.0)]
    parts = [[[[round(west + x, 7), round(south + y, 7)] for x, y in ring]]]
    if place == 0:
        parts.append([[[round(west - 0.05 + x / 20, 7), round(south + y / 20, 7)] for x, y in ring]])
    return parts


def _geometry(kind: str, coordinates: object) -> str:
    return json.dumps({"type": kind, "coordinates": coordinates})


def standard_address(city: City) -> Dataset:
    """Return every address with its point; a few have longitude and latitude exchanged and lie outside the country."""
    ground = city.ground
    count = len(ground.address_plates)
    texts = ground.address_texts
    register = Register(
        {
            "address_id": address_ids(count),
            "address_text": texts,
            "division_code": ground.address_codes,
            "town": ground.address_towns,
            "road": ground.road_names[ground.address_roads],
            "plate": joined(ground.address_plates.astype("<U4"), "号"),
            "gbt23705_code": joined(CITY, padded(np.arange(count) + 1, 10)),
            "postal_code": np.full(count, "310000"),
            "status": np.where(np.arange(count) % 97 == 5, "2", "1"),
            "surveyed_on": np.full(count, str(TODAY - 200)),
            "geometry": np.array([_geometry("Point", point.tolist()) for point in ground.address_points]),
        },
        draw=city.draw(42),
        scale=city.scale,
    )
    register.spoil("in_country:location", 7, lambda points: [_exchanged(point) for point in points], None, "geometry")
    register.spoil("required:address_text", 4, lambda _: None)
    register.repeat("unique_key:address_id", 3)
    return register.dataset()


def _exchanged(point: str) -> str:
    longitude, latitude = json.loads(point)["coordinates"]
    return _geometry("Point", [latitude, longitude])


def road(city: City) -> Dataset:
    """Return roads as transport surveys them: metres of the 3-degree zone at 120° E (EPSG:4549), not degrees."""
    from pyproj import Transformer  # noqa: PLC0415 (loading the datum tables takes a while)

    to_metres = Transformer.from_crs(DEGREES_CRS, ROAD_CRS, always_xy=True)
    ground, draw = city.ground, city.draw(43)
    count = len(ground.road_lines)
    lines = [np.round(np.column_stack(to_metres.transform(*line.T)), 3) for line in ground.road_lines]
    register = Register(
        {
            "road_id": joined("RD", CITY, padded(np.arange(count) + 1, 5)),
            "road_name": ground.road_names,
            "road_class": draw.choice(["U2", "U3", "U4", "X"], count),
            "division_code": district_codes()[ground.road_districts],
            "lanes": draw.choice([2, 4, 6], count),
            "width_m": np.round(draw.uniform(6, 40, count), 1),
            "one_way": draw.random(count) < 0.1,
            "town": np.array(TOWNS)[np.arange(count) % len(TOWNS)],
            "geometry": np.array([_geometry("LineString", line.tolist()) for line in lines]),
        },
        draw=draw,
        scale=city.scale,
    )
    register.spoil("range:lanes", 3, lambda lanes: lanes * 0 + 99)
    return register.dataset()
