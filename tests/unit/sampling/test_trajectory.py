from __future__ import annotations

import numpy as np

from molgen.data.tokenizer import Tokenizer
from molgen.diffusion import plan
from molgen.sampling.event_sampler import Sampler, Samples
from molgen.sampling.sampler import Job
from molgen.sampling.trajectory import EVENTS, PLACED, REMOVED, Recorder, Trajectory
from tiny import Table

LENGTHS = np.array([4, 9, 1, 6])
TOKENIZER = Tokenizer(["(", "=", "C", "N", "O"])


def drawn(first: int = 0) -> tuple[Samples, Trajectory]:
    sampler = Sampler(Table(), plan.Rescale(0.6).plan(24), batch_size=3)
    samples = sampler.run(Job(LENGTHS, seed=2, first=first, record=True))
    assert samples.trajectory is not None
    return samples, samples.trajectory


def by_hand(*events: tuple[int, int, int, int, int, float]) -> Trajectory:
    columns = np.array(events, dtype=float).T
    return Trajectory(*(c.astype(np.int64) for c in columns[:5]), columns[5])  # type: ignore[call-arg]


def test_a_replay_ends_in_the_drawn_tokens() -> None:
    samples, events = drawn()
    for row, length in enumerate(LENGTHS):
        steps, states = events.states(row, int(length), TOKENIZER.mask_id)
        np.testing.assert_array_equal(states[-1], samples.tokens[row, :length])
        assert (np.diff(steps) > 0).all()
        assert (states[:-1] != states[1:]).any(1).all(), "every state shown is a new one"


def test_events_are_in_order_and_consistent() -> None:
    _, events = drawn(first=50)
    assert sorted(set(events.molecule.tolist())) == [50, 51, 52, 53]
    assert (np.diff(events.molecule) >= 0).all()
    there: dict[tuple[int, int], tuple[int, float]] = {}
    step: dict[int, int] = {}
    for m, s, place, action, token, p in zip(
        *(getattr(events, name) for name in EVENTS), strict=True
    ):
        assert step.get(m, 0) <= s < 24
        step[m] = s
        if action == PLACED:
            assert (m, place) not in there
            assert 0 < p <= 1
            there[m, place] = (token, p)
        else:
            assert action == REMOVED
            assert there.pop((m, place)) == (token, p), "what is removed is what was placed"
    assert len(there) == LENGTHS.sum()


def test_recording_changes_nothing() -> None:
    sampler = Sampler(Table(), plan.Rescale(0.6).plan(24), batch_size=3)
    silent = sampler.run(Job(LENGTHS, seed=2))
    assert silent.trajectory is None
    np.testing.assert_array_equal(silent.tokens, drawn()[0].tokens)


STORY = by_hand(
    (3, 0, 1, PLACED, 2, 0.5),
    (3, 2, 0, PLACED, 4, 0.25),
    (3, 2, 1, REMOVED, 2, 0.5),
    (3, 5, 1, PLACED, 3, 0.75),
    (3, 7, 0, REMOVED, 4, 0.25),
    (3, 9, 0, PLACED, 4, 1.0),
)


def test_states_and_text_by_hand() -> None:
    steps, states = STORY.states(3, 2, TOKENIZER.mask_id)
    m = TOKENIZER.mask_id
    assert steps.tolist() == [0, 2, 5, 7, 9]
    assert states.tolist() == [[m, 2], [4, m], [4, 3], [m, 3], [4, 3]]
    assert STORY.text(3, 2, TOKENIZER).splitlines() == [
        "    0  _ C",
        "    2  O _",
        "    5  O N",
        "    7  _ N",
        "    9  O N",
    ]


def test_the_table_has_the_events() -> None:
    frame = STORY.frame(TOKENIZER)
    assert list(frame) == ["molecule", "step", "position", "action", "token", "probability"]
    assert frame["action"].tolist() == [
        "placed", "placed", "removed", "replaced", "removed", "placed"
    ]  # fmt: skip
    assert "".join(frame["token"]) == "COCNOO"
    assert frame["probability"].tolist() == [0.5, 0.25, 0.5, 0.75, 0.25, 1.0]


def test_no_events() -> None:
    nothing = Recorder().trajectory()
    assert len(nothing.step) == 0
    assert nothing.frame(TOKENIZER).empty
    assert nothing.text(0, 3, TOKENIZER) == ""
    assert len(STORY.of(2).step) == 0
