"""Stops of diversity: files are read back or refused, and draws are those of the nearest stop."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from quality_diversity import with_delivered

import molgen
from molgen.errors import MolgenError
from molgen.model import Model
from molgen.sampling.diversity import Stop, nearest, read_stops, write_stops
from molgen.sampling.settings import from_words

BUNDLED = Path(molgen.__file__).parent / "checkpoints/weights/zinc250k/diversity.json"


def preset(diversity: float, target: str = "qed=0.4..", **sampling: Any) -> dict[str, Any]:
    measured = {"n": 64, "quality": 0.5, "diversity": diversity}
    return {
        **{"format": 1, "model": "tiny", "target": target, "molgen": "0.1.0"},
        **{"sampling": {"steps": 12, "conditions": "profile", **sampling}, "measured": measured},
    }


STOPS = {"wide": preset(0.9, "logp=0..", temperature=1.5), "narrow": preset(0.8, temperature=0.5)}


@pytest.fixture(scope="module")
def stepped(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """The tiny model with two stops."""
    folder = tmp_path_factory.mktemp("stepped") / "tiny"
    shutil.copytree(tiny_model, folder)
    write_stops(folder / "diversity.json", STOPS)
    return molgen.load(folder)


def test_stops_are_read_back_by_rising_diversity(tmp_path: Path) -> None:
    write_stops(tmp_path / "d.json", STOPS)
    found = read_stops(tmp_path / "d.json")
    assert [stop.name for stop in found] == ["narrow", "wide"]
    assert {stop.name: stop.preset for stop in found} == STOPS


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "damaged"),
        ([], "expected format 1"),
        ({"format": 2, "stops": STOPS}, "expected format 1"),
        ({"format": 1, "stops": {}}, "stops are missing"),
        ({"format": 1, "stops": {"x": {}}}, "format is None"),
        ({"format": 1, "stops": {"x": preset(1.5)}}, "stop x: diversity is 1.5"),
        ({"format": 1, "stops": {"x": {**preset(0.8), "measured": {}}}}, "stop x: diversity is No"),
        ({"format": 1, "stops": {"x": preset(0.8, temperature="hot")}}, "temperature is 'hot'"),
        ({"format": 1, "stops": {"x": preset(0.8, batch_size=3)}}, "'batch_size' is unknown"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, content: object, message: str) -> None:
    path = tmp_path / "d.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(MolgenError, match=f"^{path} .*{message}"):
        read_stops(path)


@pytest.mark.parametrize(
    ("diversity", "name"),
    [
        (0.84, "narrow"), (0.86, "wide"), ("0.86", "wide"), (0.01, "narrow"), (0.99, "wide"),
        ("wide", "wide"), ("narrow", "narrow"),
    ],
)  # fmt: skip
def test_which_stop_is_the_nearest(diversity: float | str, name: str) -> None:
    assert nearest([Stop(*item) for item in STOPS.items()], diversity).name == name


@pytest.mark.parametrize("diversity", [0, 1, -0.5, 85, float("nan"), "wid", "", "85%"])
def test_diversities_that_are_refused(diversity: float | str) -> None:
    with pytest.raises(MolgenError, match=r"^diversity is .*between 0 and 1 or one of wide"):
        nearest([Stop(*item) for item in STOPS.items()], diversity)


def test_rows_are_those_of_the_settings_and_targets_of_the_stop(stepped: Model) -> None:
    found = stepped.sample(24, diversity=0.83)
    same = stepped.sample(24, {"qed": "0.4.."}, preset=STOPS["narrow"])
    assert found.table.equals(same.table)
    assert found.request.settings == from_words(STOPS["narrow"]["sampling"])
    assert stepped.sample(24, diversity="wide").request.targets == {
        "logp": molgen.Range(0, float("inf"))
    }


def test_own_targets_and_settings_come_before_those_of_the_stop(stepped: Model) -> None:
    found = stepped.sample(24, {"ring_count": 1}, diversity="narrow", temperature=1.2)
    assert found.request.targets == {"ring_count": 1}
    assert found.request.settings.shaping.temperature == 1.2
    assert found.request.settings.conditions == "profile"
    designed = molgen.design(
        stepped, {"qed": "0.4.."}, 5, diversity="wide", steps=6, progress=False
    )
    assert designed.request.guided_by == {"qed": molgen.Range(0.4, float("inf"))}
    assert (designed.table["qed"] >= 0.4).all()
    assert designed.request.settings.shaping.temperature == 1.5
    assert designed.request.settings.steps == 6


def test_the_targets_of_a_stop_guide_and_filter_nothing(stepped: Model) -> None:
    found = molgen.design(stepped, None, 12, diversity=0.8, progress=False)
    rows = with_delivered(stepped.sample(80, diversity=0.8).table)
    delivered = rows.loc[rows["delivered"], "smiles"].tolist()
    assert found.table["smiles"].tolist() == delivered[: len(found)]
    assert len(found) == 12
    assert (found.table["qed"] < 0.4).any()


def test_without_guidance_a_stop_guides_nothing(stepped: Model) -> None:
    found = molgen.design(
        stepped, None, 3, diversity=0.8, guidance="none", conditions="asked", progress=False
    )
    assert found.request.guided_by == {}


def test_a_model_without_stops_and_a_further_preset_are_refused(
    tiny: Model, stepped: Model
) -> None:
    for draw in (lambda m, **k: m.sample(2, **k), lambda m, **k: molgen.design(m, None, 2, **k)):
        with pytest.raises(MolgenError, match=r"^diversity is 0\.8, but .* no diversity\.json"):
            draw(tiny, diversity=0.8)
        with pytest.raises(MolgenError, match=r"^preset and diversity are both given"):
            draw(stepped, diversity=0.8, preset=STOPS["wide"])


def test_a_campaign_draws_at_a_stop(stepped: Model, tmp_path: Path) -> None:
    path = tmp_path / "a.campaign"
    words: dict[str, Any] = {"diversity": "wide", "block": 16, "progress": False}
    with molgen.Campaign(path, "design", str(stepped.folder), None, 4, **words) as campaign:
        settings = campaign._prepare().request.settings
        assert settings is not None
        assert settings.shaping.temperature == 1.5
    with molgen.Campaign(path, progress=False) as campaign:
        assert campaign._prepare().request.guided_by == {"logp": molgen.Range(0, float("inf"))}
    words["diversity"] = "narrow"
    with pytest.raises(MolgenError, match='diversity was "wide" and is "narrow"'):
        molgen.Campaign(path, "design", str(stepped.folder), None, 4, **words)


def test_the_bundled_stops_trade_quality_for_diversity() -> None:
    stops = read_stops(BUNDLED)
    measured = [stop.preset["measured"] for stop in stops]
    assert [stop.name for stop in stops] == ["low", "medium", "high", "highest"]
    qualities = [each["quality"] for each in measured]
    assert qualities == sorted(qualities, reverse=True)
    for stop in stops:
        assert set(stop.targets) == {"qed", "sa"}
        assert from_words(stop.sampling).conditions == "profile"
