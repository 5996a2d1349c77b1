"""The house in one picture: the rooms from the top floor down, and who imports from whom.

Floors are the layers of the import contract in ``pyproject.toml``; arrows are the imports in the
code, those in functions and for annotations included. Every arrow points down, or ``make lint``
fails. Of the ground floors, from which nearly every room imports, the arrows are left out.
"""

from __future__ import annotations

import ast
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

WIDTH, FLOOR, BOX, NAMES = 560, 34, 250, 14  # pixels: picture, a floor, its boxes; the text
WIDEST = 60  # of a bar of lines, pixels
GROUND = {"molgen.utils", "molgen.targets", "molgen.version", "molgen.errors"}
INK, PAPER, ROOM, BAR, ARROW = "#1f2933", "#ffffff", "#eef3f8", "#9fb8d1", "#2b6cb0"


@dataclass(frozen=True)
class Room:
    """A package or a module of the contract.

    Attributes:
        name: dotted.
        floor: 0 at the top.
        place: among the rooms of its floor, from the left.
        beside: number of rooms of its floor.
        lines: of code, docstrings and comments.
    """

    name: str
    floor: int
    place: int
    beside: int
    lines: int


def rooms_of(contract: Path) -> dict[str, Room]:
    """Return the rooms by name.

    Args:
        contract: ``pyproject.toml``.
    """
    contracts = tomllib.loads(contract.read_text(encoding="utf-8"))["tool"]["importlinter"]
    (layers,) = (each["layers"] for each in contracts["contracts"] if each["type"] == "layers")
    found = {}
    for floor, layer in enumerate(layers):
        names = [name.strip(" ()") for name in layer.split("|")]
        for place, name in enumerate(names):
            lines = sum(len(path.read_bytes().splitlines()) for path in _files(contract, name))
            found[name] = Room(name, floor, place, len(names), lines)
    return found


def imports_of(contract: Path, rooms: dict[str, Room]) -> Counter[tuple[str, str]]:
    """Return the number of files of a room that import from another, by both names."""
    found: Counter[tuple[str, str]] = Counter()
    for room in rooms:
        for path in _files(contract, room):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            targets = {_room(name, rooms) for node in ast.walk(tree) for name in _names(node)}
            found.update((room, target) for target in targets if target and target != room)
    return found


def draw_rooms(contract: Path, out: Path) -> None:
    """Write the picture as SVG."""
    rooms = rooms_of(contract)
    height = FLOOR * (1 + max(room.floor for room in rooms.values())) + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="system-ui, sans-serif" font-size="{NAMES}">',
        f'<rect width="{WIDTH}" height="{height}" rx="8" fill="{PAPER}"/>',
        '<marker id="head" viewBox="0 0 6 6" refX="6" refY="3" markerWidth="9" markerHeight="9" '
        'markerUnits="userSpaceOnUse" '
        f'orient="auto"><path d="M0 0 6 3 0 6z" fill="{ARROW}"/></marker>',
    ]
    arrows = imports_of(contract, rooms)
    parts += [
        _arrow(rooms[a], rooms[b], count)
        for (a, b), count in sorted(arrows.items())
        if b not in GROUND
    ]
    most = max(room.lines for room in rooms.values())
    parts += [_box(room, most) for room in rooms.values()]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n".join([*parts, "</svg>", ""]), encoding="utf-8")


def _files(contract: Path, name: str) -> list[Path]:
    place = contract.parent.joinpath(*name.split("."))
    return sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]


def _names(node: ast.AST) -> list[str]:
    """Return the dotted names that a statement imports."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


def _room(name: str, rooms: dict[str, Room]) -> str | None:
    """Return the room of a module or of a name in it; None for another library's."""
    parts = name.split(".")
    prefixes = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((prefix for prefix in prefixes if prefix in rooms), None)


def _middle(room: Room) -> float:
    return 10 + FLOOR * (room.floor + 0.5)


def _arrow(start: Room, end: Room, count: int) -> str:
    """Return an arrow beside the rooms, further out the more floors it crosses."""
    top, bottom = _middle(start) + 4, _middle(end) - 4
    right = BOX + 30 + (WIDTH - BOX - 30) * (bottom - top) / (FLOOR * 16) * 4 / 3
    width = min(0.8 + count / 8, 3)
    return (
        f'<path d="M{BOX + 14} {top}C{right:.0f} {top} {right:.0f} {bottom} {BOX + 14} {bottom}" '
        f'fill="none" stroke="{ARROW}" stroke-opacity=".4" stroke-width="{width:.1f}" '
        f'marker-end="url(#head)"><title>{start.name} imports from {end.name}: {count} files'
        "</title></path>"
    )


def _box(room: Room, most: int) -> str:
    """Return a room's box: its name, and a bar of its lines where it has its floor alone."""
    wide = (BOX - 4 * (room.beside - 1)) / room.beside
    left, y = 10 + room.place * (wide + 4), _middle(room)
    name = room.name.removeprefix("molgen.")
    size = NAMES if room.beside < 3 else NAMES - 2
    parts = [
        f'<g><title>{room.name}: {room.lines:,} lines</title><rect x="{left:.0f}" '
        f'y="{y - 14}" width="{wide:.0f}" height="28" rx="5" fill="{ROOM}" stroke="{BAR}"/>',
        f'<text x="{left + 8:.0f}" y="{y + 5}" font-size="{size}" fill="{INK}">{name}</text>',
    ]
    if room.beside == 1:
        bar = WIDEST * room.lines / most
        parts.append(
            f'<rect x="{10 + BOX - WIDEST - 8}" y="{y - 4}" width="{bar:.0f}" height="8" rx="2" '
            f'fill="{BAR}"/>'
        )
    return "".join([*parts, "</g>"])
