"""What `kd distill adult -> logistic_regression` does, written with the libraries alone.

The benchmark of the framework's overhead runs this script and `kd distill` in turns. Same rows,
same fits (five folds and one on all rows, two at a time), same student, same outputs.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnxruntime
import pandas as pd
import skl2onnx
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, brier_score_loss, log_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from xgboost import XGBClassifier

ALPHA = 0.7


def fit_teacher(X, y):
    model = XGBClassifier(
        n_estimators=300, max_depth=6, learning_rate=0.05, tree_method="hist",
        enable_categorical=True, random_state=0, n_jobs=1,
    )  # fmt: skip
    return model.fit(X, y)


def soft_regression(Z, target):
    """Logistic regression on soft labels (n, 2); the plain one is scikit-learn's."""
    n, d = Z.shape

    def objective(w):
        z = Z @ w[:d] + w[d]
        logits = np.stack([-z / 2, z / 2], axis=1)
        logp = log_softmax(logits, axis=1)
        grad = (np.exp(logp) - target)[:, 1] / n
        value = -(target * logp).sum() / n + w[:d] @ w[:d] / (2 * n)
        return value, np.append(Z.T @ grad + w[:d] / n, grad.sum())

    options = {"maxiter": 500, "gtol": 1e-4, "ftol": 64 * np.finfo(float).eps, "maxls": 50}
    best = minimize(objective, np.zeros(d + 1), jac=True, method="L-BFGS-B", options=options).x
    model = LogisticRegression()
    model.classes_, model.coef_, model.intercept_ = np.arange(2), best[None, :d], best[d:]
    model.n_features_in_ = d
    return model


def scores(proba, y):
    return {
        "accuracy": accuracy_score(y, proba[:, 1] > 0.5),
        "log_loss": log_loss(y, proba),
        "roc_auc": roc_auc_score(y, proba[:, 1]),
        "brier": brier_score_loss(y, proba[:, 1]),
    }


def as_text(frame, columns):
    return frame.assign(**{c: frame[c].astype(object).fillna("") for c in columns})


def main(path):
    # Names in a graph of skl2onnx cannot hold a dash.
    frame = pd.read_parquet(path).rename(columns=lambda c: c.replace("-", "_"))
    y = (frame.pop("target").astype(str) == ">50K").to_numpy().astype(int)
    train, test = train_test_split(np.arange(len(y)), test_size=0.25, random_state=0, stratify=y)
    X, X_test, y_test = frame.iloc[train], frame.iloc[test], y[test]
    y = y[train]
    plan = list(StratifiedKFold(5, shuffle=True, random_state=0).split(X, y))
    soft = np.zeros((len(y), 2))

    def fold(rows):
        return fit_teacher(X.iloc[rows[0]], y[rows[0]]).predict_proba(X.iloc[rows[1]])

    with ThreadPoolExecutor(2) as pool:
        whole = pool.submit(fit_teacher, X, y)
        for rows, proba in zip(plan, pool.map(fold, plan), strict=True):
            soft[rows[1]] = proba
        teacher = whole.result()
    numbers = list(X.select_dtypes("number"))
    texts = [c for c in X if c not in numbers]
    encoder = ColumnTransformer(
        [
            ("n", make_pipeline(SimpleImputer(), StandardScaler()), numbers),
            ("c", OneHotEncoder(handle_unknown="ignore", sparse_output=False), texts),
        ]
    )
    X, X_test = as_text(X, texts), as_text(X_test, texts)
    Z = encoder.fit_transform(X)
    student = soft_regression(Z, ALPHA * soft + (1 - ALPHA) * np.eye(2)[y])
    plain = LogisticRegression(max_iter=500).fit(Z, y)
    Z_test = encoder.transform(X_test)
    outputs = {
        "teacher": teacher.predict_proba(frame.iloc[test]),
        "plain": plain.predict_proba(Z_test),
        "student": student.predict_proba(Z_test),
    }
    rows = np.arange(len(y_test))
    gap = np.log(outputs["student"][rows, y_test]) - np.log(outputs["plain"][rows, y_test])
    rng = np.random.default_rng(0)
    draws = [gap[rng.integers(0, len(gap), len(gap))].mean() for _ in range(2000)]
    types = [
        (c, skl2onnx.common.data_types.FloatTensorType([None, 1]))
        if c in numbers
        else (c, skl2onnx.common.data_types.StringTensorType([None, 1]))
        for c in X_test
    ]
    graph = skl2onnx.to_onnx(
        make_pipeline(encoder, student), initial_types=types, options={"zipmap": False}
    )
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    feed = {
        c: X_test[[c]].to_numpy() if c in texts else X_test[[c]].to_numpy(np.float32)
        for c in X_test
    }
    parity = np.abs(session.run(None, feed)[1] - outputs["student"]).max()
    print(
        json.dumps(
            {
                "metrics": {k: scores(v, y_test) for k, v in outputs.items()},
                "interval": np.quantile(draws, [0.025, 0.975]).tolist(),
                "parity": float(parity),
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1])
