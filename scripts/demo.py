"""Set everything up and distil a first student; further options go to ``kd distill``.

Usage: python3 scripts/demo.py [OPTION]...
"""

from __future__ import annotations

import subprocess
import sys

from environment import ROOT, prepare

if __name__ == "__main__":
    what = ["sklearn:diabetes", "--target", "target", "--output", "out", "--force"]
    models = ["--teacher", "random_forest", "--student", "decision_tree"]
    kd = prepare() / "kd"
    sys.exit(
        subprocess.call(
            [str(kd), "distill", *what, *models, "--recipe", "fast", *sys.argv[1:]], cwd=ROOT
        )
    )
