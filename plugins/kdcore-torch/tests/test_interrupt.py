"""Ctrl-C in the middle of a training, by a real signal to a process of its own."""

import signal
import subprocess
import sys

import pytest

SCRIPT = """
import signal, sys, time
from kdcore.testing import tiny_data
from kdcore_torch.mlp import TorchMLPClassifier

# Whoever runs the tests in the background has the signal ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)

def look(done, steps, loss):
    print("look", done, flush=True)
    time.sleep(0.05)

data = tiny_data("binary", n_rows=400)
student = TorchMLPClassifier(
    max_iter=5000, early_stopping=False, on_step=look, keep_on_interrupt=sys.argv[1] == "keep"
)
student.fit(data.X, data.y)
print("fitted", student.n_iter_, student.score(data.X, data.y))
"""


def interrupted(choice):
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, choice],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    lines = [process.stdout.readline() for _ in range(3)]
    assert lines[-1].startswith("look"), process.stderr.read()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    return process.returncode, out.splitlines(), err


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent otherwise there")
def test_the_best_weights_so_far_are_kept_when_asked_for():
    code, out, err = interrupted("keep")
    assert code == 0, err
    word, steps, score = out[-1].split()
    assert word == "fitted"
    assert 0 < int(steps) < 5000
    assert float(score) > 0.7


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent otherwise there")
def test_a_training_stops_at_once_when_not_asked_for():
    code, out, err = interrupted("stop")
    assert code != 0
    assert "KeyboardInterrupt" in err
    assert not any(line.startswith("fitted") for line in out)
