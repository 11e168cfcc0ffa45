"""``gyaku doctor RUN``: the verdict on a run folder, from its logs, and from a short rerun where the data is there."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gyaku.base.errors import DataError
from gyaku.base.files import read_bounded, read_jsonl, write_text_atomic
from gyaku.doctor.case import Case
from gyaku.doctor.examine import examine_plan
from gyaku.doctor.plan import Plan, make_plan
from gyaku.doctor.probe import LayerVitals
from gyaku.doctor.rules import RULES, diagnose
from gyaku.doctor.trace import Score, Trace
from gyaku.doctor.verdict import Finding, Verdict, ranked
from gyaku.train.config import Config
from gyaku.train.objective import Objective
from gyaku.train.run import METRICS, STATS, VERDICT, build_model, config_of, prepare_data, read_card
from gyaku.train.schedule import make_optimizer

_LEARNT = 0.8  # of the way to loss 0: what a short rerun has not reached yet is then no disease
_TRIED = {"bad_init", "dropout_strong", "l2_strong", "lr_high", "lr_low"}
_LIMIT = 2**26
_LETTERS = {"ReLU": "Relu", "Sigmoid": "Sigmoid", "Tanh": "Tanh"}


def examine_run(folder: str | Path, *, steps: int = 300, proof: bool = True, lang: str | None = None) -> Verdict:
    """Return the verdict on a run: its logs, and a rerun of at most ``steps`` steps where its data can be read.

    ``seen["rerun"]`` says whether there was one. Raises ``DataError`` when the folder is no run.
    """
    folder = Path(folder)
    card = read_card(folder)
    config = config_of(card)
    plan = _plan(config, card, steps)
    logged = _case_of_logs(folder, plan)
    from_logs = () if logged is None else diagnose(logged, proof=False)
    if plan is None:
        return Verdict(ranked(from_logs), _seen(logged, rerun=False), lang)
    short = examine_plan(plan, proof=proof)
    learnt = logged is not None and logged.progress > _LEARNT
    kept = [f for f in short.findings if not (learnt and (RULES[f.key].alone or f.key in ("l2_strong", "overfitting")))]
    known = {f.key for f in kept} | _TRIED  # what a rerun has tried, the logs need not guess
    found = [*kept, *(_proved_by(short, f) for f in from_logs if f.key not in known)]
    return Verdict(ranked(found), short.seen | {"rerun": True}, lang)


def _proved_by(short: Verdict, finding: Finding) -> Finding:
    same = next((f for f in short.findings if f.key == finding.key), None)
    return finding if same is None else replace(finding, proof=same.proof)


def _plan(config: Config, card: dict[str, Any], steps: int) -> Plan | None:
    """Return the training that a card describes; None where its data is gone or has another content."""
    try:
        data = prepare_data(config)
    except (DataError, OSError):
        return None
    if data.digest != card["data"]["digest"]:
        return None
    weights = _weights(config, data)
    objective = Objective(data.kind, label_smoothing=config.label_smoothing or 0.0, class_weight=weights)
    plan = make_plan(
        build_model(config, data), data, dev=None, test=None, loss=objective.loss, optimizer="adam", lr=None,
        momentum=None, weight_decay=None, l1=0.0, l2=0.0, batch_size=config.batch or 64, steps=steps, shuffle=True,
        clip_norm=config.clip, step=None, validate=None, seed=config.seed,
    )  # fmt: skip
    names = ("lr", "momentum", "weight_decay", "l1", "l2")
    options = {name: getattr(config, name) for name in names}

    def make(model: Any) -> tuple[Any, Any]:
        twin = plan.make(model)[0]
        return twin, make_optimizer(str(config.optimizer), twin, **options)

    whole = (config.epochs or 1) * max(1, len(data.x_train) // (config.batch or 64))
    return replace(plan, make=make, steps=max(1, min(steps, whole)))


def _weights(config: Config, data: Any) -> Any:
    if not config.balanced:
        return None
    from gyaku.data import class_weights

    return class_weights(data.t_train, data.n_classes)


def _case_of_logs(folder: Path, plan: Plan | None) -> Case | None:
    """Return what metrics.jsonl and stats.jsonl show of the whole run; None where there are none."""
    rows, looks = (_rows(folder / name) for name in (METRICS, STATS))
    if not rows:
        return None
    try:
        trace = Trace(losses=[float(r["train_loss"]) for r in rows], scores=[_score(r) for r in rows])
        trace.looks = [(k, [_layer(layer) for layer in row["layers"]]) for k, row in enumerate(looks)]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"read {folder}", f"the logs of a run ({METRICS}, {STATS})", f"rows with {error!r}") from error
    if not all(np.isfinite(trace.losses)):
        trace.not_finite = len(trace.losses)
    facts, baseline = None, float("nan")
    if plan is not None:
        from gyaku.doctor.case import baseline_of
        from gyaku.doctor.facts import facts_of

        facts, baseline = facts_of(plan), baseline_of(plan)
        model, optimizer = plan.fresh()
        return Case(trace, facts, model, optimizer, plan.batch_size, None, baseline)
    import gyaku

    return Case(trace, facts, gyaku.nn.Identity(), None, 64, None, baseline)


def _rows(path: Path) -> list[dict[str, Any]]:
    return list(read_jsonl(path).rows) if path.is_file() else []


def _score(row: dict[str, Any]) -> Score:
    def error(part: str) -> float:
        value = row.get(f"{part}_accuracy")
        rmse = row.get(f"{part}_rmse")
        return 1.0 - value if value is not None else float("nan") if rmse is None else rmse * rmse

    dev = row.get("dev_loss")
    return Score(row["step"], row["train_loss"], error("train"), dev, None if dev is None else error("dev"))


def _layer(row: dict[str, Any]) -> LayerVitals:
    """Return a logged layer; what is not logged is given values that no rule minds."""
    return LayerVitals(
        name=row["name"], units=row["units"], activation=_LETTERS.get(row["activation"], ""), value_std=row["std"],
        pre_std=row["std"], delta=row["delta_norm"], dead=row["dead"], saturated=row["saturated"],
        weight_norm=row["weight_norm"], gain=1.0, offset=0.0, alike=False, gradient=0.0,
        update_ratio=row["update_ratio"],
    )  # fmt: skip


def _seen(case: Case | None, *, rerun: bool) -> dict[str, Any]:
    if case is None:
        return {"steps": 0, "rerun": rerun}
    last = case.trace.scores[-1]
    return {"steps": last.step, "rerun": rerun, "last_loss": case.last_loss}


def write_verdict(folder: str | Path, verdict: Verdict) -> Path:
    """Write ``doctor.json`` into a run folder, atomically, and return its path."""
    path = Path(folder) / VERDICT
    write_text_atomic(path, json.dumps(verdict.to_json(), ensure_ascii=False, indent=1) + "\n")
    return path


def read_verdict(folder: str | Path) -> dict[str, Any] | None:
    """Return ``doctor.json`` of a run folder, None where there is none. Raises ``DataError`` for another content."""
    path = Path(folder) / VERDICT
    if not path.is_file():
        return None
    try:
        found = json.loads(read_bounded(path, _LIMIT))
    except (ValueError, RecursionError) as error:
        raise DataError(f"read {path}", "JSON", str(error)[:80]) from error
    if not isinstance(found, dict) or not isinstance(found.get("findings"), list) or "healthy" not in found:
        raise DataError(f"read {path}", "a verdict of the doctor", "another JSON file")
    return found
