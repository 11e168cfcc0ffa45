"""The words of the doctor, English and Japanese: one sentence of evidence for each disease, and the frame around."""

from __future__ import annotations

import re

Pairs = dict[str, tuple[str, str]]

EVIDENCE: Pairs = {
    "target_shape": (
        "outputs {output} against targets {target}: the loss broadcasts them to all pairs of samples",
        "出力 {output} と正解 {target} が、全サンプルの組にブロードキャストされています",
    ),
    "target_shape.column": (
        "classes must be one number a sample, (N,); they come as {target}",
        "クラスは 1 サンプルに 1 つの番号 (N,) ですが、{target} で渡されています",
    ),
    "label_offset": (
        "labels run from {lowest} to {highest} with {outputs} output units: expected 0 to {last}",
        "ラベルは {lowest} から {highest}、出力ユニットは {outputs} 個です。0 から {last} でなければなりません",
    ),
    "wrong_pair": (
        "{given} stands before {loss}, which applies its own output function again",
        "{loss} が出力関数を含むのに、その前に {given} があります",
    ),
    "wrong_pair.needs": (
        "{loss} expects probabilities, but gets {given} with values from {low} to {high}",
        "{loss} は確率を受け取りますが、{given} の値 {low} から {high} が渡されています",
    ),
    "wrong_pair.range": (
        "{given} can only give {low} to {high}, but the targets run from {lowest} to {highest}",
        "{given} の出力は {low} から {high} に限られますが、正解は {lowest} から {highest} です",
    ),
    "no_zero_grad": (
        "in {carried} of {steps} steps the gradient of the step before was still there and was added to the new one",
        "{steps} ステップ中 {carried} 回で、前のステップの勾配が残ったまま加算されました",
    ),
    "eval_in_training": (
        "in {asleep} of {steps} training steps {modules} dropout and batch norm layers were in eval mode",
        "学習 {steps} ステップ中 {asleep} 回で、ドロップアウト・バッチ正規化 {modules} 層が eval モードでした",
    ),
    "train_in_evaluation": (
        "in {awake} of {times} evaluations dropout or batch norm was in train mode",
        "評価 {times} 回中 {awake} 回で、ドロップアウトまたはバッチ正規化が train モードでした",
    ),
    "leak": (
        "{percent} % of the {part} rows are training rows, too",
        "{part} データの {percent} % が訓練データにも含まれています",
    ),
    "duplicates": (
        "{percent} % of the training rows are copies of another one",
        "訓練データの {percent} % が別のサンプルの複製です",
    ),
    "label_noise": (
        "for {percent} % of the samples at least 7 of the 10 most similar ones agree on another label",
        "{percent} % のサンプルで、最も近い 10 個のうち 7 個以上が別のラベルで一致しています",
    ),
    "imbalance": (
        "class {rare} has {percent} % of the rows, class {often} {ratio} times as many",
        "クラス {rare} は全体の {percent} %、クラス {often} はその {ratio} 倍あります",
    ),
    "not_shuffled": (
        "the variety of targets within a batch is {percent} % of that of shuffled batches",
        "バッチ内の正解の多様さが、シャッフルした場合の {percent} % しかありません",
    ),
    "not_normalised": (
        "root mean square of the inputs {scale}, |mean| / deviation {mean}, largest over median deviation of the "
        "features {spread}",
        "入力の二乗平均平方根 {scale}、|平均|／標準偏差 {mean}、特徴量の標準偏差の最大／中央値 {spread}",
    ),
    "bad_init": (
        "weights of deviation {gain} / sqrt(inputs); useful are about 0.5 to 2 (1.41: He, 1: Glorot)",
        "重みの標準偏差は {gain} / √入力数 です。目安は 0.5〜2（He は 1.41、Glorot は 1）",
    ),
    "bad_init.alike": (
        "all {units} units start with the same weights and stay equal for ever",
        "{units} 個のユニットの重みがすべて同じで、学習しても同じままです",
    ),
    "bad_init.bias": (
        "the biases are {offset} deviations of the pre-activation away from 0",
        "バイアスが 0 から、前活性の標準偏差の {offset} 倍離れています",
    ),
    "bad_init.outputs": (
        "the first loss is {first}, {baseline} (log K) is what guessing costs: the first outputs are too large",
        "最初の損失が {first} です。当て推量の損失は {baseline}（log K）で、初期の出力が大きすぎます",
    ),
    "lr_high": (
        "loss {first} at first, {last} at the end; weights change by {ratio} of themselves a step",
        "損失は最初 {first}、最後 {last}。重みは 1 ステップで自身の {ratio} 倍変化しています",
    ),
    "lr_low": (
        "loss {first} at first, {last} at the end; weights change by only {ratio} of themselves a step",
        "損失は最初 {first}、最後 {last}。重みは 1 ステップで自身の {ratio} 倍しか変化していません",
    ),
    "update_ratio": (
        "a step changes the weights of {where} by {ratio} of themselves, of the other layers by {others}",
        "1 ステップの変化は {where} で重みの {ratio} 倍、ほかの層では {others} 倍です",
    ),
    "tiny_batch_norm": (
        "batch norm estimates mean and variance from {rows} samples",
        "バッチ正規化が {rows} サンプルだけで平均と分散を推定しています",
    ),
    "dropout_strong": (
        "p = {p} leaves {left} of {units} units in each step",
        "p = {p} では、各ステップで {units} ユニット中 {left} しか残りません",
    ),
    "l2_strong": (
        "the weights shrank to {shrunk} of their first norm; penalty {penalty}",
        "重みのノルムが最初の {shrunk} 倍に縮みました（罰則 {penalty}）",
    ),
    "exploding_variance": (
        "the deviation of the activations grows from {first} in the first layer to {last} in {where}",
        "活性値の標準偏差が、最初の層の {first} から {where} の {last} まで増えています",
    ),
    "exploding": (
        "the norm of the deltas grows from {last} at the last hidden layer to {first} at {where}",
        "δ のノルムが、最後の隠れ層の {last} から {where} の {first} まで増えています",
    ),
    "saturated": (
        "{percent} % of the values of {where} ({activation}) lie where the slope is below 5 % of its largest",
        "{where}（{activation}）の値の {percent} % が、傾きが最大値の 5 % 未満の領域にあります",
    ),
    "dead_relu": (
        "{percent} % of the {units} units of {where} give 0 for all {rows} samples looked at",
        "{where} の {units} ユニットの {percent} % が、調べた {rows} サンプルすべてで 0 を出します",
    ),
    "vanishing": (
        "the norm of the deltas falls from {last} at the last hidden layer to {first} at {where}",
        "δ のノルムが、最後の隠れ層の {last} から {where} の {first} まで減っています",
    ),
    "not_finite": (
        "at step {step} the loss was not finite; the first such number came from {op} {line}",
        "ステップ {step} で損失が有限でなくなりました。最初に現れたのは {op} です {line}",
    ),
    "not_finite.data": (
        "the inputs hold NaN or infinity before training starts",
        "学習を始める前から、入力に NaN または無限大があります",
    ),
    "underfitting": (
        "error on the training data {error}; ten nearest neighbours reach {reachable}; one batch alone: {batch}",
        "訓練データでの誤りは {error}。近傍 10 個による予測では {reachable}、1 バッチのみの学習では {batch} です",
    ),
    "underfitting.watched": (
        "error on the training data {error}; ten nearest neighbours reach {reachable}",
        "訓練データでの誤りは {error}。近傍 10 個による予測では {reachable} です",
    ),
    "overfitting": (
        "error {train} on train, {dev} on dev; the loss on dev is {ratio} times its lowest",
        "誤りは訓練 {train}、開発 {dev}。開発データの損失は最小時の {ratio} 倍です",
    ),
}

WORDS: Pairs = {
    "healthy": ("healthy: nothing found in {steps} steps", "健康です：{steps} ステップで異常は見つかりませんでした"),
    "found": ("VERDICT: {name}", "診断：{name}"),
    "also": ("also: {name}", "ほかに：{name}"),
    "explained": ("a symptom of: {names}", "次の結果と考えられます：{names}"),
    "remedy": ("remedy", "処方"),
    "proof": (
        "proof: with the remedy {measure} {before} → {after} after {steps} steps",
        "証拠：処方により、{steps} ステップ後の{measure}が {before} → {after}",
    ),
    "no_help": (
        "a short rerun with the remedy did not help yet: {measure} {before} → {after} after {steps} steps",
        "短い再学習では、まだ改善していません：{steps} ステップ後の{measure} {before} → {after}",
    ),
    "error": ("error on train", "訓練の誤り"),
    "dev_error": ("error on dev", "開発の誤り"),
    "dev_loss": ("loss on dev", "開発の損失"),
    "loss": ("loss", "損失"),
    "step": ("step", "ステップ"),
    "layer": ("layer", "層"),
    "delta": ("norm of the deltas", "δ のノルム"),
    "std": ("deviation of the activations", "活性値の標準偏差"),
    "dead": ("dead units", "死んだユニット"),
    "saturated": ("saturated values", "飽和した値"),
    "ratio": ("update / weight", "更新量／重み"),
    "weight_norm": ("norm of the weights", "重みのノルム"),
    "gain": ("deviation of weights × √inputs", "重みの標準偏差 × √入力数"),
    "part": ("part of the data", "データの部分"),
    "share": ("share of rows", "行の割合"),
    "class": ("class", "クラス"),
    "train": ("train", "訓練"),
    "test": ("test", "評価"),
    "dev": ("dev", "開発"),
    "before": ("as it is", "現状"),
    "after": ("with the remedy", "処方後"),
    "verdict": ("Verdict", "診断"),
    "evidence": ("Evidence", "証拠"),
    "healthy_head": ("Healthy", "健康"),
    "where": ("where", "場所"),
    "proof_head": ("Proof: the same steps with the remedy", "証明：処方を加えた同じステップの学習"),
}

LINT: Pairs = {
    "carried": (
        "the gradient of the step before is still there and this backward adds to it. "
        "Hint: optimizer.zero_grad() before backward()",
        "前のステップの勾配が残ったまま、この backward で加算されます。"
        "backward() の前に optimizer.zero_grad() を呼んでください",
    ),
    "no_backward": (
        "step before backward: no parameter has a gradient yet. Hint: loss.backward() before optimizer.step()",
        "backward の前に step を呼んでいます。loss.backward() を先に呼んでください",
    ),
    "dropped": (
        "zero_grad between backward and step throws the new gradients away. Hint: call it before backward()",
        "backward と step の間の zero_grad が新しい勾配を捨てています。backward() の前に呼んでください",
    ),
    "no_gradient": (
        "backward ran, but no parameter of this optimizer got a gradient: the loss does not depend on them. "
        "Hint: no .detach(), .item() or new tensor between model and loss; optimizer of this model's parameters?",
        "backward をしても、この optimizer のパラメータに勾配がありません。モデルと損失の間に .detach() や .item() が"
        "ないか、このモデルのパラメータを渡しているか確認してください",
    ),
    "not_scalar": (
        "the loss is not a scalar: its gradients are sums, so the learning rate depends on the batch size. "
        "Hint: loss.mean().backward()",
        "損失がスカラーではありません。勾配が和になり、学習率がバッチサイズに依存します。"
        "loss.mean().backward() としてください",
    ),
    "history": (
        "this uses a result of an earlier step with its whole history, which grows from step to step. "
        "Hint: total += loss.item(), or .detach()",
        "前のステップの結果を計算の履歴ごと使っており、履歴が増え続けます。"
        "total += loss.item() または .detach() としてください",
    ),
    "recorded": (
        "forward passes are recorded here that nobody sends back. Hint: evaluate inside with gy.no_grad():",
        "backward しない順伝播が記録されています。評価は with gy.no_grad(): の中で行ってください",
    ),
    "awake": (
        "{kind} is in train mode in an evaluation. Hint: model.eval() before it, model.train() after it",
        "評価中に {kind} が train モードのままです。評価の前に model.eval()、後に model.train() を呼んでください",
    ),
    "nothing": ("nothing to remark", "指摘はありません"),
    "no_optimizer": (
        "parameters with a gradient that no optimizer moves: {names}. "
        "Hint: give the optimizer model.parameters(), or requires_grad_(False)",
        "勾配はあるのにどの optimizer も更新しないパラメータ：{names}。"
        "model.parameters() を渡すか、requires_grad_(False) で固定してください",
    ),
    "squashed": (
        "{given} before {loss}, which applies it itself. Hint: give the loss the logits",
        "{loss} は {given} を含んでいます。その前に適用せず、ロジットをそのまま渡してください",
    ),
}

_BESIDE_CODE = {  # what stands beside the code of a remedy, in Japanese
    r"leave (nn\.\w+) out of the network: the loss takes logits": r"\1 をネットワークから外す（損失はロジットを取る）",
    r"leave (nn\.\w+) out of the output layer of a regression": r"回帰の出力層から \1 を外す",
    r"split first, then augment or copy: ": "分割してから水増しや複製をする: ",
    r"; look through the rows that neighbours contradict": "。近傍と矛盾する行を見直す",
    r"for nn\.Sigmoid\(\), with He's values": "nn.Sigmoid() の代わりに、He の初期値で",
    r"and He's initial values": "He の初期値も使う",
    r"He's values, biases 0": "He の初期値、バイアスは 0",
    r"before loss\.backward\(\)": "loss.backward() の前に",
    r"before each epoch and after evaluations": "各エポックの前と評価の後に",
    r"before the evaluation; model\.train\(\) after": "評価の前に。評価の後は model.train()",
    r"every layer, one rate": "全層に同じ学習係数",
    r"or drop those rows": "または該当する行を除く",
    r"or nn\.": "または nn.",
    r"more units": "ユニットを増やす",
    r"# was ": "# 今は ",
    r"^outputs: ": "出力ユニット数: ",
}


def remedy_text(remedy: str, lang: str) -> str:
    """Return a remedy with what stands beside its code in one language.

    >>> remedy_text("lr = 0.01  # was 1", "ja")
    'lr = 0.01  # 今は 1'
    """
    for english, japanese in _BESIDE_CODE.items() if lang == "ja" else ():
        remedy = re.sub(english, japanese, remedy)
    return remedy
