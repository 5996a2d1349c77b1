"""The keys of a preset, and of a method in a comparison; light enough to read before all else."""

from __future__ import annotations

from collections.abc import Mapping

METHOD_WORDS: Mapping[str, str] = {
    "remask": "ancestral",
    "weights": "uniform",
    "guidance": "cfg",
    "context": "none",
    "corrector": "none",
    "order": "none",
    "grammar": "none",
    "adapt": "none",
}
"""The words that say by which method to draw, in presets and comparisons, with their defaults."""
