"""Which sampler draws: a checkpoint and its settings, put together.

===========  ==================================================  ===============================
noise        guidance                                            sampler
===========  ==================================================  ===============================
masked       any, tokens placed in an order of the network's     ``ordered_sampler``
masked       whatever keeps the reveal rate                      ``event_sampler``
masked       tilted mask entries, guided remasking, mixed log q  ``kernel_sampler``
uniform      any                                                 ``kernel_sampler``
none         any                                                 ``autoregressive``
===========  ==================================================  ===============================

All of them draw a row for each length, with the same arguments, and return
:class:`molgen.sampling.sampler.Samples`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from molgen.checkpoints.checkpoint import Checkpoint
from molgen.guidance.candidate_scores import AmortisedScores, ExactScores, TaylorScores
from molgen.guidance.classifier import aims
from molgen.guidance.conditional_denoiser import ShardedDenoiser
from molgen.guidance.kernels import CandidateScores, Guidance
from molgen.guidance.kernels import ClassifierBased as Tilt
from molgen.guidance.next_token import ClassifierFreeModel, FudgeModel, number
from molgen.guidance.predictor import NetworkPredictor
from molgen.guidance.prefix_classifier import GuideScores
from molgen.guidance.smiles_grammar import Language
from molgen.guidance.spec import ClassifierBased, takes_whole_steps
from molgen.guidance.transition import MaskedTransition, Transition, UniformTransition
from molgen.guidance.weighted_conditions import Emphasis
from molgen.nn.denoiser import noise_of
from molgen.nn.kv_cache import CachedDenoiser
from molgen.nn.language_model import LanguageModel
from molgen.sampling.acceptance import LIKELY, Keeps, MoleculeJudge
from molgen.sampling.adaptive import AdaptiveSampler
from molgen.sampling.autoregressive import AutoregressiveSampler
from molgen.sampling.compatibility import check, mixture_of
from molgen.sampling.event_sampler import Sampler
from molgen.sampling.guides import classifier_of, odds
from molgen.sampling.kernel_sampler import DenseSampler
from molgen.sampling.ordered_sampler import OrderedSampler
from molgen.sampling.sampler import AnySampler, Redraw
from molgen.sampling.settings import Settings
from molgen.targets import Target
from molgen.utils.threads import Workers, workers


@contextmanager
def sampler(
    model: Checkpoint, settings: Settings, targets: Mapping[str, Target]
) -> Iterator[AnySampler]:
    """A sampler, and the threads it runs on, for the length of a block.

    Args:
        model: the network and its guide.
        settings: how to draw.
        targets: what is aimed at; none for an unguided draw.

    Raises:
        ValueError: if the model cannot be steered in this way, or its noise does not go with the
            settings.
    """
    with workers(settings.device) as pool:
        kind = noise_of(model.denoiser)
        check(model, settings, targets)
        if kind == "none":
            yield _left_to_right(model, settings, targets, pool)
        elif settings.order is not None:
            yield _ordered(model, settings, targets, pool)
        elif kind == "uniform" or takes_whole_steps(settings.steering):
            yield _dense(model, settings, targets, pool)
        else:
            yield _by_events(model, settings, targets, pool)


def _predictor(
    model: Checkpoint, settings: Settings, targets: Mapping[str, Target], pool: Workers
) -> NetworkPredictor:
    return NetworkPredictor(
        model.denoiser,
        pool,
        mixture_of(settings, targets),
        settings.shaping,
        settings.device,
        settings.dtype,
        tilts(model, settings, targets, model.denoiser.mask_id),
        settings.context,
        _emphasis(model, settings, targets),
    )


def _ordered(
    model: Checkpoint, settings: Settings, targets: Mapping[str, Target], pool: Workers
) -> OrderedSampler:
    if settings.order is None:
        raise ValueError("order is None, expected one")
    predictor = _predictor(model, settings, targets, pool)
    language = _language(model, settings)
    return OrderedSampler(predictor, settings.order, settings.batch_size, language)


def _by_events(
    model: Checkpoint, settings: Settings, targets: Mapping[str, Target], pool: Workers
) -> Sampler:
    predictor = _predictor(model, settings, targets, pool)
    plan, size = settings.strategy.plan(settings.steps), settings.batch_size
    language = _language(model, settings)
    sampler = Sampler(
        predictor, plan, settings.weights, size, settings.corrector, language=language
    )
    if settings.corrector is not None:
        device, dtype = settings.device, settings.dtype
        sampler.mender = NetworkPredictor(model.denoiser, pool, device=device, dtype=dtype)
    return sampler


def _dense(
    model: Checkpoint, settings: Settings, targets: Mapping[str, Target], pool: Workers
) -> DenseSampler:
    uniform = noise_of(model.denoiser) == "uniform"
    denoiser = model.denoiser
    classes = denoiser.pad_id if uniform else None
    emphasis = _emphasis(model, settings, targets)
    network = ShardedDenoiser(denoiser, settings.device, settings.dtype, classes, emphasis)
    mixture, shaping = mixture_of(settings, targets), settings.shaping
    guides = tilts(model, settings, targets, None if uniform else denoiser.mask_id)
    transition: Transition
    if uniform:
        transition = UniformTransition(network, mixture, guides, shaping)
    else:
        mix_steps = getattr(settings.steering, "mix", "") == "posterior"
        transition = MaskedTransition(network, mixture, guides, shaping, mix_steps)
    plan = settings.strategy.plan(settings.steps)
    return DenseSampler(transition, plan, pool, settings.weights, settings.batch_size)


def _language(model: Checkpoint, settings: Settings) -> Language | None:
    grammar = settings.grammar
    return None if grammar is None else grammar.language(model.tokenizer.vocab)


def _left_to_right(
    model: Checkpoint, settings: Settings, targets: Mapping[str, Target], pool: Workers
) -> AutoregressiveSampler:
    if settings.strategy.plan(settings.steps).sigma.any() or settings.weights is not None:
        raise ValueError(
            f"model {model.name!r} writes from left to right and takes nothing back: expected the "
            "ancestral strategy and uniform weights"
        )
    steering, device, dtype = settings.steering, settings.device, settings.dtype
    network: LanguageModel = CachedDenoiser(model.denoiser, device, dtype)  # type: ignore[arg-type]
    mixture, emphasis = mixture_of(settings, targets), _emphasis(model, settings, targets)
    if mixture is not None or emphasis is not None:
        gamma = number(mixture.gamma) if mixture else 1.0
        network = ClassifierFreeModel(network, gamma, emphasis)
    if targets and isinstance(steering, ClassifierBased):
        if steering.scores != "amortised":
            raise ValueError(
                f"scores is {steering.scores!r}, but an autoregressive network is guided by "
                "amortised scores alone: one forward tells of every next token"
            )
        guide = model.guide_for(targets, steering.guide)
        network = FudgeModel(
            network,
            GuideScores(guide, aims(guide, targets, settings.emphasis), device, dtype),
            number(settings.gamma),
        )
    return AutoregressiveSampler(network, pool, settings.shaping, settings.batch_size)


def tilts(
    model: Checkpoint, settings: Settings, targets: Mapping[str, Target], mask_id: int | None
) -> tuple[Guidance, ...]:
    """Return the classifier-based part of the guidance."""
    steering = settings.steering
    if not targets or not isinstance(steering, ClassifierBased):
        return ()
    classifier = classifier_of(model, settings, targets, settings.emphasis)
    scores: CandidateScores
    if steering.scores == "exact":
        scores = ExactScores(classifier)
    elif steering.scores == "taylor":
        scores = TaylorScores(classifier, steering.clamp)
    else:
        scores = AmortisedScores(classifier, mask_id)
    whole = steering.tilt_mask, steering.guided_remasking
    return (Tilt(scores, settings.gamma, mask_id, *whole),)


def _emphasis(
    model: Checkpoint, settings: Settings, targets: Mapping[str, Target]
) -> Emphasis | None:
    """Return the weights of the goals that the network itself is told."""
    return Emphasis.of(model.properties, targets, settings.emphasis)


def adaptive_sampler(
    model: Checkpoint,
    inner: AnySampler,
    settings: Settings,
    targets: Mapping[str, Target],
    redraw: Redraw | None = None,
    keeps: Keeps | None = None,
) -> AdaptiveSampler:
    """Return a sampler of a model's molecules; see `AdaptiveSampler`.

    Args:
        model: the model.
        inner: draws the tries.
        settings: how rows go on, which must be said there, and where a guide runs.
        targets: what rows are to be likely to meet.
        redraw: lengths and conditions of a restart.
        keeps: says whether rows keep their constraints; one that does not fails.

    Raises:
        ValueError: if rows are to be novel and the model does not tell what is known, or likely
            and there is nothing to meet, or no guide that tells it.
    """
    adapt = settings.adapt
    if adapt is None:
        raise ValueError("adapt is None, expected how rows go on")
    asked = "+".join(adapt.until)
    known = model.known if "novel" in adapt.until else None
    if "novel" in adapt.until and known is None:
        raise ValueError(
            f"until is {asked}, but model {model.name!r} has no index of known "
            "molecules, so novelty is unknown"
        )
    says = None
    if LIKELY in adapt.until:
        if not targets:
            raise ValueError(f"until is {asked}, but no target is given that a row may be to meet")
        says = odds(model, settings, targets)
    judge = MoleculeJudge(model.tokenizer, known, keeps, says, adapt.odds)
    denoiser = model.denoiser
    ids = denoiser.mask_id, denoiser.pad_id, denoiser.max_length
    return AdaptiveSampler(inner, adapt, judge, *ids, redraw)
