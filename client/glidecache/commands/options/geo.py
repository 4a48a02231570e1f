"""Positions, areas and units of the geo commands."""

from __future__ import annotations

from enum import Enum

from glidecache.commands.encoding import encode
from glidecache.commands.options.option_checks import keyword


class GeospatialData:
    """A position in degrees: longitude from -180 to 180, latitude from -85.05112878 to 85.05112878."""

    __slots__ = ("latitude", "longitude")

    def __init__(self, longitude: float, latitude: float) -> None:
        self.longitude = longitude
        self.latitude = latitude

    def to_args(self) -> list[bytes]:
        """Return the position as arguments of a command. Raises `TypeError`."""
        return [encode(self.longitude, "longitude"), encode(self.latitude, "latitude")]


class GeoUnit(Enum):
    """The unit of distances."""

    METERS = "m"
    KILOMETERS = "km"
    MILES = "mi"
    FEET = "ft"


class GeoSearchByRadius:
    """A circle around the position at the centre of the search."""

    __slots__ = ("radius", "unit")

    def __init__(self, radius: float, unit: GeoUnit) -> None:
        self.radius = radius
        self.unit = unit

    def to_args(self) -> list[bytes]:
        """Return the area as arguments of a command. Raises `TypeError`."""
        return [b"BYRADIUS", encode(self.radius, "radius"), keyword(self.unit, GeoUnit, "unit")]


class GeoSearchByBox:
    """A rectangle around the position at the centre of the search."""

    __slots__ = ("height", "unit", "width")

    def __init__(self, width: float, height: float, unit: GeoUnit) -> None:
        self.width = width
        self.height = height
        self.unit = unit

    def to_args(self) -> list[bytes]:
        """Return the area as arguments of a command. Raises `TypeError`."""
        sides = [encode(self.width, "width"), encode(self.height, "height")]
        return [b"BYBOX", *sides, keyword(self.unit, GeoUnit, "unit")]


class GeoSearchCount:
    """A limit of `count` results: the nearest, or with `any_option` the first that are found."""

    __slots__ = ("any_option", "count")

    def __init__(self, count: int, any_option: bool = False) -> None:
        self.count = count
        self.any_option = any_option

    def to_args(self) -> list[bytes]:
        """Return the option as arguments of a command. Raises `TypeError`."""
        return [b"COUNT", encode(self.count, "count"), *([b"ANY"] if self.any_option else [])]
