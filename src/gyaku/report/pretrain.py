"""The report of a pre-training: what the layers look for, give back and dream, written from its folder alone."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from gyaku.base import look
from gyaku.base.files import load_arrays, read_jsonl, write_text_atomic
from gyaku.base.text import Phrases
from gyaku.report import pictures
from gyaku.report.axes import number
from gyaku.report.charts import Series, coloured_chart, line_chart
from gyaku.report.page import environment
from gyaku.report.pretrain_phrases import TABLE
from gyaku.train.pretrain import read_pretrain_card
from gyaku.train.pretrain_examine import DAMAGE
from gyaku.train.run import ARRAYS, METRICS, REPORT, RESULTS, read_json

_PARTS = ("test", "dev", "train")


def write_pretrain_report(folder: str | Path, lang: str | None = None) -> Path:
    """Write ``report.html`` of a folder of ``gyaku pretrain`` and return its path; self-contained, too.

    An unfinished run gives the part that exists. Raises ``DataError`` naming the file that is missing or damaged.
    """
    folder = Path(folder)
    say = Phrases(TABLE, lang)
    write_text_atomic(folder / REPORT, environment().get_template("pretrain.html").render(**_content(folder, say)))
    return folder / REPORT


def _content(folder: Path, say: Phrases) -> dict[str, Any]:
    card = read_pretrain_card(folder)
    results = read_json(folder / RESULTS) if (folder / RESULTS).is_file() else {}
    arrays = load_arrays(folder / ARRAYS)[0] if (folder / ARRAYS).is_file() else {}
    rows = list(read_jsonl(folder / METRICS).rows) if (folder / METRICS).is_file() else []
    return {
        "say": say,
        "card": card,
        "lang": say.lang,
        "number": number,
        "light": dataclasses.asdict(look.LIGHT),
        "dark": dataclasses.asdict(look.DARK),
        "fonts": look.CSS_FONTS,
        "headline": _headline(card, results, say),
        "tiles": [(f"{say('error')} – {say(p)}", number(v["error"])) for p, v in _parts(results)],
        "about": _about(card, say),
        "next": say("next", data=card["config"]["data"], run=folder) if results else "",
        "curves": _curves(rows, say),
        "scatters": any(row.get("bound") is not None for row in rows),
        "table": _table(results, say),
        "likelihood": _likelihood(results, say),
        "strips": _strips(card, arrays, say),
        "codes": _codes(arrays, card),
        "deltas": _deltas(results),
        "facts": _facts(card, say),
        "config": json.dumps(card["config"], ensure_ascii=False, indent=1),
        "rows": rows,
    }


def _parts(results: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(p, results["parts"][p]) for p in _PARTS if p in results.get("parts", {})]


def _headline(card: dict[str, Any], results: dict[str, Any], say: Phrases) -> str:
    model = say(card["model"]["kind"])
    if not results:
        return say("unfinished", status=say(f"status_{card['status']}"))
    part, found = _parts(results)[0]
    names = [
        say(f"beside_{name}", value=number(values[part]), code=results["code"])
        for name, values in results["baselines"].items()
    ]
    beside = say("beside", names=", ".join(names))
    return say("headline", model=model, part=say(part), error=number(found["error"]), beside=beside)


def _about(card: dict[str, Any], say: Phrases) -> list[tuple[str, str]]:
    data, gaussian = card["data"], card["config"].get("visible") == "gaussian"
    return [
        (say("model"), say(card["model"]["kind"])),
        (say("units"), str(card["model"]["text"])),
        (say("parameters"), f"{card['model']['parameters']:,}"),
        (say("data"), f"{data['name']} — {data['origin']}"),
        (say("sizes"), " / ".join(str(data["sizes"].get(p, 0)) for p in ("train", "dev", "test"))),
        (say("scaling"), say("scaling_standard" if gaussian else "scaling_pixels")),
    ]


def _curves(rows: list[dict[str, Any]], say: Phrases) -> list[str]:
    """Return the charts of error, pseudo-likelihood and bound over all epochs, one curve a stage."""
    stages = list(dict.fromkeys(row["stage"] for row in rows))
    charts = []
    for key, name in (("error", "mse"), ("pseudo_likelihood", "pseudo_likelihood"), ("bound", "bound")):
        series = [
            s for i, stage in enumerate(stages) for s in _stage(rows, stage, key, i / max(1, len(stages) - 1), say)
        ]
        if series:
            charts.append(line_chart(series, say("epoch"), say(name)))
    return charts


def _stage(rows: list[dict[str, Any]], stage: str, key: str, share: float, say: Phrases) -> list[Series]:
    colour = f"color-mix(in oklch, var(--forward) {round(100 - 100 * share)}%, var(--backward) {round(100 * share)}%)"
    found = []
    shown = say("stage_joint") if stage == "joint" else say("stage_layer", n=stage.removeprefix("layer"))
    for name, column, dash in ((shown, key, ""), (f"{shown} {say('dev')}", f"dev_{key}", "5 4")):
        points = [(row["epoch"], row[column]) for row in rows if row["stage"] == stage and row.get(column) is not None]
        if points:
            xs, ys = zip(*points, strict=True)
            found.append(Series(name, xs, ys, colour, dash))
    return found


def _table(results: dict[str, Any], say: Phrases) -> tuple[list[str], list[list[str]]] | None:
    if not results:
        return None
    parts = _parts(results)
    head = ["", *(f"{say('error')} – {say(p)} ({v['n']})" for p, v in parts)]
    rows = [[say("this"), *(number(v["error"]) for _, v in parts)]]
    for name, values in results["baselines"].items():
        rows.append([say(name, code=results["code"]), *(number(values[p]) for p, _ in parts)])
    return head, rows


def _likelihood(results: dict[str, Any], say: Phrases) -> tuple[str, list[tuple[str, str]]] | None:
    found = results.get("likelihood")
    if not found:
        return None
    key = "bound_text" if found["kind"] == "bound" else found["kind"]
    values = {"log_z": f"{found['log_z']:.2f}", "error": f"{found['error']:.3f}", "chains": found["chains"]}
    return say(key, **values), [(say(p), f"{found['parts'][p]:.2f}") for p in _PARTS if p in found["parts"]]


def _strips(card: dict[str, Any], arrays: dict[str, Any], say: Phrases) -> list[dict[str, Any]]:
    """Return the sections of pictures, each with rows of images; data that are no images are shown as blocks."""
    strips = []
    if "filters" in arrays:
        limit = float(np.quantile(np.abs(arrays["filters"]), 0.995)) or 1.0
        looks = [_signed(w, limit) for w in arrays["filters"]]
        strips.append({"title": say("filters"), "note": say("filters_note"), "kind": "weights", "rows": [("", looks)]})
    bare = card["config"].get("visible") == "gaussian"
    chain = card["model"]["kind"] != "sae"
    for title, note, rows in (
        ("reconstructions", "reconstructions_note", (("original", "inputs"), ("answer", "reconstructions"))),
        ("repaired", "repaired_note", (("given", "damaged"), ("answer", "repaired"))),
        ("completions", "completions_chain" if chain else "completions_code",
         (("original", "inputs"), ("given", "halves"), ("answer", "completions"))),
        ("samples", "samples_note", (("", "samples"),)),
    ):  # fmt: skip
        if all(key in arrays for _, key in rows):
            shown = [(say(name) if name else "", _images(arrays[key], arrays["inputs"], bare)) for name, key in rows]
            noted = say(note, share=f"{100 * DAMAGE:g}")
            strips.append({"title": say(title), "note": noted, "kind": "weights", "rows": shown})
    return strips


def _signed(values: Any, limit: float) -> str:
    return pictures.diverging(values.mean(axis=0), limit) if values.ndim == 3 else pictures.strip(values, limit)


def _images(values: Any, like: Any, bare: bool) -> list[str]:
    """Return images in grey; standardised ones in the range of ``like``, rows of a table as blocks of signed colour."""
    if values.ndim != 4:
        return [pictures.strip(v) for v in values]
    low, high = (float(like.min()), float(like.max())) if bare else (0.0, 1.0)
    return [pictures.grey((v - low) / ((high - low) or 1.0)) for v in values]


def _codes(arrays: dict[str, Any], card: dict[str, Any]) -> str:
    if "codes" not in arrays:
        return ""
    names = card["data"].get("label_names") or []
    return coloured_chart(arrays["codes"], arrays["code_labels"], [str(n) for n in names])


def _deltas(results: dict[str, Any]) -> list[list[str]]:
    return [
        [row["name"], number(row["random"]), number(row["pretrained"]), number(_ratio(row), 3)]
        for row in results.get("deltas", [])
    ]


def _ratio(row: dict[str, Any]) -> float | None:
    return row["pretrained"] / row["random"] if row["random"] else None


def _facts(card: dict[str, Any], say: Phrases) -> list[tuple[str, str]]:
    data, machine = card["data"], card["machine"]
    rows = [
        (say("command"), card["command"]), (say("seed"), card["seed"]), (say("origin"), data["origin"]),
        (say("digest"), data["digest"]), ("Gyaku", machine["gyaku"]), ("Python", machine["python"]),
        ("NumPy", machine["numpy"]), ("BLAS", f"{machine['blas']}, {machine['threads']}"),
        (say("started"), card.get("started")), (say("finished"), card.get("finished")),
        (say("wall"), say("seconds", s=number(card["wall_seconds"], 3))),
    ]  # fmt: skip
    return [(k, "–" if v is None else str(v)) for k, v in rows]
