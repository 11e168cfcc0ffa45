"""Write ``docs/gallery.md`` and its pictures from a folder that ``gyaku figure --all --lang en`` has filled.

gyaku figure --all --lang en --out figures && python tools/make_gallery.py figures
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from gyaku.figures import names

DOCS = Path(__file__).resolve().parent.parent / "docs"


def entry(s: dict[str, Any]) -> str:
    """Return the section of one experiment: picture, reading, claims."""
    title = s["title"]["en"]
    claims = "\n".join(f"- {'holds' if c['held'] else '**does not hold**'}: {c['en']}" for c in s["claims"])
    foot = f"`gyaku figure {s['name']}` · lecture rows {', '.join(s['rows'])} · level {s['level']}, seed {s['seed']}"
    picture = f"![{title}](gallery/{s['name']}.png)"
    return f"## {title}\n\n{picture}\n\n{s['reading']['en']}\n\n{claims}\n\n{foot}, {s['seconds']} s\n"


def shrink(source: Path, target: Path) -> None:
    """Write a picture 1100 pixels wide in 64 colours: a fifth of the bytes."""
    from PIL import Image

    with Image.open(source) as image:
        size = (1100, round(image.height * 1100 / image.width))
        image.convert("RGB").resize(size, Image.Resampling.LANCZOS).quantize(64).save(target, optimize=True)


def main(folder: Path) -> None:
    """Shrink the pictures and write the page."""
    found = [json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for name in names()]
    (DOCS / "gallery").mkdir(exist_ok=True)
    for s in found:
        shrink(folder / f"{s['name']}.en.png", DOCS / "gallery" / f"{s['name']}.png")
    claims = [c["held"] for s in found for c in s["claims"]]
    head = (
        "# The figures and experiments of the lectures\n\n"
        f"{len(found)} experiments with {len(claims)} claims, of which {sum(claims)} hold; the others are shown as not "
        f"holding.\n[How to make, copy and add figures](figures.md).\n"
    )
    (DOCS / "gallery.md").write_text(head + "\n" + "\n".join(map(entry, found)), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("make_gallery: expected one folder, the one that `gyaku figure --all --lang en` filled")
    main(Path(sys.argv[1]))
