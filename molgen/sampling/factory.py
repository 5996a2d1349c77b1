"""The factory of samplers: from a recipe to the sampler for it.

===========  ==================================================  ===============================
noise        guidance                                            sampler
===========  ==================================================  ===============================
masked       any, with an unmasking order                        ``ordered_sampler``
masked       any that keeps the reveal rate                      ``event_sampler``
masked       the same, in continuous time                        ``continuous_sampler``
masked       tilted mask entries, guided remasking, mixed log q  ``kernel_sampler``
uniform      any                                                 ``kernel_sampler``
none         any                                                 ``autoregressive``
===========  ==================================================  ===============================

All of them draw a row for each length, with the same arguments, and return
:class:`molgen.sampling.sampler.Samples`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import cast

from molgen.diffusion.continuous_plan import ContinuousPlan
from molgen.diffusion.plan import Plan
from molgen.errors import MolgenError
from molgen.guidance.classifier import classifier_targets
from molgen.guidance.joint_predictor import JointPredictor
from molgen.guidance.next_token import ClassifierFreeModel, FudgeModel, number
from molgen.guidance.predictor import NetworkPredictor
from molgen.guidance.prefix_classifier import PrefixClassifierScores
from molgen.guidance.spec import ClassifierBased, takes_whole_steps
from molgen.guidance.transition import MaskedTransition, Transition, UniformTransition
from molgen.nn.kv_cache import CachedDenoiser
from molgen.nn.language_model import LanguageModel
from molgen.sampling.acceptance import LIKELY, Keeps, MoleculeCheck
from molgen.sampling.adaptive import AdaptiveSampler
from molgen.sampling.autoregressive import AutoregressiveSampler
from molgen.sampling.continuous_sampler import ContinuousSampler
from molgen.sampling.event_sampler import EventSampler, Sampler
from molgen.sampling.kernel_sampler import DenseSampler
from molgen.sampling.ordered_sampler import OrderedSampler
from molgen.sampling.recipe import Recipe
from molgen.sampling.sampler import AnySampler, Condition, Job, OnDone, Redraw, Samples
from molgen.utils.arrays import Ids
from molgen.utils.threads import Workers, workers


def draw(
    recipe: Recipe,
    n: int,
    seed: int = 0,
    first: int = 0,
    record: bool = False,
    on_done: OnDone | None = None,
) -> Samples:
    """Draw rows; see :meth:`molgen.model.Model.draw`."""
    prior_draw = recipe.draw_prior(n, seed, first)

    def redraw(other: int) -> tuple[Ids, Condition]:
        again = recipe.draw_prior(n, other, first)
        return again.lengths, again.condition

    with sampler(recipe) as inner:
        if recipe.settings.adapt is not None:
            inner = adaptive_sampler(recipe, inner, redraw)
        found = inner.run(
            Job(prior_draw.lengths, prior_draw.condition, seed, first, record=record), on_done
        )
    if found.trajectory is None:
        return found
    events = replace(found.trajectory, tokenizer=recipe.model.tokenizer)
    return replace(found, trajectory=events)


@contextmanager
def sampler(recipe: Recipe) -> Iterator[AnySampler]:
    """A sampler for a recipe, with its threads, as a context manager.

    Raises:
        MolgenError: if the model cannot be guided in this way.
    """
    settings = recipe.settings
    with workers(settings.device) as pool:
        if recipe.noise == "none":
            yield _left_to_right(recipe, pool)
        elif settings.order is not None:
            predictor = _predictor(recipe, pool)
            how = settings.order, settings.batch_size, recipe.language, settings.blocks
            yield OrderedSampler(predictor, *how)
        elif recipe.noise == "uniform" or takes_whole_steps(settings.guidance):
            yield _dense(recipe, pool)
        else:
            yield _by_events(recipe, pool)


def _predictor(recipe: Recipe, pool: Workers) -> NetworkPredictor:
    settings = recipe.settings
    network = recipe.network(recipe.goal_weights)
    if settings.joint == "block":
        block = recipe.model.joint_block()
        return JointPredictor(network, block, pool, recipe.mixture, settings.shaping, recipe.tilts)
    how = settings.shaping, recipe.tilts, settings.context
    return NetworkPredictor(network, pool, recipe.mixture, *how)


def _by_events(recipe: Recipe, pool: Workers) -> EventSampler:
    settings, predictor, plan = recipe.settings, _predictor(recipe, pool), recipe.plan
    how, parts = (settings.remask_weights, settings.batch_size), (recipe.language, settings.blocks)
    if isinstance(plan, ContinuousPlan):
        return ContinuousSampler(predictor, plan, *how, *parts)
    plain = None
    if settings.corrector is not None:
        plain = NetworkPredictor(recipe.network(), pool)
    return Sampler(predictor, plan, *how, settings.corrector, plain, *parts)


def _dense(recipe: Recipe, pool: Workers) -> DenseSampler:
    settings, uniform = recipe.settings, recipe.noise == "uniform"
    classes = recipe.model.denoiser.pad_id if uniform else None
    network = recipe.network(recipe.goal_weights, classes)
    how = network, recipe.mixture, recipe.tilts, settings.shaping
    transition: Transition
    if uniform:
        transition = UniformTransition(*how)
    else:
        mix_steps = getattr(settings.guidance, "mix", "") == "posterior"
        transition = MaskedTransition(*how, mix_steps)
    plan = cast(Plan, recipe.plan)  # continuous time has been refused
    return DenseSampler(transition, plan, pool, settings.remask_weights, settings.batch_size)


def _left_to_right(recipe: Recipe, pool: Workers) -> AutoregressiveSampler:
    settings, model = recipe.settings, recipe.model
    if recipe.plan.remasks or settings.remask_weights is not None:
        raise MolgenError(
            f"model {model.name!r} is autoregressive and has no remasking: expected remask "
            "ancestral and weights uniform"
        )
    guidance, place = settings.guidance, (settings.device, settings.dtype)
    network: LanguageModel = CachedDenoiser(model.denoiser, *place)  # type: ignore[arg-type]
    mixture, goal_weights = recipe.mixture, recipe.goal_weights
    if mixture is not None or goal_weights is not None:
        gamma = number(mixture.gamma) if mixture else 1.0
        network = ClassifierFreeModel(network, gamma, goal_weights)
    if recipe.targets and isinstance(guidance, ClassifierBased):
        if guidance.scores != "amortised":
            raise MolgenError(
                f"scores is {guidance.scores!r}, expected 'amortised' for an autoregressive network"
            )
        wanted = classifier_targets(recipe.noisy_classifier, recipe.targets, settings.goal_weights)
        scores = PrefixClassifierScores(recipe.noisy_classifier, wanted, *place)
        network = FudgeModel(network, scores, number(settings.gamma))
    return AutoregressiveSampler(network, pool, settings.shaping, settings.batch_size)


def adaptive_sampler(
    recipe: Recipe,
    inner: AnySampler,
    redraw: Redraw | None = None,
    keeps: Keeps | None = None,
) -> AdaptiveSampler:
    """Return a sampler that retries failed rows; see `AdaptiveSampler`.

    Args:
        recipe: with the settings of the retries, and the targets for ``until=likely``.
        inner: draws the attempts.
        redraw: lengths and conditions of a restart.
        keeps: whether rows satisfy their constraints; others fail.

    Raises:
        MolgenError: if rows must be novel and the model has no training-set index, or likely and
            there are no targets or no noisy classifier.
    """
    model, adapt = recipe.model, recipe.settings.adapt
    if adapt is None:
        raise MolgenError("adapt is None, expected a retry such as restart")
    until = "+".join(adapt.until)
    index = model.training_index if "novel" in adapt.until else None
    if "novel" in adapt.until and index is None:
        raise MolgenError(
            f"until is {until}, expected no 'novel': model {model.name!r} has no training-set index"
        )
    probability = None
    if LIKELY in adapt.until:
        if not recipe.targets:
            raise MolgenError(f"until is {until}, expected no 'likely': there are no targets")
        probability = recipe.target_probability()
    check = MoleculeCheck(model.tokenizer, index, keeps, probability, adapt.probability)
    denoiser = model.denoiser
    ids = denoiser.mask_id, denoiser.pad_id, denoiser.max_length
    return AdaptiveSampler(inner, adapt, check, *ids, redraw)
