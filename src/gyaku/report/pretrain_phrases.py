"""What the report of a pre-training says, in English and Japanese."""

TABLE = {
    "report": ("pre-training report", "事前学習レポート"),
    "rbm": ("Restricted Boltzmann machine", "制限ボルツマンマシン"),
    "dbn": ("Deep belief network", "深層信念ネットワーク"),
    "dbm": ("Deep Boltzmann machine", "深層ボルツマンマシン"),
    "sae": ("Stacked autoencoder", "積層オートエンコーダ"),
    "headline": (
        "{model}: the layers give back a {part} sample with a mean squared error of {error} a value{beside}.",
        "{model}：{part}サンプルを 1 値あたり平均二乗誤差 {error} で再構成します{beside}。",
    ),
    "beside": (" ({names})", "（{names}）"),
    "beside_mean": ("the mean image: {value}", "平均画像：{value}"),
    "beside_pca": ("PCA with {code} components: {value}", "主成分分析 {code} 成分：{value}"),
    "unfinished": (
        "This pre-training is {status}: what follows is what it wrote before.",
        "この事前学習は{status}です。以下はそれまでに書かれた内容です。",
    ),
    "status_running": ("running", "実行中"),
    "status_interrupted": ("interrupted", "中断"),
    "status_failed": ("failed", "失敗"),
    "status_finished": ("finished", "完了"),
    "train": ("train", "学習"),
    "dev": ("dev", "開発"),
    "test": ("test", "評価"),
    "error": ("reconstruction error", "再構成誤差"),
    "what": ("What was trained, on what", "何を、何で学習したか"),
    "model": ("Model", "モデル"),
    "data": ("Data", "データ"),
    "sizes": ("Training / development / test samples", "学習 / 開発 / 評価サンプル数"),
    "units": ("Units by layer", "層ごとのユニット数"),
    "parameters": ("Parameters", "パラメータ数"),
    "scaling": ("Scaling of the inputs", "入力のスケーリング"),
    "scaling_pixels": ("values in [0, 1], as they are", "[0, 1] の値をそのまま"),
    "scaling_standard": ("mean 0 and deviation 1, from the training part", "学習データで平均 0、標準偏差 1"),
    "next": (
        "Fine-tune with: gyaku train {data} --init-from {run}   (the scaling comes along)",
        "ファインチューニング：gyaku train {data} --init-from {run}（スケーリングも引き継がれます）",
    ),
    "warnings": ("Notes", "注意"),
    "curves": ("Learning curves", "学習曲線"),
    "curves_note": (
        "One curve a stage: each layer is trained on the layer below it, then all together where that was asked for.",
        "段階ごとに 1 本。各層は下の層の出力で学習し、指定があれば最後に全層をまとめて学習します。",
    ),
    "bound_note": (
        "The bound on the way takes log Z from a short annealing, so single points scatter; the result below "
        "takes a long one.",
        "途中の下界は短い AIS の log Z を使うためばらつきます。下の結果は長い AIS によるものです。",
    ),
    "epoch": ("epoch", "エポック"),
    "mse": ("mean squared error", "平均二乗誤差"),
    "pseudo_likelihood": ("log pseudo-likelihood, nats", "対数擬似尤度（ナット）"),
    "bound": ("lower bound of log p(v), nats", "log p(v) の下界（ナット）"),
    "results": ("Results", "結果"),
    "n": ("samples", "サンプル数"),
    "this": ("these layers", "この層"),
    "mean": ("the mean image", "平均画像"),
    "pca": ("PCA, {code} components", "主成分分析 {code} 成分"),
    "likelihood": ("Log-likelihood", "対数尤度"),
    "exact": (
        "log p(v) by part, mean in nats a sample. p is one of binary images: v is drawn, each value being the "
        "probability of a 1. log Z = {log_z} is exact.",
        "データごとの log p(v)（サンプル平均、ナット）。"
        "p は二値画像の分布なので、各値を 1 の確率として v を引いています。"
        "log Z = {log_z} は厳密値です。",
    ),
    "annealed": (
        "log p(v) by part, mean in nats a sample. p is one of binary images: v is drawn, each value being the "
        "probability of a 1. log Z = {log_z} ± {error} (standard error) by annealed "
        "importance sampling, {chains} chains.",
        "データごとの log p(v)（サンプル平均、ナット）。"
        "p は二値画像の分布なので、各値を 1 の確率として v を引いています。"
        "log Z = {log_z} ± {error}（標準誤差）は AIS、{chains} 連鎖による推定です。",
    ),
    "bound_text": (
        "A lower bound of log p(v) by part (mean field), mean in nats a sample. p is one of binary images: v is drawn, "
        "each value being the probability of a 1. log Z = {log_z} ± {error} (standard error; 0: exact).",
        "データごとの log p(v) の下界（平均場近似、サンプル平均、ナット）。"
        "p は二値画像の分布なので、各値を 1 の確率として v を引いています。"
        "log Z = {log_z} ± {error}（標準誤差、0 は厳密値）。",
    ),
    "value": ("nats a sample", "ナット/サンプル"),
    "filters": ("What the first layer looks for", "第 1 層が見ているもの"),
    "filters_note": (
        "Weights of single hidden units to the visible ones: blue negative, orange positive.",
        "隠れユニットごとの可視ユニットへの重み。青：負、橙：正。",
    ),
    "reconstructions": ("Reconstructions", "再構成"),
    "reconstructions_note": (
        "Test samples as they are, and given back by the layers.",
        "評価サンプル（元）と、層を通した再構成。",
    ),
    "repaired": ("Damage undone", "ノイズ除去"),
    "repaired_note": (
        "The same samples with {share} % of their values set to 0, and what the layers make of them.",
        "値の {share} % を 0 にした同じサンプルと、それに対する層の出力。",
    ),
    "completions": ("The other half", "残り半分の補完"),
    "completions_chain": (
        "The right half was taken away; the left one was held fixed during 1000 Gibbs sweeps.",
        "右半分を隠し、左半分を固定して 1000 回のギブスサンプリングを行った結果。",
    ),
    "completions_code": (
        "The right half was taken away (0) and filled in by one way through the layers.",
        "右半分を隠し（0）、層を 1 回通して補った結果。",
    ),
    "samples": ("Samples from the model", "モデルからのサンプル"),
    "samples_note": (
        "Probabilities of the visible units after 1000 Gibbs sweeps from random states.",
        "乱数の状態から 1000 回のギブスサンプリングを行った後の可視ユニットの確率。",
    ),
    "original": ("original", "元"),
    "given": ("given", "入力"),
    "answer": ("layers", "出力"),
    "stage_layer": ("layer {n}", "第 {n} 層"),
    "stage_joint": ("all layers", "全層"),
    "deltas": ("Deltas through the layers", "層を通るデルタ"),
    "deltas_note": (
        "Norm of δ = ∂E/∂a by layer, mean over a probe batch, of the network to be fine-tuned: with random "
        "layers (Glorot) and with these.",
        "ファインチューニング前のネットワークでの層ごとの δ = ∂E/∂a のノルム（平均）。"
        "乱数（Glorot）の層とこの層の比較。",
    ),
    "layer": ("Layer", "層"),
    "random": ("random", "乱数"),
    "pretrained": ("pre-trained", "事前学習後"),
    "ratio": ("ratio", "比"),
    "codes": ("The code in two dimensions", "2 次元のコード"),
    "card": ("Run card", "実行記録"),
    "command": ("Command", "コマンド"),
    "seed": ("Seed", "シード"),
    "origin": ("Origin", "出所"),
    "digest": ("Data hash (SHA-256)", "データのハッシュ（SHA-256）"),
    "started": ("Started", "開始"),
    "finished": ("Finished", "終了"),
    "wall": ("Wall time", "所要時間"),
    "seconds": ("{s} s", "{s} 秒"),
    "config": ("All options", "すべての設定"),
    "numbers": ("The numbers behind the curves", "曲線のもとの数値"),
}
