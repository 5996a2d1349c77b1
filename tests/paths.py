"""Where things lie that tests read: in the checkout, and beside it."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TESTS = ROOT / "tests"
VECTORS = ROOT.parent / "shared" / "reference_vectors"
DATA = Path(os.environ.get("MOLGEN_DATA_DIR") or ROOT.parent / "shared" / "datasets")
