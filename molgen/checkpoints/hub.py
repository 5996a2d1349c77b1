"""Where a model lies: a bundled name, a folder, or a hub id (``owner/name``)."""

from __future__ import annotations

from pathlib import Path

BUNDLED = Path(__file__).parent / "weights"


def bundled_names() -> tuple[str, ...]:
    """Return the names of the models that come with molgen."""
    return tuple(sorted(p.parent.name for p in BUNDLED.glob("*/config.json")))


def locate(name: str | Path) -> Path:
    """Return the folder of a model.

    Args:
        name: a bundled name, a folder, or a hub id (``owner/name``), which is downloaded.

    Raises:
        ValueError: naming what came and the bundled models there are.
    """
    text = str(name)
    if text in bundled_names():
        return BUNDLED / text
    folder = Path(name)
    if (folder / "config.json").is_file() and (folder / "molgen.json").is_file():
        return folder
    if folder.exists():
        raise ValueError(f"{text!r} is not a molgen model: it has no config.json and molgen.json")
    parts = text.split("/")
    if len(parts) == 2 and all(parts) and not text.startswith((".", "~")):
        return _download(text)
    known = ", ".join(bundled_names()) or "none"
    raise ValueError(
        f"no model {text!r}: expected a bundled name ({known}), a folder, or a hub id owner/name"
    )


def _download(hub_id: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(hub_id))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(
            f"no folder {hub_id!r}, and the hub gave no model of that name: {reason}"
        ) from error
