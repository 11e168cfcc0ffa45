"""The RBM as scikit-learn's own checks, pipelines and searches see it."""

from __future__ import annotations

import copy
import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import check_estimator

from gyaku.estimators import BernoulliRBM


def patterns(n: int = 200) -> Any:
    rng = np.random.default_rng(0)
    p = np.repeat(np.array([[0.9, 0.9, 0.9, 0.1, 0.1, 0.1], [0.1, 0.1, 0.1, 0.9, 0.9, 0.9]]), n // 2, 0)
    return (rng.random(p.shape) < p).astype(np.float32)


@pytest.mark.slow
def test_it_passes_check_estimator() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # values outside [0, 1], which the checks give
        check_estimator(BernoulliRBM(n_components=3, n_iter=2))


def test_names_and_defaults_are_those_of_scikit_learn() -> None:
    from sklearn.neural_network import BernoulliRBM as Theirs

    ours, theirs = BernoulliRBM().get_params(), Theirs().get_params()
    assert {k: ours[k] for k in theirs} == theirs
    fitted = Theirs(n_components=2).fit(patterns())
    mine = BernoulliRBM(n_components=2).fit(patterns())
    for name in ("components_", "intercept_hidden_", "intercept_visible_", "h_samples_"):
        assert getattr(mine, name).shape == getattr(fitted, name).shape


def test_same_state_same_bits() -> None:
    x = patterns()
    a, b, c = (BernoulliRBM(n_components=4, n_iter=3, random_state=s).fit(x) for s in (0, 0, 1))
    for name in ("components_", "h_samples_"):
        assert getattr(a, name).tobytes() == getattr(b, name).tobytes() != getattr(c, name).tobytes()
    twin = copy.deepcopy(a)
    assert a.partial_fit(x).components_.tobytes() == twin.partial_fit(x).components_.tobytes()
    assert a.gibbs(x).tobytes() == twin.gibbs(x).tobytes()
    np.testing.assert_array_equal(a.score_samples(x), twin.score_samples(x))


def test_single_precision_stays_and_scores_rise() -> None:
    x = patterns()
    begin = BernoulliRBM(n_components=4, n_iter=1, learning_rate=1e-6, random_state=0).fit(x)
    end = BernoulliRBM(n_components=4, n_iter=40, random_state=0).fit(x)
    assert end.transform(x).dtype == end.components_.dtype == np.float32
    assert end.score_samples(x).mean() > begin.score_samples(x).mean() + 0.5
    assert set(np.unique(end.gibbs(x))) <= {0.0, 1.0}


def test_it_goes_into_pipelines_and_searches() -> None:
    x = patterns()
    t = np.repeat([0, 1], len(x) // 2)
    pipe = make_pipeline(MinMaxScaler(), BernoulliRBM(n_components=4, random_state=0), LogisticRegression())
    search = GridSearchCV(pipe, {"bernoullirbm__n_iter": [1, 5]}, cv=2).fit(x, t)
    assert search.score(x, t) > 0.95
    assert list(pipe[:-1].fit(x).get_feature_names_out()) == [f"bernoullirbm{i}" for i in range(4)]


def test_values_outside_are_warned_of() -> None:
    with pytest.warns(UserWarning, match=r"in \[0, 1\], got 0 to 3. Hint: scale"):
        BernoulliRBM(n_components=2, n_iter=1).fit(3 * patterns())


def test_without_scikit_learn_one_line_says_what_to_install() -> None:
    code = "import sys; sys.modules['sklearn'] = None\nimport gyaku.estimators\ngyaku.estimators.BernoulliRBM"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'gyaku[sklearn]'" in done.stderr.splitlines()[-1]
