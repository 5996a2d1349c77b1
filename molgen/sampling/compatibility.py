"""What goes with what: settings that a model or a sampler does not take are refused beforehand."""

from __future__ import annotations

from molgen.checkpoints.checkpoint import Checkpoint
from molgen.diffusion.plan import Plan
from molgen.diffusion.token_weights import PROPERTY, PSI
from molgen.guidance.kernels import ClassifierFree
from molgen.guidance.spec import takes_whole_steps
from molgen.nn.denoiser import noise_of
from molgen.sampling.settings import Settings


def check(
    model: Checkpoint, settings: Settings, plan: Plan, mixture: ClassifierFree | None
) -> None:
    """Check that settings go with each other and with a model.

    Args:
        model: the network.
        settings: how to draw.
        plan: that the settings come to.
        mixture: likewise, the classifier-free part of the guidance.

    Raises:
        ValueError: naming what does not.
    """
    kind = noise_of(model.denoiser)
    _check_order(kind, settings, plan)
    _check_context(kind, settings)
    _check_grammar(model, settings)
    _check_quality_head(model, settings, mixture)


def _check_order(noise: str, settings: Settings, plan: Plan) -> None:
    """Check that nothing is asked of a sampler in the network's own order that it does not do.

    Raises:
        ValueError: naming what does not go with an order.
    """
    if settings.order is None:
        return
    asked = {
        f"noise {noise}": noise != "masked",
        "remasking": bool(plan.sigma.any()),
        "a corrector": settings.corrector is not None,
        "guidance in which the mask entry takes part": takes_whole_steps(settings.guidance),
    }
    for name in (name for name, given in asked.items() if given):
        raise ValueError(
            f"an order of placing does not go with {name}: expected masked noise, the ancestral "
            "strategy, and nothing else that acts on the steps"
        )


def _check_grammar(model: Checkpoint, settings: Settings) -> None:
    """Check that there are texts of the grammar, and a sampler that writes them.

    Raises:
        ValueError: if not.
    """
    if settings.grammar is None:
        return
    if model.tokenizer.representation != "smiles":
        raise ValueError(
            f"grammar is of SMILES, but model {model.name!r} writes "
            f"{model.tokenizer.representation}, in which every text is well-formed: expected none"
        )
    if noise_of(model.denoiser) != "masked" or takes_whole_steps(settings.guidance):
        raise ValueError(
            "a grammar needs to know what is still open: expected a network that takes masks off, "
            "and no guidance in which the mask entry takes part"
        )


def _check_context(noise: str, settings: Settings) -> None:
    """Check that there are masks to hide tokens behind, and a sampler that does it.

    Raises:
        ValueError: if not.
    """
    if settings.context is not None and (noise != "masked" or takes_whole_steps(settings.guidance)):
        raise ValueError(
            "context guidance hides tokens behind masks: expected a network that takes masks off, "
            "and no guidance in which the mask entry takes part"
        )


def _check_quality_head(
    model: Checkpoint, settings: Settings, mixture: ClassifierFree | None
) -> None:
    """Check that a network which is asked about its own draws has learned to tell.

    Raises:
        ValueError: if it has not, or is not asked in a way that goes together.
    """
    reads = settings.remask_weights.reads if settings.remask_weights is not None else PSI
    asked = {f"weights by {reads}": reads != PSI, "a corrector": settings.corrector is not None}
    if reads == PROPERTY and mixture is None:
        raise ValueError(
            "weights by property compare the prediction with and without the condition: expected "
            "targets and classifier-free guidance with gamma other than 1"
        )
    for name in (name for name, given in asked.items() if given):
        if getattr(model.denoiser, "quality_head", None) is None:
            raise ValueError(
                f"{name} needs a network that has learned to judge its own draws (molgen train "
                f"--self-correct), and {model.name!r} has not"
            )
        if takes_whole_steps(settings.guidance):
            raise ValueError(f"{name} does not go with guidance in which the mask entry takes part")
