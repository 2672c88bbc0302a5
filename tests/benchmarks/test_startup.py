"""How long a user waits before anything happens."""

import statistics
import subprocess
import sys
import time

ROUNDS = 15


def seconds(*arguments):
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def test_startup(show):
    commands = {
        "python (nothing)": ("-c", "pass"),
        "import kdcore": ("-c", "import kdcore"),
        "kd --help": ("-m", "kdcore", "--help"),
        "kd plugins": ("-m", "kdcore", "plugins"),
    }
    for arguments in commands.values():
        seconds(*arguments)  # caches warm
    times = {name: [] for name in commands}
    for _ in range(ROUNDS):
        for name, arguments in commands.items():
            times[name].append(seconds(*arguments))
    bare = statistics.median(times["python (nothing)"])
    show(f"\nstart-up, median of {ROUNDS} rounds in turns (and without Python's own {bare:.3f} s):")
    for name, values in times.items():
        middle = statistics.median(values)
        show(f"  {name:18} {middle:.3f} s  ({middle - bare:.3f} s)")
    assert min(times["kd plugins"]) > 0
