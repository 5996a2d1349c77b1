"""The settings compared by ``quality.py``, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from molgen.guidance.shaping import Shaping
from molgen.model import Model
from molgen.sampling.settings import Settings
from molgen.sampling.words import strategy, token_weights


@dataclass(frozen=True)
class Setting:
    """Settings of the sampler, in words.

    Attributes:
        remask: strategy as on the command line; empty for the model's own recommendation.
        weights: remasking weights as on the command line.
        temperature: divides log-probabilities.
        gamma: strength of classifier-free guidance.
        targets: as on the command line; empty for unguided.
        more: further settings, in words.
    """

    remask: str = "ancestral"
    weights: str = "uniform"
    temperature: float = 1.0
    gamma: float = 1.0
    targets: Mapping[str, str] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)

    def settings(self, model: Model, steps: int, batch_size: int) -> Settings:
        """Return the settings; the model's own recommendation has its own steps."""
        if not self.remask:
            own: dict[str, Any] = {"gamma": self.gamma} if self.targets else {}
            return model.settings(batch_size=batch_size, **own)
        found = Settings(
            strategy(self.remask), steps, token_weights(self.weights), gamma=self.gamma,
            shaping=Shaping(self.temperature), batch_size=batch_size,
        )  # fmt: skip
        return found.changed(**self.more) if self.more else found


def few(forwards: int, grammar: str = "none", **more: Any) -> dict[str, Any]:
    """Return the settings of a draw in few forwards with a joint block."""
    return {"joint": "block", "order": f"chunks:forwards={forwards}", "grammar": grammar, **more}


QED, RINGS, SEVEN = {"qed": "max"}, {"ring_count": "5"}, {"ring_count": "7"}
SURE = {"order": "entropy-bounded:gamma=.5"}
SMILES = {"grammar": "smiles"}
SETTINGS: dict[str, Setting] = {
    "default": Setting(""),
    "ancestral": Setting(),
    "rescale-0.05": Setting("rescale:eta=0.05"),
    "rescale-0.1": Setting("rescale:eta=0.1"),
    "rescale-0.2": Setting("rescale:eta=0.2"),
    "cap-0.02": Setting("cap:eta=0.02"),
    "loop": Setting("loop:t_on=0.55,t_off=0.05,eta=0.02"),
    "psi-0.98": Setting("psi:kappa=0.98"),
    "forward-backward": Setting("forward-backward"),
    "rescale-0.1-sharpened": Setting("rescale:eta=0.1", "sharpened"),
    "rescale-0.1-confidence": Setting("rescale:eta=0.1", "confidence"),
    "confidence": Setting("rescale:eta=1", "confidence"),  # the published form: about one a step
    "ancestral-cool": Setting(temperature=0.9),
    "rescale-0.1-cool": Setting("rescale:eta=0.1", temperature=0.9),
    "qed-default": Setting("", gamma=3.0, targets=QED),
    "qed-1": Setting(gamma=1.0, targets=QED),
    "qed-2": Setting(gamma=2.0, targets=QED),
    "qed-3": Setting(gamma=3.0, targets=QED),
    "qed-3-rescale-0.1": Setting("rescale:eta=0.1", gamma=3.0, targets=QED),
    "qed-3-cool": Setting(gamma=3.0, temperature=0.9, targets=QED),
    "rings-1": Setting(gamma=1.0, targets=RINGS),
    "rings-3": Setting(gamma=3.0, targets=RINGS),
    "rings-3-rescale-0.1": Setting("rescale:eta=0.1", gamma=3.0, targets=RINGS),
    # few steps: what is drawn together, in which order, in how many forwards
    "steps-4": Setting(more={"steps": 4}),
    "steps-4-grammar": Setting(more={"steps": 4, **SMILES}),
    "steps-4-block": Setting(more={"steps": 4, "joint": "block"}),
    "steps-4-block-grammar": Setting(more={"steps": 4, "joint": "block", **SMILES}),
    "chunks-4": Setting(more={"order": "chunks:forwards=4"}),
    "chunks-4-grammar": Setting(more={"order": "chunks:forwards=4", **SMILES}),
    **{f"few-{k}": Setting(more=few(k)) for k in (1, 2, 3, 4, 6, 8)},
    **{f"few-{k}-grammar": Setting(more=few(k, "smiles")) for k in (1, 2, 3, 4, 6, 8)},
    **{f"few-{k}-valence": Setting(more=few(k, "valence")) for k in (4, 8)},
    "ancestral-grammar": Setting(more=SMILES),
    "seven-ancestral": Setting(targets=SEVEN),
    "seven-ancestral-grammar": Setting(targets=SEVEN, more=SMILES),
    "seven-order": Setting(gamma=2.0, targets=SEVEN, more=SURE),
    "seven-order-grammar": Setting(gamma=2.0, targets=SEVEN, more={**SURE, **SMILES}),
    "seven-few-4": Setting(targets=SEVEN, more=few(4)),
    "seven-few-4-grammar": Setting(targets=SEVEN, more=few(4, "smiles")),
    "seven-few-4-valence": Setting(targets=SEVEN, more=few(4, "valence")),
    "seven-few-2-grammar": Setting(gamma=2.0, targets=SEVEN, more=few(2, "smiles")),
}
