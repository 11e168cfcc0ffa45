"""SVG text: well formed, escaped, always the same bytes, colours of the theme, files written whole."""

from __future__ import annotations

import base64
import re
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import gyaku as gy
from gyaku.base import look
from gyaku.base.errors import ArgumentError, UnknownNameError
from gyaku.explain import draw
from gyaku.explain.build import explain
from gyaku.explain.draw_scene import Group, Heat, Polygon, Rect, Stroke, Write, moved
from gyaku.explain.model import Explanation
from gyaku.explain.svg import heat_colours, png

SPACE = "{http://www.w3.org/2000/svg}"


def product(name: str = "x") -> Explanation:
    x = gy.tensor(2.0, dtype=gy.float64, requires_grad=True)
    y = gy.tensor(np.arange(40.0).reshape(5, 8), requires_grad=True)
    return explain((x * y).sum(), names={name: x, "y": y}, scope={})


def test_it_is_well_formed_and_needs_nothing_from_outside() -> None:
    for view in ("forward", "backward", "both"):
        root = ElementTree.fromstring(draw.svg(product(), view))
        assert root.tag == f"{SPACE}svg" and root.find(f"{SPACE}title").text  # type: ignore[union-attr]
        links = [v for e in root.iter() for k, v in e.attrib.items() if k.endswith(("href", "src"))]
        assert links and all(link.startswith("data:image/png;base64,") for link in links)
        assert not list(root.iter(f"{SPACE}script"))


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "a & b", '"quoted"', "損失\x00\x1b", "\ud800"])
def test_names_cannot_break_out(name: str) -> None:
    text = draw.svg(product(name), "backward")
    root = ElementTree.fromstring(text)
    assert "<script" not in text and text.encode()
    shown = ["".join(t.itertext()) for t in root.iter(f"{SPACE}text")]
    kept = re.sub(r"[\x00-\x1f\ud800]", "", name)
    assert any(kept[:6].strip("<") in t for t in shown)


def test_the_same_explanation_gives_the_same_bytes() -> None:
    assert draw.svg(product(), "both") == draw.svg(product(), "both")


def test_themes_give_their_colours() -> None:
    light, dark, auto = (draw.svg(product(), "backward", theme=t) for t in ("light", "dark", "auto"))
    assert look.LIGHT.backward in light and "style>" not in light
    assert look.DARK.backward in dark and look.LIGHT.backward not in dark
    assert "prefers-color-scheme:dark" in auto and 'fill="#' not in auto
    assert draw.svg(product(), background=False).count("<rect") == draw.svg(product()).count("<rect") - 1
    with pytest.raises(UnknownNameError, match="light"):
        draw.svg(product(), theme="lihgt")


def test_two_hundred_items_are_one_picture() -> None:
    x = gy.ones(3, requires_grad=True)
    for _ in range(100):
        x = gy.tanh(x) * 2
    root = ElementTree.fromstring(draw.svg(explain(x.sum(), fold=False, scope={}), "backward"))
    assert len([g for g in root.iter(f"{SPACE}g") if (g.get("class") or "").startswith("gy-item")]) == 202


def test_a_png_holds_its_pixels() -> None:
    pixels = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    data = png(pixels)
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    found = {}
    at = 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        name, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length : at + 12 + length])[0] == zlib.crc32(name + body)
        found[name], at = body, at + 12 + length
    assert struct.unpack(">IIBB", found[b"IHDR"][:10]) == (3, 2, 8, 6)
    lines = np.frombuffer(zlib.decompress(found[b"IDAT"]), np.uint8).reshape(2, 13)
    assert not lines[:, 0].any() and np.array_equal(lines[:, 1:].reshape(2, 3, 4), pixels)


def test_heat_is_blue_above_zero_and_orange_below() -> None:
    colours = heat_colours(np.array([[1.0, -1.0, 0.0, 0.5]]))
    assert tuple(colours[0, 0]) == (0, 0x72, 0xB2, 255) and tuple(colours[0, 1]) == (0xD5, 0x5E, 0, 255)
    assert tuple(heat_colours(np.array([[np.nan]]))[0, 0]) == (0xC1, 0x12, 0x1F, 255)
    assert colours[0, 2, 3] < 20 < colours[0, 3, 3] < 255


def test_shapes_move_with_their_groups() -> None:
    paint = Rect(0, 0, 1, 1, paint=None).paint  # type: ignore[arg-type]
    shapes = [Rect(1, 2, 3, 4, paint), Write(1, 2, (), 9), Heat(1, 2, 3, 4, None)]
    for shape in moved(Group("g", shapes), 10, 20).shapes:
        assert (shape.x, shape.y) == (11, 22)
    assert moved(Polygon(((1, 2),), paint), 10, 20).points == ((11, 22),)
    assert moved(Stroke((("M", ((1, 2),)),), paint), 10, 20).commands == (("M", ((11, 22),)),)
    assert moved(shapes[0], 0, 0) == Rect(1, 2, 3, 4, paint)


# --- files ---


@pytest.mark.parametrize("ending", [".svg", ".html", ".tex", ".dot"])
def test_the_ending_chooses_the_form(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"picture{ending}"
    draw.save(product(), path)
    first = path.read_text(encoding="utf-8")[:40]
    assert {".svg": "<svg", ".html": "<!DOCTYPE html>", ".tex": "%", ".dot": "digraph"}[ending] in first
    product().save(path)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_another_ending_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"\.svg, \.html"):
        draw.save(product(), tmp_path / "picture.gif")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_pdf_and_png_are_drawn_like_the_svg(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib_fontja")
    from matplotlib.image import imread

    made = product("損失")
    for ending in (".png", ".pdf"):
        draw.save(made, tmp_path / f"a{ending}", view="backward")
        draw.save(made, tmp_path / f"b{ending}", view="backward")
        assert (tmp_path / f"a{ending}").read_bytes() == (tmp_path / f"b{ending}").read_bytes()
    pixels = imread(tmp_path / "a.png")
    root = ElementTree.fromstring(draw.svg(made, "backward"))
    assert pixels.shape[1] == pytest.approx(2 * float(root.get("width") or 0), abs=2)
    assert pixels.shape[0] == pytest.approx(2 * float(root.get("height") or 0), abs=2)
    orange = (np.abs(pixels[..., :3] - np.array([0xD5, 0x5E, 0x00]) / 255) < 0.02).all(axis=-1)
    assert 500 < orange.sum() < pixels[..., 0].size / 4
    pdf = (tmp_path / "a.pdf").read_bytes()
    assert pdf.startswith(b"%PDF") and b"IPAexGothic" in pdf  # the Japanese letters are inside


def test_svg_and_page_load_no_other_package() -> None:
    code = (
        "import sys, gyaku as gy; from gyaku.explain.build import explain; x = gy.ones(3, requires_grad=True); "
        "e = explain((x * x).sum()); e.svg(view='both'); e.html(); e.tikz(); e.dot(); "
        "print([n for n in ('matplotlib', 'jinja2', 'graphviz', 'PIL') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_pictures_inside_are_those_of_the_arrays() -> None:
    text = draw.svg(product(), "forward")
    found = re.findall(r"data:image/png;base64,([^\"]+)", text)
    assert len(found) == 2 and all(base64.b64decode(f).startswith(b"\x89PNG") for f in found)
