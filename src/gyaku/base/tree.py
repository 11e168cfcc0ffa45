"""Nested dicts and lists with arrays at their leaves, taken apart into arrays and a description in JSON, and back.

JSON says ``list``, ``dict`` with string keys, strings, booleans, None, integers and finite floats as itself. What it
cannot say is a dict with one key that starts with a dollar sign:

    {"$array": "name"}   {"$float": "nan"}   {"$items": [[key, value], ...]}   (a dict with other keys)
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from gyaku.base.errors import DataError, DtypeError
from gyaku.base.header import METADATA, short, strict_json

DEPTH_LIMIT = 100  # levels of nesting; a structure that contains itself ends here
DIGIT_LIMIT = 4000  # Python refuses to read integers of more than 4300 digits

_FLOATS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def flatten(tree: object, where: str) -> tuple[dict[str, np.ndarray], str]:
    """Return the arrays of ``tree`` by name (their path, ``optimizer.state[0].m``) and its structure as JSON.

    Tuples become lists and NumPy scalars 0-d arrays. Raises ``DtypeError`` for anything else than arrays, numbers,
    strings, booleans, None, lists and dicts, naming its path.

    >>> flatten({"w": np.ones(2), "step": 3}, "save")
    ({'w': array([1., 1.])}, '{"w":{"$array":"w"},"step":3}')
    """
    arrays: dict[str, np.ndarray] = {}
    return arrays, json.dumps(_taken_apart(tree, "", 0, arrays, where), separators=(",", ":"), allow_nan=False)


def _taken_apart(tree: Any, path: str, depth: int, arrays: dict[str, np.ndarray], where: str) -> Any:
    if depth > DEPTH_LIMIT:
        raise DataError(where, f"at most {DEPTH_LIMIT} levels", "more: does it contain itself?")
    if isinstance(tree, (np.ndarray, np.generic)):
        return {"$array": _add(np.asarray(tree), path, arrays)}
    if isinstance(tree, (list, tuple)):
        return [_taken_apart(item, f"{path}[{i}]", depth + 1, arrays, where) for i, item in enumerate(tree)]
    if isinstance(tree, dict):
        rows = [(k, _taken_apart(v, _below(path, k), depth + 1, arrays, where)) for k, v in tree.items()]
        plain = all(type(key) is str and not key.startswith("$") for key, _ in rows)
        return dict(rows) if plain else {"$items": [[_scalar(k, f"key of {path}", where), v] for k, v in rows]}
    return _scalar(tree, path, where)


def _below(path: str, key: object) -> str:
    if not isinstance(key, str):
        return f"{path}[{key!r}]"
    return f"{path}.{key}" if path else key


def _add(array: np.ndarray, path: str, arrays: dict[str, np.ndarray]) -> str:
    name, number = path or "array", 1
    while name in arrays or name == METADATA:  # {"a": {"b": x}, "a.b": y}
        number += 1
        name = f"{path}#{number}"
    arrays[name] = array
    return name


def _scalar(value: Any, path: str, where: str) -> Any:
    if value is None or type(value) in (str, bool):
        return value
    if type(value) is int and value.bit_length() < 3 * DIGIT_LIMIT:
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {"$float": repr(value)}
    kind = "an integer of too many digits" if type(value) is int else type(value).__name__
    wanted = "arrays, numbers, strings, booleans, None, or lists and dicts of them"
    raise DtypeError(where, wanted, f"{path or 'the object itself'}: {kind}")


def rebuild(text: str, arrays: dict[str, np.ndarray], where: str) -> Any:
    """Return the tree that ``flatten`` took apart. Raises ``DataError`` when text and arrays do not belong together."""
    rest = dict(arrays)
    tree = _put_together(strict_json(text.encode("utf-8", "surrogatepass"), where, "the structure"), 0, rest, where)
    if rest:
        raise DataError(
            where, "every array to have its place in the structure", f"{short(next(iter(rest)))} without one"
        )
    return tree


def _put_together(node: Any, depth: int, rest: dict[str, np.ndarray], where: str) -> Any:
    if depth > 2 * DEPTH_LIMIT + 2:  # a dict with other keys takes two levels of JSON
        raise DataError(where, f"at most {DEPTH_LIMIT} levels in the structure", "more")
    if isinstance(node, list):
        return [_put_together(item, depth + 1, rest, where) for item in node]
    if not isinstance(node, dict):
        return node
    mark = next((key for key in node if key.startswith("$")), "")
    if mark:
        return _marked(mark, node, depth, rest, where)
    return {key: _put_together(value, depth + 1, rest, where) for key, value in node.items()}


def _marked(mark: str, node: dict[str, Any], depth: int, rest: dict[str, np.ndarray], where: str) -> Any:
    value = node[mark]
    if len(node) == 1 and isinstance(value, str):
        if mark == "$array" and value in rest:
            return rest.pop(value)
        if mark == "$float" and value in _FLOATS:
            return _FLOATS[value]
    if len(node) == 1 and mark == "$items" and _is_pairs(value):
        rows = [(_put_together(k, depth + 1, rest, where), _put_together(v, depth + 2, rest, where)) for k, v in value]
        if len(found := dict(rows)) == len(rows):
            return found
    raise DataError(where, "a structure written by Gyaku", short(node))


def _is_pairs(value: object) -> bool:
    """Whether this is a list of [key, value] with keys that a dict can have."""
    if not isinstance(value, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in value):
        return False
    return all(
        not isinstance(key, (list, dict)) or (isinstance(key, dict) and set(key) == {"$float"}) for key, _ in value
    )
