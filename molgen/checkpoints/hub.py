"""Location of a model: a bundled name, a folder, or ``hf:owner/name[@revision]`` on the model hub.

The hub is contacted only for a name that begins with ``hf:``. A revision is resolved once to a
commit, which replaces it in the model's name, so that every record of the model is exact. Only the
files of a model folder are fetched, and none of them runs.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from molgen.checkpoints.files import ALL, CONFIG, INFO
from molgen.errors import ModelError
from molgen.utils.hints import hint

BUNDLED = Path(__file__).parent / "weights"
HUB = "hf:"
TIMEOUT = 30  # seconds for a response of the hub
SHOWN = 200  # characters of a name in a message

_PART = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_NAME = re.compile(rf"{HUB}(?P<repository>{_PART}/{_PART})(?:@(?P<revision>[\w./-]+))?")
_COMMIT = re.compile(r"[0-9a-f]{40}")


def bundled_names() -> tuple[str, ...]:
    """Return the names of the models that come with molgen."""
    return tuple(sorted(p.parent.name for p in BUNDLED.glob(f"*/{CONFIG}")))


def check_name(name: str | Path) -> None:
    """Check that a name is that of a model, without contacting the hub.

    Raises:
        MolgenError: if it is not, with the names of the bundled models.
    """
    if str(name).startswith(HUB):
        _parts(str(name))
    elif not is_masked_lm(name):
        locate(name)


def is_masked_lm(name: str | Path) -> bool:
    """Return whether a name is that of a folder with a network alone, without molgen's files."""
    text = str(name)
    return (
        "\0" not in text and text not in bundled_names() and _has(text, CONFIG) > _has(text, INFO)
    )


def _has(folder: str, name: str) -> bool:
    return os.path.isfile(os.path.join(folder, name))


def resolve(name: str | Path) -> str:
    """Return a name that identifies one version of a model permanently.

    Args:
        name: a bundled name or a folder, which is returned unchanged, or a name of the hub, to
            which its commit is added (reported on the standard error stream).

    Raises:
        MolgenError: if the hub cannot be reached, or has no such model.
    """
    text = str(name)
    if not text.startswith(HUB):
        return text
    repository, revision = _parts(text)
    if _COMMIT.fullmatch(revision):
        return text
    from huggingface_hub import HfApi

    try:
        found = HfApi().model_info(repository, revision=revision or None, timeout=TIMEOUT)
    except Exception as error:  # of the library, its transport or the system
        raise ModelError(f"model {text!r} cannot be fetched: {_reason(error)}") from error
    resolved = f"{HUB}{repository}@{found.sha}"
    print(f"{text} is {resolved}", file=sys.stderr)
    return resolved


def locate(name: str | Path) -> Path:
    """Return the folder of a model.

    Args:
        name: a bundled name, a folder, or a name of the hub, whose files are downloaded.

    Raises:
        MolgenError: if there is no such model, with the names of the bundled models.
    """
    if not isinstance(name, str | Path) or "\0" in str(name):
        raise ModelError(f"model is {name!r}, expected a name or a folder")
    text = str(name)
    if text in bundled_names():
        return BUNDLED / text
    if text.startswith(HUB):
        return locate(fetch(resolve(text), ALL))
    folder = Path(name)
    if os.path.isfile(folder / CONFIG) and os.path.isfile(folder / INFO):
        return folder
    if is_masked_lm(text):
        raise ModelError(
            f"{text!r} is a masked language model without {INFO}, expected a molgen model; "
            "`molgen sample` draws from it with --template or --length, and molgen.denoiser_from"
        )
    if os.path.exists(folder):
        raise ModelError(f"{text!r} is not a molgen model: it has no {CONFIG} and {INFO}")
    if _NAME.fullmatch(HUB + text):
        raise ModelError(f"no such folder: {text!r}; for a model of the hub write {HUB}{text}")
    bundled = ", ".join(bundled_names()) or "none"
    raise ModelError(
        f"no model {text[:SHOWN]!r}: expected a bundled name ({bundled}), a folder, or "
        f"{HUB}owner/name[@revision]{hint(text, bundled_names())}"
    )


def _parts(text: str) -> tuple[str, str]:
    """Return repository and revision, the latter empty if the name has none."""
    match = _NAME.fullmatch(text)
    if match is None:
        raise ModelError(f"model {text!r}: expected {HUB}owner/name or {HUB}owner/name@revision")
    return match["repository"], match["revision"] or ""


def fetch(resolved: str, names: Sequence[str]) -> Path:
    """Return the folder of a commit, after fetching the files that are not cached.

    Args:
        resolved: of :func:`resolve`.
        names: of the files.

    Raises:
        MolgenError: if the hub cannot be reached, or has no such model.
    """
    from huggingface_hub import snapshot_download

    repository, commit = _parts(resolved)
    try:
        return Path(snapshot_download(repository, revision=commit, allow_patterns=list(names)))
    except Exception as error:  # of the library, its transport or the system
        raise ModelError(f"model {resolved!r} cannot be fetched: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
