"""Compatibility: checks of settings against the model and each other, before a draw."""

from __future__ import annotations

from molgen.checkpoints.checkpoint import Checkpoint
from molgen.diffusion.continuous_plan import ContinuousPlan
from molgen.diffusion.plan import Plan
from molgen.diffusion.token_weights import PROPERTY, PSI
from molgen.errors import MolgenError
from molgen.guidance.kernels import ClassifierFree
from molgen.guidance.smiles_grammar import GRAMMARS
from molgen.guidance.spec import takes_whole_steps
from molgen.nn.denoiser import noise_of
from molgen.sampling.settings import CONTINUOUS, Settings
from molgen.sampling.words import write


def check(
    model: Checkpoint,
    settings: Settings,
    plan: Plan | ContinuousPlan,
    mixture: ClassifierFree | None,
) -> None:
    """Check that settings are compatible with each other and with a model.

    Args:
        model: the network.
        settings: of the draw.
        plan: the plan of these settings.
        mixture: the classifier-free part of their guidance.

    Raises:
        MolgenError: naming the incompatible setting.
    """
    kind = noise_of(model.denoiser)
    _check_order(kind, settings, plan)
    _check_events(kind, settings)
    _check_context(kind, settings)
    _check_grammar(model, settings)
    _check_joint(model, settings)
    _check_quality_head(model, settings, mixture)


def _check_order(noise: str, settings: Settings, plan: Plan | ContinuousPlan) -> None:
    """Check that the settings are compatible with an unmasking order.

    Raises:
        MolgenError: naming the incompatible setting.
    """
    if settings.order is None:
        return
    conflicts = {
        f"noise {noise}": noise != "masked",
        "remasking": plan.remasks,
        "continuous time": settings.time == CONTINUOUS,
        "a corrector": settings.corrector is not None,
        "guidance that acts on the mask entry": takes_whole_steps(settings.guidance),
    }
    for name in (name for name, given in conflicts.items() if given):
        raise MolgenError(
            f"order is incompatible with {name}: expected masked noise, remask ancestral, and no "
            "other setting that acts on the steps"
        )


def _check_events(noise: str, settings: Settings) -> None:
    """Check that the settings are compatible with continuous time and with blocks.

    Raises:
        MolgenError: naming the incompatible setting.
    """
    continuous = settings.time == CONTINUOUS
    for given, name in (
        (continuous, "time is continuous, expected grid"),
        (settings.blocks is not None, f"blocks is {settings.blocks}, expected none"),
    ):
        if given and noise != "masked":
            raise MolgenError(f"{name}: the network has noise {noise}, and it needs masked noise")
        if given and takes_whole_steps(settings.guidance):
            raise MolgenError(
                f"{name}: it needs guidance that keeps the reveal rate, not one that acts on the "
                "mask entry"
            )
    if continuous and settings.corrector is not None:
        raise MolgenError("time is continuous, expected grid: a corrector runs between steps")


def _check_grammar(model: Checkpoint, settings: Settings) -> None:
    """Check that the model and the guidance are compatible with a grammar.

    Raises:
        MolgenError: if they are not.
    """
    if settings.grammar is None:
        return
    name = write(settings.grammar, GRAMMARS)
    if model.tokenizer.representation != "smiles":
        raise MolgenError(
            f"grammar is {name}, expected none: model {model.name!r} has "
            f"{model.tokenizer.representation}, in which every text is well-formed"
        )
    if noise_of(model.denoiser) != "masked" or takes_whole_steps(settings.guidance):
        raise MolgenError(
            f"grammar is {name}, expected none: it needs masked noise and no guidance that acts on "
            "the mask entry"
        )


def _check_joint(model: Checkpoint, settings: Settings) -> None:
    """Check that the model and the settings are compatible with joint draws.

    Raises:
        MolgenError: if they are not.
    """
    if settings.joint == "none":
        return
    conflicts = {
        f"noise {noise_of(model.denoiser)}": noise_of(model.denoiser) != "masked",
        "guidance that acts on the mask entry": takes_whole_steps(settings.guidance),
        "context guidance": settings.context is not None,
        "a corrector": settings.corrector is not None,
    }
    for name in (name for name, given in conflicts.items() if given):
        raise MolgenError(f"joint is block, expected none: it is incompatible with {name}")
    model.joint_block()


def _check_context(noise: str, settings: Settings) -> None:
    """Check that the noise and the guidance are compatible with context guidance.

    Raises:
        MolgenError: if they are not.
    """
    if settings.context is not None and (noise != "masked" or takes_whole_steps(settings.guidance)):
        raise MolgenError(
            "context is hide, expected none: it needs masked noise and no guidance that acts on "
            "the mask entry"
        )


def _check_quality_head(
    model: Checkpoint, settings: Settings, mixture: ClassifierFree | None
) -> None:
    """Check that there is a quality head where weights or a corrector need one.

    Raises:
        MolgenError: if there is none, or the guidance is incompatible with it.
    """
    reads = settings.remask_weights.reads if settings.remask_weights is not None else PSI
    needed = {f"weights by {reads}": reads != PSI, "a corrector": settings.corrector is not None}
    if reads == PROPERTY and mixture is None:
        raise MolgenError(
            "weights by property compare the prediction with and without the condition: expected "
            "targets and classifier-free guidance with gamma other than 1"
        )
    for name in (name for name, given in needed.items() if given):
        if getattr(model.denoiser, "quality_head", None) is None:
            raise MolgenError(
                f"{name} needs a quality head (molgen train --self-correct), but model "
                f"{model.name!r} has none"
            )
        if takes_whole_steps(settings.guidance):
            raise MolgenError(f"{name} is incompatible with guidance that acts on the mask entry")
