"""Damaged or malicious model folders: one line of error each, and no code runs.

Every key of every JSON of a tiny folder is removed or given another type, a huge number, a deep
list. A folder either loads or is refused with one ``ValueError`` of one line; in another process
an audit hook checks that nothing is imported from the folder, opened outside it, run or connected
to.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

import tiny
from molgen.checkpoints.files import CLASSIFIER, CONFIG, INDEX, INFO, PRIOR, TOKENIZER, WEIGHTS
from molgen.checkpoints.folder import load_classifier, save_network
from molgen.model import Model
from paths import ROOT
from property_models.classifiers.network import NoisyClassifier, NoisyClassifierConfig

JSON = (CONFIG, INFO, TOKENIZER, f"{CLASSIFIER}/{CONFIG}")
OTHER: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    10**30,
    1e300,
    float("nan"),
    "",
    "../x",
    [],
    [[]],
    {},
    {"a": 1},
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tiny.save(tmp_path_factory.mktemp("whole") / "model")
    sizes: dict[str, Any] = {"hidden_size": 16, "num_layers": 1, "max_position_embeddings": 12}
    config = NoisyClassifierConfig(["qed"], [[0.0, 0.5, 1.0]], [[0.5, 0.5]], vocab_size=7, **sizes)
    save_network(NoisyClassifier(config), folder / CLASSIFIER)
    info = json.loads((folder / INFO).read_text())
    measured = {"n": 9, "seeds": "0", "valid": 0.5, "novel": 0.5, "mean": None, "nfe": 3.0}
    preset = {"sampling": {"steps": 9, "remask": "ancestral"}, "measured": measured}
    more = {"presets": {"qed=max": preset}, "design": {"steps": 8}, "properties": ["qed"]}
    (folder / INFO).write_text(json.dumps({**info, **more}))
    return folder


def attempt(folder: Path) -> str:
    """Load all files; return the error's message, empty if there is none."""
    load_classifier.cache_clear()
    try:
        model = Model.load(folder)
        model.classifier_for({"qed": "max"})
        model.sample(2)
        reason = ""
    except ValueError as error:
        reason = str(error)
    assert len(reason.splitlines()) <= 1
    assert len(reason) < 800
    return reason


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the path of each value of a JSON, a few of each list."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else ()
    for key, item in list(enumerate(value))[:2] if isinstance(value, list) else items:
        yield from places(item, (*path, key))


@pytest.mark.parametrize("name", JSON)
def test_every_key_of_every_file_is_checked(whole: Path, tmp_path: Path, name: str) -> None:
    folder = shutil.copytree(whole, tmp_path / "m")
    content = json.loads((whole / name).read_text())
    refused = 0

    @settings(
        max_examples=40, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.data())
    def check(data: st.DataObject) -> None:
        nonlocal refused
        changed = json.loads(json.dumps(content))
        *into, last = data.draw(st.sampled_from(list(places(content))))
        at = changed
        for step in into:
            at = at[step]
        if data.draw(st.booleans()):
            del at[last]
        else:
            at[last] = data.draw(st.sampled_from(OTHER))
        (folder / name).write_text(json.dumps(changed))
        refused += bool(attempt(folder))

    check()
    assert refused > 10
    (folder / name).write_text(json.dumps(content))
    assert attempt(folder) == ""


TEXTS = {
    "deep": "[" * 100_000,
    "deep object": '{"a":' * 100_000,
    "cut": '{"model_type": "molgen_den',
    "bytes": "\udcff",
    "no object": "[]",
    "null": "null",
    "empty": "",
}


@pytest.mark.parametrize("name", JSON)
@pytest.mark.parametrize("text", TEXTS)
def test_files_that_are_not_json(whole: Path, tmp_path: Path, name: str, text: str) -> None:
    folder = shutil.copytree(whole, tmp_path / "m")
    (folder / name).write_text(TEXTS[text], errors="surrogateescape")
    assert name in attempt(folder)


ARRAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "prior without lengths": (PRIOR, {"lengths": None}),
    "prior of signed zeros": (PRIOR, {"lengths": np.zeros(600, np.int8)}),
    "prior of text": (PRIOR, {"values": np.zeros((600, 3), np.uint8)}),
    "prior of fewer columns": (PRIOR, {"values": np.zeros((600, 2), np.float16)}),
    "prior weighing nothing": (PRIOR, {"weight": np.zeros(600, np.float32)}),
    "prior weighing NaN": (PRIOR, {"weight": np.full(600, np.nan, np.float32)}),
    "index without keys": (INDEX, {"keys": None}),
    "index of small keys": (INDEX, {"keys": np.arange(10, dtype=np.uint8)}),
    "index out of order": (INDEX, {"keys": np.arange(10, dtype=np.uint64)[::-1].copy()}),
    "index of a table": (INDEX, {"keys": np.zeros((10, 1), np.uint64)}),
    "weights of a scalar": (WEIGHTS, {"head.bias": np.float32(1)}),
}


@pytest.mark.parametrize("case", ARRAYS)
def test_arrays_that_do_not_fit(whole: Path, tmp_path: Path, case: str) -> None:
    from safetensors import safe_open

    folder = shutil.copytree(whole, tmp_path / "m")
    name, changes = ARRAYS[case]
    with safe_open(folder / name, framework="numpy") as file:
        about = file.metadata()
    arrays = {} if name == WEIGHTS else load_file(folder / name)
    arrays = {k: v for k, v in {**arrays, **changes}.items() if v is not None}
    save_file({k: np.asarray(v) for k, v in arrays.items()}, folder / name, about)
    assert name in attempt(folder)


@pytest.mark.parametrize("name", [PRIOR, INDEX, WEIGHTS, f"{CLASSIFIER}/{WEIGHTS}"])
@pytest.mark.parametrize("part", [0.0, 0.01, 0.5, 0.999])
def test_files_cut_short(whole: Path, tmp_path: Path, name: str, part: float) -> None:
    folder = shutil.copytree(whole, tmp_path / "m")
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: int(part * len(content))])
    assert name in attempt(folder)


@pytest.mark.parametrize("shares", ["/etc", "..", ".", "", "a/b", "..\\x", "C:x", 3, [], "a\0"])
def test_a_shared_folder_must_be_a_sibling(whole: Path, tmp_path: Path, shares: Any) -> None:
    folder = shutil.copytree(whole, tmp_path / "m")
    info = json.loads((folder / INFO).read_text())
    (folder / INFO).write_text(json.dumps({**info, "shares": shares}))
    assert "shares is" in attempt(folder)


def test_a_sibling_is_shared_by_its_bare_name(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path / "first model")
    folder = shutil.copytree(whole, tmp_path / "m")
    for name in (PRIOR, INDEX):
        (folder / name).unlink()
    assert PRIOR in attempt(folder)
    info = json.loads((folder / INFO).read_text())
    (folder / INFO).write_text(json.dumps({**info, "shares": "first model"}))
    assert attempt(folder) == ""


def test_a_representation_other_than_the_tokenizers(whole: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(whole, tmp_path / "m")
    info = json.loads((folder / INFO).read_text())
    (folder / INFO).write_text(json.dumps({**info, "representation": "selfies"}))
    assert "inconsistent: representation is selfies" in attempt(folder)


HOSTILE = """
import sys
seen, folder = [], sys.argv[1]
from molgen.model import Model
from molgen.cli import main
import molgen.cli.train, molgen.training.pipeline, molgen.training.ingest, pandas, tqdm

def hook(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.system",
                 "os.exec", "os.posix_spawn", "pickle.find_class"):
        seen.append((event, str(arguments)))
    if event == "import" and arguments[1] and folder in str(arguments[1]):
        seen.append((event, str(arguments)))
    if event == "open" and str(arguments[0]).startswith("/etc/canary"):
        seen.append((event, str(arguments)))

sys.addaudithook(hook)
for words in (
    ["sample", folder, "--n", "2", "--out", folder + "/s.csv"],
    ["train", folder + "/m.csv", "--init", folder, "--out", folder + "/out"],
    ["models", folder],
):
    try:
        print(words[0], main(words))
    except SystemExit as end:
        print(words[0], end.code)
import os
print("ran", os.path.exists(folder + "/ran"))
print("seen", seen)
"""


@pytest.mark.parametrize(
    "name", ["EVIL:score", pytest.param("command:EVIL", marks=pytest.mark.slow)]
)
def test_a_folder_that_names_code_runs_none(tmp_path: Path, name: str) -> None:
    """A property that is code or a program, keys of transformers' own, a pickle beside them."""
    folder = tmp_path / "m"
    evil = folder / "evil.py"
    name = name.replace("EVIL", str(evil))
    rename = {"qed": name, "ring_count": "ring_count", "logp": "logp"}
    tiny.save(folder)
    ran = str(folder / "ran")
    evil.write_text(f"#!{sys.executable}\nopen({ran!r}, 'w')\ndef score(mol): return 1.0\n")
    evil.chmod(0o755)
    config = json.loads((folder / CONFIG).read_text())
    keys = {
        "properties": list(rename.values()),
        "auto_map": {"AutoModel": "evil.Evil", "AutoConfig": "evil.Evil"},
        "attn_implementation": "owner/kernel",
        "quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": True},
        "trust_remote_code": True,
    }
    (folder / CONFIG).write_text(json.dumps({**config, **keys}))
    (folder / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch ran'\ntR.")
    arrays = load_file(folder / PRIOR)
    save_file(arrays, folder / PRIOR, {"properties": json.dumps(list(rename.values()))})
    (folder / "m.csv").write_text("smiles\n" + "C\nCC\nCCC\nCCO\nCN\n" * 6)
    done = subprocess.run(
        [sys.executable, "-c", HOSTILE, str(folder)],
        capture_output=True, text=True, timeout=120, cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HOME": str(tmp_path), "PATH": ""},
    )  # fmt: skip
    assert "ran False" in done.stdout, done.stderr
    assert "seen []" in done.stdout, done.stdout
    assert "sample 0" in done.stdout, done.stderr
    assert "train 2" in done.stdout, done.stderr
    assert "never run" in done.stderr, done.stderr
