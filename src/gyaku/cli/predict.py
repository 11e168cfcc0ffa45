"""``gyaku predict``."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import click
import numpy as np

from gyaku.base.errors import DataError, UnknownNameError
from gyaku.cli.options import json_option, lang_option
from gyaku.cli.terminal import answer_json, tell
from gyaku.cli.words import words

_EXAMPLES = """
\b
Examples:
  gyaku predict runs/sales new.csv --out answers.csv
  gyaku predict runs/digits/model.safetensors digits --json
  gyaku predict runs/scenes pictures --out masks
"""


@click.command(epilog=_EXAMPLES)
@click.argument("model")
@click.argument("data")
@click.option("--out", type=click.Path(), help="CSV file of the answers (UTF-8), else stdout; folder of the masks.")
@click.option("--on-unknown", type=click.Choice(["error", "ignore"]), default="error", show_default=True,
              help="What to do with a category or a missing cell that training never saw.")  # fmt: skip
@click.option("--encoding", help="Encoding of a CSV file; else UTF-8, then cp932.")
@click.option("--delimiter", help="Delimiter of a CSV file; else from its name and header.")
@click.option("--folder", help="Folder with the files of mnist or fashion-mnist.")
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
@click.option("--quiet", is_flag=True, help="No messages but errors.")
@json_option
@lang_option
def predict(
    model: str, data: str, out: str | None, on_unknown: str, encoding: str | None, delimiter: str | None,
    folder: str | None, device: str, quiet: bool, as_json: bool, lang: str | None,
) -> None:  # fmt: skip
    """Answer DATA with a trained MODEL (a run folder or its model.safetensors).

    Tables are read by column name, in any order, with the scaling and categories of training; images (a folder, an
    image file, IDX or NPZ) are brought to the size of training. Answers: labels and probabilities, or values in the
    target's units; of a segmentation, masks as PNG in the folder --out, in the size of the pictures, never over files
    that are there. Of a data set with an official test part, that part is answered.
    """
    from gyaku.train import load_model

    say = words(lang)
    trained = load_model(model, on=device)
    if trained.recipe.task != "segmentation":
        _check_out(out)
    options = {"encoding": encoding, "delimiter": delimiter, "folder": folder}
    source = read_source(data, trained.recipe, {key: value for key, value in options.items() if value is not None})
    if trained.recipe.task == "segmentation":
        from gyaku.cli.masks import predict_masks

        predict_masks(trained, source, data, out, as_json=as_json, quiet=quiet, say=say)
        return
    answers = trained.predict(source, on_unknown=on_unknown)
    if as_json:
        answer_json(_as_json(answers, trained.recipe))
    if out is not None:
        _write(Path(out), _as_csv(answers, trained.recipe))
    elif not as_json:
        click.echo(_as_csv(answers, trained.recipe), nl=False)
    if not quiet:
        if out is not None:
            tell(say("predicted", n=len(_column(answers)), path=out))
        _score(source, trained.recipe, answers, say)


def _check_out(out: str | None) -> None:
    """Refuse a place that cannot hold the answers before any work is done."""
    if out is not None and Path(out).is_dir():
        raise DataError("--out", "the name of a file", f"the folder {out}")
    if out is not None and not Path(out).parent.is_dir():
        raise DataError("--out", "a file in a folder that exists", out, hint="make the folder first")


def read_source(data: str, recipe: Any, options: dict[str, Any]) -> Any:
    """Return the data to answer: what ``load`` reads, an image file, or a folder of images without classes."""
    from gyaku.data import load
    from gyaku.data.masks import is_segmentation
    from gyaku.data.pictures import EXTENSIONS, class_folders, image_files

    path = Path(data)
    if recipe.image is not None and path.is_dir() and is_segmentation(path):
        return load(data, **options, size=recipe.image.shape[1:], channels=_channels(recipe))
    if data == "scenes" and recipe.image is not None:
        options = options | {"size": recipe.image.shape[1:]}
    if recipe.image is not None and path.suffix.lower() in EXTENSIONS and path.is_file():
        return _images([path], recipe)
    if recipe.image is not None and path.is_dir():
        if image_files(path) and not class_folders(path):
            return _images(image_files(path), recipe)
        if class_folders(path):
            options = options | {"size": recipe.image.shape[1:]}
    if path.suffix.lower() in (".csv", ".tsv", ".txt") and recipe.text_columns:
        try:
            return load(data, **options, text=recipe.text_columns)
        except UnknownNameError:  # a column is missing: the recipe says which, and what to do
            return load(data, **options)
    source = load(data, **options)
    return source.test if source.test is not None else source


def _images(files: list[Path], recipe: Any) -> Any:
    from dataclasses import replace

    from gyaku.data import from_arrays
    from gyaku.data.pictures import read_images

    images = read_images(files, size=recipe.image.shape[1:], channels=_channels(recipe))
    return replace(from_arrays(images), row_names=tuple(file.name for file in files))


def _channels(recipe: Any) -> int | None:
    channels = recipe.image.shape[0]
    return channels if channels in (1, 3) else None


def _column(answers: Any) -> Any:
    return answers.values if answers.labels is None else answers.labels


def _as_json(answers: Any, recipe: Any) -> dict[str, Any]:
    if answers.labels is None:
        return {"target": recipe.target, "values": answers.values.tolist()}
    return {
        "target": recipe.target,
        "classes": list(recipe.labels),
        "labels": answers.labels.tolist(),
        "probabilities": answers.probabilities.tolist(),
    }


def _as_csv(answers: Any, recipe: Any) -> str:
    """Return a table: the answer under the target's name, then for classes the probability of each."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    if answers.labels is None:
        writer.writerow([recipe.target])
        writer.writerows([repr(float(value))] for value in answers.values)
    else:
        writer.writerow([recipe.target, *(f"p({label})" for label in recipe.labels)])
        for label, row in zip(answers.labels, answers.probabilities, strict=True):
            writer.writerow([label, *(f"{p:.6f}" for p in row)])
    return file.getvalue()


def _write(path: Path, text: str) -> None:
    from gyaku.base.files import write_text_atomic

    write_text_atomic(path, text)


def _score(source: Any, recipe: Any, answers: Any, say: Any) -> None:
    """Where the data carries the true answers, too, say how good the predictions are."""
    true = _true(source, recipe)
    if true is None:
        return
    if answers.labels is None:
        error = np.sqrt(np.mean((recipe.decode(true).values - answers.values) ** 2))
        tell(say("scored_values", n=len(true), value=float(error)))
    else:
        found = np.array(recipe.labels, dtype=object)[true] == answers.labels
        tell(say("scored", n=len(true), value=float(found.mean())))


def _true(source: Any, recipe: Any) -> Any:
    try:
        if source.labels is not None:
            names = np.array(source.label_names, dtype=object)
            return recipe.encode(names[source.labels] if source.label_names else source.labels)
        return recipe.encode(source.columns[recipe.target]) if recipe.target in source.columns else None
    except DataError:  # a target column with gaps or new classes: there is nothing to compare with
        return None
