"""What the command says, in English and Japanese."""

from __future__ import annotations

from gyaku.base.text import Phrases

_TABLE = {
    "error": ("error: {text}", "エラー: {text}"),
    "note": ("note: {text}", "注意: {text}"),
    "train_on": (
        "{name}: {train} training, {dev} development, {test} test samples ({task})",
        "{name}: 学習 {train} 件、開発 {dev} 件、評価 {test} 件 ({task})",
    ),
    "network": ("network: {text}, {parameters} parameters", "ネットワーク: {text}、パラメータ {parameters} 個"),
    "multiclass": ("{n} classes", "{n} クラス分類"),
    "binary": ("two classes", "2 クラス分類"),
    "regression": ("regression", "回帰"),
    "best": (
        "best epoch {best} of {epochs}, {seconds:.1f} s of training",
        "最良エポック {best} / {epochs}、学習 {seconds:.1f} 秒",
    ),
    "accuracy": (
        "{part} accuracy {value:.4f}   (linear model {linear:.4f}, always the most frequent class {constant:.4f})",
        "{part} 正解率 {value:.4f}   (線形モデル {linear:.4f}、最頻クラスのみ {constant:.4f})",
    ),
    "rmse": (
        "{part} rmse {value:.5g}   (linear model {linear:.5g}, always the mean {constant:.5g}), R2 {r2:.4f}",
        "{part} RMSE {value:.5g}   (線形モデル {linear:.5g}、平均値のみ {constant:.5g})、決定係数 {r2:.4f}",
    ),
    "iou": (
        "{part} mean IoU {value:.4f}, pixels {pixels:.4f}   (mean IoU of a linear filter {linear:.4f}, of the most "
        "frequent class alone {constant:.4f})",
        "{part} 平均 IoU {value:.4f}、画素の正解率 {pixels:.4f}   (平均 IoU: 線形フィルタ {linear:.4f}、"
        "最頻クラスのみ {constant:.4f})",
    ),
    "not_better": (
        "the network is not better than the linear model on {part}: use the simpler one, or look into the report",
        "{part}で線形モデルを上回っていません。単純なモデルを使うか、レポートを確認してください",
    ),
    "not_better_constant": (
        "on {part} the network is not better than the same answer every time: look at the classes in the report",
        "{part}で、いつも同じ答えを返すのと変わりません。レポートの混同行列を確認してください",
    ),
    "several": (
        "{part} {metric} {value}   ({n} seeds, 95% interval)",
        "{part} {metric} {value}   ({n} シード、95% 信頼区間)",
    ),
    "name_accuracy": ("accuracy", "正解率"),
    "name_rmse": ("rmse", "RMSE"),
    "name_iou": ("mean IoU", "平均 IoU"),
    "loss": ("loss", "損失"),
    "best_seed": (
        "the report is that of seed {seed}, the best on {part}",
        "レポートは{part}で最良だったシード {seed} のものです",
    ),
    "summary": ("summary: {path}", "まとめ:   {path}"),
    "diverged": ("diverged ({n})", "発散 ({n})"),
    "chosen": ("chosen on dev: {text}", "開発データで選択: {text}"),
    "report": ("report:  {path}", "レポート: {path}"),
    "model": ("model:   {path}   (gyaku predict {run} DATA)", "モデル:   {path}   (gyaku predict {run} DATA)"),
    "resume": (
        "interrupted; a checkpoint was saved. Go on with: gyaku train --resume {run}",
        "中断しました。チェックポイントは保存済みです。再開: gyaku train --resume {run}",
    ),
    "interrupted": ("interrupted", "中断しました"),
    "finished_before": ("the run in {run} is already finished", "{run} の学習はすでに終わっています"),
    "other_name": ("{first} exists already; this run goes to {run}", "{first} はすでにあるため、{run} に保存します"),
    "predicted": ("{n} rows predicted: {path}", "{n} 行を予測しました: {path}"),
    "masks_written": ("{n} masks written: {path}", "マスク {n} 枚を保存しました: {path}"),
    "scored_masks": (
        "on the {n} pictures with masks: mean IoU {value:.4f}, pixels right {pixels:.4f}",
        "正解マスクのある {n} 枚: 平均 IoU {value:.4f}、画素の正解率 {pixels:.4f}",
    ),
    "pixels": ("pixels", "画素"),
    "scored": ("accuracy on the {n} labelled rows: {value:.4f}", "正解のある {n} 行での正解率: {value:.4f}"),
    "scored_values": ("rmse on the {n} rows with a target: {value:.5g}", "正解のある {n} 行での RMSE: {value:.5g}"),
    "rows": ("{n} rows", "{n} 行"),
    "and_test": ("and {n} rows of an official test part", "ほかに公式の評価用 {n} 行"),
    "images": ("images of {shape}, values {low:g} to {high:g}", "画像 {shape}、値は {low:g} から {high:g}"),
    "classes": ("classes: {text}", "クラス: {text}"),
    "column": ("column", "列"),
    "type": ("type", "型"),
    "missing": ("missing", "欠損"),
    "values": ("values", "値"),
    "distinct": ("{n} different", "{n} 種類"),
    "run": ("run", "実行"),
    "status": ("status", "状態"),
    "data": ("data", "データ"),
    "net": ("network", "ネットワーク"),
    "parameters": ("parameters", "パラメータ"),
    "seed": ("seed", "シード"),
    "epochs": ("epochs", "エポック"),
    "train": ("train", "学習"),
    "dev": ("dev", "開発"),
    "test": ("test", "評価"),
    "linear": ("linear", "線形"),
    "seconds": ("seconds", "秒"),
    "left_out": (
        "left out {run}, a pre-training: gyaku info {run} shows it",
        "{run} は事前学習のため省きました。gyaku info {run} で表示できます",
    ),
    "internal": (
        "this should not happen; set GYAKU_DEBUG=1 to see where, and please report it",
        "予期しないエラーです。GYAKU_DEBUG=1 で詳細を表示できます。ご報告ください",
    ),
}


def words(lang: str | None = None) -> Phrases:
    """Return the phrases of the command in the chosen language (``--lang``, ``GYAKU_LANG``, the locale)."""
    return Phrases(_TABLE, lang)
