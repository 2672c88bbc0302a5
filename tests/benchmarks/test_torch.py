"""What the training of `pytorch_mlp` costs: beside scikit-learn's MLP, and its threads.

Tables come from the folder KD_BENCH_DATA where it has them, else from scikit-learn.
"""

import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import log_loss

from kdcore.table import read_table
from kdcore_sklearn.mlp import MLPStudentClassifier, MLPStudentRegressor
from kdcore_torch.mlp import TorchMLPClassifier, TorchMLPRegressor

TABLES = ("adult", "magic_gamma", "california_housing", "bike_sharing")
BUNDLED = ("breast_cancer", "diabetes")
VALUES = ("california_housing", "bike_sharing", "diabetes")
TRAIN, TEST, SEEDS = 4_000, 5_000, (0, 1, 2)


def tables():
    folder = Path(os.environ.get("KD_BENCH_DATA", "."))
    found = [folder / f"{name}.parquet" for name in TABLES]
    if all(path.exists() for path in found):
        return {path.stem: pd.read_parquet(path) for path in found}
    return {name: read_table(f"sklearn:{name}") for name in BUNDLED}


def parts(name, frame, seed):
    rows = np.random.default_rng(seed).permutation(len(frame))
    cut = min(TRAIN, len(frame) * 3 // 4)
    for some in (frame.iloc[rows[:cut]], frame.iloc[rows[cut : cut + TEST]]):
        y = some["target"].to_numpy()
        yield some.drop(columns="target"), y.astype(float) if name in VALUES else y


def test_loss_and_time_of_a_plain_network(show):
    show(f"\n{'table':20}{'network':14}{'loss':>8}{'s':>8}{'steps/s':>9}   (64-32, labels, "
         f"{TRAIN} rows, {len(SEEDS)} seeds; RMSE in standard deviations)")  # fmt: skip
    for name, frame in tables().items():
        kinds = (
            (MLPStudentRegressor, TorchMLPRegressor)
            if name in VALUES
            else (MLPStudentClassifier, TorchMLPClassifier)
        )
        for what, kind in zip(("sklearn_mlp", "pytorch_mlp"), kinds, strict=True):
            losses, seconds, steps = [], 0.0, 0
            for seed in SEEDS:
                (X, y), (X_new, y_new) = parts(name, frame, seed)
                start = time.process_time()
                model = kind(random_state=seed).fit(X, y)
                seconds += time.process_time() - start
                steps += model.n_iter_
                losses.append(
                    np.sqrt(np.mean((model.predict(X_new) - y_new) ** 2)) / y_new.std()
                    if name in VALUES
                    else log_loss(y_new, model.predict_proba(X_new), labels=model.classes_)
                )
            show(f"{name:20}{what:14}{np.mean(losses):8.4f}{seconds / len(SEEDS):8.2f}"
                 f"{steps / seconds:9.0f}")  # fmt: skip
            assert np.isfinite(losses).all()


def test_threads_are_chosen_by_the_first_steps(show):
    name, frame = next(iter(tables().items()))
    (X, y), _ = parts(name, frame, 0)
    show(f"\n{name}, {len(X)} rows, batches of 128:")

    def steps_a_second(hidden, n_jobs, steps=1000):
        model = TorchMLPClassifier(
            hidden_layer_sizes=hidden, early_stopping=False, max_iter=steps, n_jobs=n_jobs
        )
        start = time.perf_counter()
        model.fit(X, y)
        return steps / (time.perf_counter() - start), model.n_threads_

    for hidden in ((64, 32), (512, 256)):
        one, _ = steps_a_second(hidden, 1)
        most, chosen = steps_a_second(hidden, -1)
        show(f"  hidden layers {hidden}: n_jobs=1 {one:6.0f} steps/s, n_jobs=-1 {most:6.0f} "
             f"({chosen} chosen)")  # fmt: skip
        assert most > 0.5 * one
