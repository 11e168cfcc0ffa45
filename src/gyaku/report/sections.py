"""What each section of the report shows, as plain values and finished SVG for the template."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gyaku.base.text import Phrases
from gyaku.report import pictures
from gyaku.report.axes import finite, number, percent, span
from gyaku.report.charts import Series, bar_chart, histograms, line_chart, scatter_chart
from gyaku.report.reading import Run

MAX_WEIGHTS = 48  # pictures of first-layer units; more would not be looked at
MAX_LAYERS = 12


def headline(run: Run, say: Phrases) -> str:
    """Return the one sentence that says how good the network is, beside what needs no network."""
    if not run.results:
        return say("unfinished", status=say(f"status_{run.card['status']}"))
    part, show = run.last_part, shown(run)
    found = run.results["parts"][part]
    simple, linear = (b[part][run.metric] if b else None for b in _baselines(run))
    baseline = say("headline_baseline", simple=show(simple), linear=show(linear))
    values = {"n": found["n"], "value": show(found[run.metric]), "r2": number(found.get("r2"), 3), "baseline": baseline}
    if part != "test":
        return say("headline_no_test", part=say(part), metric=say(run.metric), **values)
    return say(f"headline_{run.metric}", **values)


def shown(run: Run) -> Any:
    """Return the function that formats the run's metric."""
    return percent if run.classifies else number


def _baselines(run: Run) -> tuple[dict[str, Any], dict[str, Any]]:
    found = run.results.get("baselines", {})
    return found.get("majority") or found.get("mean") or {}, found.get("linear") or {}


def tiles(run: Run, say: Phrases) -> list[tuple[str, str]]:
    """Return the large numbers under the headline: the metric on each part."""
    parts = run.results.get("parts", {})
    return [
        (f"{say(run.metric)} – {say(p)}", shown(run)(parts[p][run.metric]))
        for p in ("test", "dev", "train")
        if p in parts
    ]


def about(run: Run, say: Phrases) -> list[tuple[str, str]]:
    """Return the rows of "what was trained, on what"."""
    data, model = run.card["data"], run.card["model"]
    sizes = " / ".join(str(data["sizes"].get(p, 0)) for p in ("train", "dev", "test"))
    official = f" ({say('official')})" if data.get("official_test") else ""
    task = (
        say(data["task"], k=len(data.get("label_names") or ()))
        if data["task"] in ("multiclass", "segmentation")
        else say(data["task"])
    )
    rows = [(say("data"), f"{data['name']} — {data['origin']}"), (say("sizes"), sizes + official), (say("task"), task)]
    if data.get("target"):
        rows.append((say("target"), str(data["target"])))
    names = data.get("feature_names") or []
    if names and not data.get("image_shape"):
        rows.append((say("features"), ", ".join(map(str, names[:30])) + (" …" if len(names) > 30 else "")))
    return [*rows, (say("parameters"), f"{model['parameters']:,}")]


def curves(run: Run, say: Phrases) -> list[str]:
    """Return the charts of loss, metric and learning rate over the epochs."""
    if not run.metrics:
        return []
    epochs = [row["epoch"] for row in run.metrics]
    best = run.results.get("best_epoch")
    mark = (float(best), say("best", e=best)) if best else None
    charts = []
    for key in ("loss", "accuracy", "iou") if run.segments else ("loss", run.metric):
        both = [
            Series(say(p), epochs, [row.get(f"{p}_{key}") for row in run.metrics], f"var(--{p})")
            for p in ("train", "dev")
            if f"{p}_{key}" in run.metrics[0] or not run.segments
        ]
        if not both:
            continue
        bounds = accuracy_range(both) if key in ("accuracy", "iou") else None
        name = say("rmse_scaled" if key == "rmse" else key)
        charts.append(line_chart(both, say("epoch"), name, mark=mark, y_range=bounds))
    rates = [row.get("lr") for row in run.metrics]
    if len(set(rates)) > 1:
        charts.append(line_chart([Series("", epochs, rates, "var(--ink)")], say("epoch"), say("lr")))
    return charts


def accuracy_range(series: Sequence[Series]) -> tuple[float, float]:
    """Return a range for accuracies that never reaches above 1."""
    low, high = span([y for s in series for y in s.ys])
    return max(0.0, low), min(1.0, high)


def result_table(run: Run, say: Phrases) -> tuple[list[str], list[list[str]]]:
    """Return head and rows: this network on each part, then the baselines on the last part."""
    keys = ["loss", "accuracy"] if run.classifies else ["rmse", "mae", "r2"]
    keys += ["iou"] if run.segments else []
    last, whole = run.last_part, run.results["parts"]
    head = ["", say("n"), *[say(k) for k in keys]]
    rows = [[f"{say('network')} – {say(p)}", str(v["n"]), *[_cell(k, v) for k in keys]] for p, v in whole.items()]
    for name, parts in run.results.get("baselines", {}).items():
        figures = [_cell(k, parts[last]) for k in keys]
        rows.append([f"{say(name)} – {say(last)}", str(whole[last]["n"]), *figures])
    return head, rows


def _cell(key: str, values: dict[str, Any]) -> str:
    return percent(values.get(key)) if key in ("accuracy", "iou") else number(values.get(key))


def confusion(run: Run) -> list[list[dict[str, Any]]]:
    """Return the cells of the confusion matrix: count, share of its row, and whether it lies on the diagonal."""
    counts = run.results["parts"][run.last_part]["confusion"]
    return [
        [
            {"n": _told(n, sum(row), run.segments), "share": n / max(1, sum(row)), "right": i == j}
            for j, n in enumerate(row)
        ]
        for i, row in enumerate(counts)
    ]


def _told(n: int, row: int, pixels: bool) -> int | str:
    """Return a count; of pixels, of which there are too many to read, the percentage of their row."""
    return (f"{100 * n / row:.0f}" if n >= 0.005 * row > 0 else "") if pixels else n


def wrong_samples(run: Run) -> list[dict[str, Any]]:
    """Return the most wrong test samples, with pictures where they are images."""
    images = run.arrays.get("wrong_images")
    labels = run.card["data"].get("label_names") or []
    rows = []
    for i, w in enumerate(run.results.get("wrong", [])):
        picture = pictures.grey(images[i]) if images is not None and i < len(images) else None
        rows.append(
            {
                **w,
                "row": w["row"] + 1,  # as in every message, the first row is row 1
                "picture": picture,
                "truth": _label(labels, w["true"]),
                "answer": _label(labels, w["predicted"]),
                "percent": percent(w["probability"]),
            }
        )
    return rows


def _label(labels: Sequence[Any], k: Any) -> str:
    return str(labels[k]) if isinstance(k, int) and 0 <= k < len(labels) else str(k)


def regression_charts(run: Run, say: Phrases) -> list[str]:
    """Return predicted against true, and residuals against predicted, on the test part."""
    if "test_true" not in run.arrays:
        return []
    true, predicted = (np.asarray(run.arrays[k], dtype=np.float64).ravel() for k in ("test_true", "test_predicted"))
    return [
        scatter_chart(true.tolist(), predicted.tolist(), say("true_value"), say("predicted"), diagonal=True),
        scatter_chart(predicted.tolist(), (predicted - true).tolist(), say("predicted"), say("residual")),
    ]


def importance(run: Run, say: Phrases) -> str:
    """Return the bars of permutation importance, at most 20 columns; '' where it was not measured."""
    rows = run.results.get("importance", [])[:20]
    if not rows:
        return ""
    names, means, deviations = ([r[k] for r in rows] for k in ("column", "mean", "std"))
    return bar_chart(names, means, deviations, say(f"importance_{run.metric}"))


def inside(run: Run, say: Phrases) -> list[str]:
    """Return the charts of the layers' statistics over the epochs, one curve a layer, light near the input."""
    if not run.stats:
        return []
    epochs = [row["epoch"] for row in run.stats]
    charts = []
    for key, log in (
        ("std", False),
        ("delta_norm", True),
        ("update_ratio", True),
        ("dead", False),
        ("saturated", False),
    ):
        series = _layer_series(run, epochs, key)
        if any(finite(s.ys) for s in series):
            fraction = key in ("dead", "saturated")
            charts.append(
                line_chart(
                    series,
                    say("epoch"),
                    say("activation_std" if key == "std" else key),
                    log=log,
                    y_range=(0.0, max(0.05, *(max(finite(s.ys), default=0.0) for s in series))) if fraction else None,
                )
            )
    return charts


def _layer_series(run: Run, epochs: list[int], key: str) -> list[Series]:
    names = [layer["name"] for layer in run.stats[0]["layers"]]
    found = []
    for i, name in shown_layers(names):
        share = round(100 * (i + 1) / len(names))
        colour = f"color-mix(in oklch, var(--forward) {100 - share}%, var(--backward) {share}%)"
        values = [row["layers"][i].get(key) if i < len(row["layers"]) else None for row in run.stats]
        if finite(values):
            found.append(Series(name, epochs, values, colour))
    return found


def shown_layers(layers: Sequence[Any]) -> list[tuple[int, Any]]:
    """Return the layers with their places: all, or of many some at equal steps, the first and the last among them."""
    if len(layers) <= MAX_LAYERS:
        return list(enumerate(layers))
    places = np.linspace(0, len(layers) - 1, MAX_LAYERS).round().astype(int).tolist()
    return [(i, layers[i]) for i in places]


def layer_histograms(run: Run, say: Phrases) -> str:
    """Return the distributions of activations by layer, before and after training."""
    a, rows = run.arrays, []
    for _, layer in shown_layers(run.stats[-1]["layers"] if run.stats else []):
        name = layer["name"]
        keys = [f"histogram_{when}{part}/{name}" for when in ("first", "last") for part in ("", "_edges")]
        if all(k in a for k in keys):
            rows.append((name, *[a[k] for k in keys]))
    return histograms(rows, say("before"), say("after")) if rows else ""


def weight_pictures(run: Run) -> list[str]:
    """Return pictures of the first layer's units, where its inputs are an image."""
    weights = run.arrays.get("first_weights")
    if weights is None or weights.ndim != 4:
        return []
    limit = float(np.quantile(np.abs(weights), 0.995)) or 1.0
    return [pictures.diverging(w.mean(axis=0), limit) for w in weights[:MAX_WEIGHTS]]


def sample_strips(run: Run, say: Phrases) -> list[dict[str, Any]]:
    """Return one test sample layer by layer: values forward, deltas backward; of convolutions a map a channel."""
    a = run.arrays
    if "sample/input" not in a:
        return []
    image = a["sample/input"]
    first = pictures.diverging(image.mean(axis=0)) if image.ndim == 3 else pictures.strip(image)
    rows = [
        {
            "name": say("input"),
            "size": "×".join(map(str, image.shape)),
            "value": first,
            "delta": None,
            "norm": "",
            "maps": 0,
        }
    ]
    for _, layer in shown_layers(run.stats[-1]["layers"] if run.stats else []):
        value, delta = a.get(f"sample/{layer['name']}/value"), a.get(f"sample/{layer['name']}/delta")
        if value is not None:
            rows.append(
                {
                    "name": layer["name"],
                    "size": "×".join(map(str, value.shape)),
                    "value": pictures.maps(value),
                    "delta": None if delta is None else pictures.maps(delta),
                    "norm": "" if delta is None else number(float(np.linalg.norm(delta)), 3),
                    "maps": value.ndim == 3 and min(len(value), pictures.MAX_MAPS),
                }
            )
    return rows


def card(run: Run, say: Phrases) -> list[tuple[str, str]]:
    """Return the run card: what is needed to do it again."""
    c, machine, data = run.card, run.card["machine"], run.card["data"]
    rows = [
        (say("command"), c["command"]),
        (say("seed"), c["seed"]),
        (say("origin"), data["origin"]),
        (say("digest"), data["digest"]),
    ]
    rows += [
        (say(k), machine.get(k))
        for k in ("gyaku", "python", "numpy", "blas", "threads", "cores", "processor", "platform", "device")
    ]
    rows += [(say("started"), c.get("started")), (say("finished"), c.get("finished"))]
    if c.get("wall_seconds") is not None:
        rows.append((say("wall"), say("seconds", s=number(c["wall_seconds"], 3))))
    if run.results.get("stopped"):
        rows.append((say("stopped"), say(f"stop_{run.results['stopped']}")))
    return [(k, "–" if v is None else str(v)) for k, v in rows]
