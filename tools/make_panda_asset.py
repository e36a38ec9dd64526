"""Makes the files of vjepa_ros/simulation/assets/ from the Panda's description and meshes; nothing needs it later.

    pip install --no-deps --target PLACE example-robot-data==6.0.0
    python tools/make_panda_asset.py PLACE/cmeel.prefix/share/example-robot-data/robots/panda_description OUT

What it changes: of the meshes only the surface that can be seen from outside is kept, as evenly spaced points with
normals and colours; of the description only links, joints and limits. It knows numpy and XML, nothing of the package.
The same input gives the same bytes.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

LINKS = ("link0", "link1", "link2", "link3", "link4", "link5", "link6", "link7", "hand", "finger")
UNIT_M = 1e-4  # of stored positions
SPACING_M = (5.3e-3, 3.7e-3)
"""Of neighbouring points: those of the first are a picture of the arm by themselves, the others lie in between."""

_CANDIDATES_PER_M2 = 1.2e6
_VIEWS = 90  # directions from which a link is looked at
_VIEW_PX_M = 2e-3
_SUNKEN_M = 3e-3  # behind what is seen first, and still taken for seen
_NAMESPACE = {"c": "http://www.collada.org/2005/11/COLLADASchema"}


def floats(text: str | None) -> Any:
    """The numbers in a text."""
    return np.array((text or "").split(), float)


def triangles(path: Path) -> tuple[Any, Any, Any]:
    """A COLLADA file -> (n, 3, 3) corners in m, (n, 3, 3) their normals, (n, 3) colours 0..1, in the link's frame."""
    root = ElementTree.parse(path).getroot()

    def find(element: Any, where: str) -> list[Any]:
        return list(element.findall(where, _NAMESPACE))

    colours = {
        effect.get("id"): floats(find(effect, ".//c:diffuse/c:color")[0].text)[:3]
        for effect in find(root, ".//c:effect")
    }
    of_material = {
        material.get("id"): colours[find(material, "c:instance_effect")[0].get("url")[1:]]
        for material in find(root, ".//c:material")
    }
    geometries = {geometry.get("id"): geometry for geometry in find(root, ".//c:geometry")}
    found = []
    for node in find(root, ".//c:node"):
        for instance in find(node, "c:instance_geometry"):
            matrix = floats(find(node, "c:matrix")[0].text).reshape(4, 4)
            geometry = geometries[instance.get("url")[1:]]
            arrays = {
                source.get("id"): floats(find(source, "c:float_array")[0].text).reshape(-1, 3)
                for source in find(geometry, ".//c:source")
                if len(find(source, ".//c:param")) == 3
            }
            positions = arrays[find(geometry, ".//c:vertices/c:input")[0].get("source")[1:]]
            for primitive in find(geometry, ".//c:triangles"):
                inputs = {row.get("semantic"): row for row in find(primitive, "c:input")}
                width = 1 + max(int(row.get("offset")) for row in inputs.values())
                index = floats(find(primitive, "c:p")[0].text).astype(int).reshape(-1, 3, width)
                corners = positions[index[..., int(inputs["VERTEX"].get("offset"))]] @ matrix[:3, :3].T + matrix[:3, 3]
                of_normals = arrays[inputs["NORMAL"].get("source")[1:]]
                normals = of_normals[index[..., int(inputs["NORMAL"].get("offset"))]] @ matrix[:3, :3].T
                colour = of_material[primitive.get("material")]
                found.append((corners, normals, np.broadcast_to(colour, (len(corners), 3))))
    corners, normals, shades = (np.concatenate(part) for part in zip(*found, strict=True))
    return corners, normals, shades


def sampled(path: Path, rng: np.random.Generator) -> tuple[Any, Any, Any]:
    """Many random points on a mesh: (n, 3) positions, unit normals, colours."""
    corners, normals, colours = triangles(path)
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
    count = round(areas.sum() * _CANDIDATES_PER_M2)
    chosen = rng.choice(len(areas), count, p=areas / areas.sum())
    a, b = np.sqrt(rng.random(count)), rng.random(count)
    weights = np.stack([1 - a, a * (1 - b), a * b], axis=1)[:, None]  # (n, 1, 3)
    points, directions = ((weights @ values[chosen])[:, 0] for values in (corners, normals))
    return points, directions / np.linalg.norm(directions, axis=1, keepdims=True), colours[chosen]


def outside(points: Any, normals: Any) -> Any:
    """Which of them are seen from somewhere: the meshes have an inside, and screws in it."""
    golden = np.pi * (3 - np.sqrt(5))
    heights = 1 - 2 * (np.arange(_VIEWS) + 0.5) / _VIEWS
    turns = golden * np.arange(_VIEWS)
    radii = np.sqrt(1 - heights**2)
    seen = np.zeros(len(points), bool)
    for view in np.stack([radii * np.cos(turns), radii * np.sin(turns), heights], axis=1):
        side = np.cross(view, np.eye(3)[np.argmin(abs(view))])
        side /= np.linalg.norm(side)
        x, y, height = points @ side, points @ np.cross(view, side), points @ view
        column, row = (np.floor((v - v.min()) / _VIEW_PX_M).astype(int) for v in (x, y))
        cell = row * (column.max() + 1) + column
        highest = np.full(cell.max() + 1, -np.inf)
        np.maximum.at(highest, cell, height)
        seen |= (height > highest[cell] - _SUNKEN_M) & (normals @ view > 0.1)
    return np.flatnonzero(seen)


class Spread:
    """Takes points that keep a distance from those taken before, and look the same way: thin parts have two sides."""

    def __init__(self) -> None:
        self._cells: dict[tuple[int, int, int], list[tuple[Any, Any]]] = {}
        self._size = max(SPACING_M)

    def take(self, points: Any, normals: Any, spacing: float) -> list[int]:
        taken = []
        for number, (point, normal) in enumerate(zip(points, normals, strict=True)):
            x, y, z = (int(v) for v in np.floor(point / self._size))
            near = [
                other
                for cell in ((x + i, y + j, z + k) for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1))
                for other in self._cells.get(cell, ())
            ]
            if any((d := point - place) @ d < spacing**2 and normal @ direction > 0.3 for place, direction in near):
                continue
            self._cells.setdefault((x, y, z), []).append((point, normal))
            taken.append(number)
        return taken


def by_place(points: Any) -> Any:
    """An order in which neighbours stand beside each other (Morton's): it makes the file smaller."""
    cells = ((points - points.min(axis=0)) / 4e-3).astype(np.int64)
    code = np.zeros(len(points), np.int64)
    for bit in range(8):
        for axis in range(3):
            code |= ((cells[:, axis] >> bit) & 1) << (3 * bit + axis)
    return np.argsort(code, kind="stable")


def surface(meshes: Path) -> dict[str, Any]:
    """The arrays of the asset; points of the first spacing come first in each link."""
    rng = np.random.default_rng(0)
    positions, normals, colours, counts = [], [], [], []
    for link in LINKS:
        points, directions, shades = sampled(meshes / f"{link}.dae", rng)
        kept = outside(points, directions)
        points, directions, shades = points[kept], directions[kept], shades[kept]
        spread, parts = Spread(), []
        for spacing in SPACING_M:
            taken = np.array(spread.take(points, directions, spacing), int)
            parts.append(taken[by_place(points[taken])])
        counts.append([len(part) for part in parts])
        chosen = np.concatenate(parts)
        positions.append(points[chosen])
        normals.append(directions[chosen])
        colours.append(shades[chosen])
        print(f"{link}: {counts[-1]} of {len(kept):,} points that are seen")
    palette, index = np.unique(np.round(np.concatenate(colours) * 255).astype(np.uint8), axis=0, return_inverse=True)
    return {
        "positions": np.round(np.concatenate(positions) / UNIT_M).astype(np.int16),
        "normals": np.round(np.concatenate(normals) * 127).astype(np.int8),
        "colours": index.reshape(-1).astype(np.uint8),
        "palette": palette,
        "counts": np.array(counts, np.int32),
    }


def description(source: Path) -> str:
    """The URDF with links, joints and their limits alone: nothing that leads to a file."""
    root = ElementTree.parse(source).getroot()
    out = ['<?xml version="1.0" encoding="utf-8"?>',
           "<!-- The Franka Panda's links, joints and limits: Franka's description (Apache-2.0), changed: without",
           "     meshes, inertias and controllers. See README.md beside it. -->",
           '<robot name="panda">']  # fmt: skip
    out += [f'  <link name="{link.get("name")}"/>' for link in root.findall("link")]
    for joint in root.findall("joint"):
        out.append(f'  <joint name="{joint.get("name")}" type="{joint.get("type")}">')
        for tag in ("parent", "child", "origin", "axis", "limit", "mimic"):
            element = joint.find(tag)
            if element is not None:
                attributes = "".join(f' {name}="{value}"' for name, value in sorted(element.attrib.items()))
                out.append(f"    <{tag}{attributes}/>")
        out.append("  </joint>")
    return "\n".join([*out, "</robot>", ""])


def main(source: Path, out: Path) -> None:
    """Write everything."""
    out.mkdir(parents=True, exist_ok=True)
    arrays = surface(source / "meshes" / "visual")
    np.savez_compressed(out / "panda.npz", **arrays)
    (out / "panda.urdf").write_text(description(source / "urdf" / "panda.urdf"), encoding="utf-8")
    shutil.copyfile(source / "LICENSE", out / "LICENSE")
    print(f"{arrays['counts'].sum(axis=0)} points, {(out / 'panda.npz').stat().st_size:,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
