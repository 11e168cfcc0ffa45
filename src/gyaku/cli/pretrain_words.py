"""What ``gyaku pretrain`` says, in English and Japanese."""

from __future__ import annotations

from gyaku.base.text import Phrases

_TABLE = {
    "rbm": ("restricted Boltzmann machine", "制限ボルツマンマシン"),
    "dbn": ("deep belief network", "深層信念ネットワーク"),
    "dbm": ("deep Boltzmann machine", "深層ボルツマンマシン"),
    "sae": ("stacked autoencoder", "積層オートエンコーダ"),
    "on": (
        "{model} {text} on {name}: {train} training, {dev} development, {test} test samples, no labels used",
        "{name} で {model} {text} を事前学習: 学習 {train} 件、開発 {dev} 件、評価 {test} 件 (ラベルは使いません)",
    ),
    "row": ("{stage}, epoch {epoch}  error {error:.5f}", "{stage}、エポック {epoch}  誤差 {error:.5f}"),
    "layer": ("layer {n}", "第 {n} 層"),
    "joint": ("all layers", "全層"),
    "examining": ("judging", "評価中"),
    "trained": ("{epochs} epochs over all layers, {seconds:.1f} s", "全層で {epochs} エポック、{seconds:.1f} 秒"),
    "error": (
        "{part} reconstruction error {value:.5f} a value   ({baselines})",
        "{part} 再構成誤差 {value:.5f} (1 値あたり)   ({baselines})",
    ),
    "mean": ("mean image {value:.5f}", "平均画像 {value:.5f}"),
    "pca": ("PCA with {code} components {value:.5f}", "主成分分析 ({code} 成分) {value:.5f}"),
    "exact": (
        "{part} log-likelihood {value:.2f} nats a sample (exact)",
        "{part} 対数尤度 {value:.2f} ナット/サンプル (厳密)",
    ),
    "annealed": (
        "{part} log-likelihood {value:.2f} nats a sample (log Z annealed, standard error {error:.2f})",
        "{part} 対数尤度 {value:.2f} ナット/サンプル (log Z は AIS、標準誤差 {error:.2f})",
    ),
    "bound": (
        "{part} log-likelihood at least {value:.2f} nats a sample (standard error of log Z {error:.2f}, 0: exact)",
        "{part} 対数尤度の下界 {value:.2f} ナット/サンプル (log Z の標準誤差 {error:.2f}、0 は厳密値)",
    ),
    "train": ("train", "学習"),
    "dev": ("dev", "開発"),
    "test": ("test", "評価"),
    "model": (
        "model:   {path}   (gyaku train DATA --init-from {run})",
        "モデル:   {path}   (gyaku train DATA --init-from {run})",
    ),
    "report": ("report:  {path}", "レポート: {path}"),
    "interrupted": (
        "interrupted; a pre-training is not resumed. What is in {run} is its log only: start again with --force",
        "中断しました。事前学習は再開できません。{run} にあるのは記録だけです。--force で最初からやり直してください",
    ),
    "status": ("status", "状態"),
    "run": ("run", "実行"),
    "data": ("data", "データ"),
    "kind": ("model", "モデル"),
    "parameters": ("parameters", "パラメータ"),
    "seed": ("seed", "シード"),
    "epochs": ("epochs", "エポック"),
    "seconds": ("seconds", "秒"),
    "next": ("next", "次"),
    "part_error": ("{part} error", "{part} 誤差"),
}


def pretrain_words(lang: str | None = None) -> Phrases:
    """Return the phrases of the command in the chosen language (``--lang``, ``GYAKU_LANG``, the locale)."""
    return Phrases(_TABLE, lang)
