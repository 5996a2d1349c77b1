"""The files that a request names."""

from __future__ import annotations

from pathlib import Path

from molgen.discovery.request_files import contents


def test_files_are_told_by_their_content_and_a_lead_is_no_file(tmp_path: Path) -> None:
    path = tmp_path / "leads.smi"
    path.write_text("CCO\n")
    own = tmp_path / "guide"
    own.mkdir()
    (own / "molgen.json").write_text("{}")
    guidance = f"cbg:classifier={own},cfg=1"
    found = contents([str(path), "C" * 5000, ""], guidance, ["qed"])  # no system has such a name
    assert set(found) == {"content of leads.smi", "content of molgen.json"}
    path.write_text("CCN\n")
    assert contents([str(path)], "", [])["content of leads.smi"] != found["content of leads.smi"]
