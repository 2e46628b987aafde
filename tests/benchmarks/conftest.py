"""The benchmarks are programs beside the package, and find each other by their directory."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
