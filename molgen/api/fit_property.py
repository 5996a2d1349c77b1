"""Property predictors: measured molecules -> a fitted predictor, and a noisy classifier for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from molgen.api.load import ModelLike, loaded
from molgen.api.molecules import MoleculesLike, is_file, read_molecules, table_of
from molgen.api.progress import Progress, progress_of
from molgen.api.train_options import check_source
from molgen.checkpoints.files import CLASSIFIER
from molgen.data.reading import Table
from molgen.data.tables import write_table
from molgen.errors import MolgenError
from molgen.sampling.result import Result
from molgen.training.ingest import COLUMN, built_in
from molgen.utils.files import check_folder, replacing
from molgen.utils.hints import one_of
from molgen.utils.locks import locked
from molgen.utils.numbers import whole
from property_models import get
from property_models.learned.calibration_plot import calibration_plot
from property_models.learned.fit import Assessment, fit_predictor
from property_models.learned.fitting import check_library
from property_models.learned.measured import Measured, measured, read_measured
from property_models.learned.predictor import PropertyPredictor
from property_models.learned.splits import Kind
from property_models.property import Direction, Property

if TYPE_CHECKING:
    import pandas as pd

    from molgen.model import Model

MOLECULES, EPOCHS = 20_000, 6.0
WRITTEN = ("predictions.csv", "left_out.csv")  # tables in the folder


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fitted property.

    Attributes:
        property: the predicted value, ``model:FOLDER``.
        uncertainty: its standard deviation, ``uncertainty:FOLDER``.
        predictor: with its intervals.
        figure: predictions and coverage on the test molecules; None without matplotlib.
        classifier: folder of the noisy classifier; None if none was trained.
    """

    property: Property
    uncertainty: Property
    predictor: PropertyPredictor
    figure: Path | None = None
    classifier: Path | None = None


def fit_property(
    data: MoleculesLike,
    column: str | ArrayLike,
    out: str | Path,
    *,
    smiles_column: str | None = None,
    name: str | None = None,
    unit: str = "",
    direction: Direction = "none",
    split: Kind = "scaffold",
    seed: int = 0,
    classifier: ModelLike | None = None,
    classifier_molecules: int = MOLECULES,
    classifier_epochs: float = EPOCHS,
    classifier_sizes: Mapping[str, int] | None = None,
    progress: Progress | bool | None = None,
) -> Result[dict[str, Any]]:
    """Fit a property predictor to measured molecules, with calibrated intervals.

    The predictor is a Gaussian process on substructure counts and descriptors. Writes its folder,
    with predictions.csv, calibration.png and, if rows were rejected, left_out.csv.

        fitted = molgen.fit_property("assay.csv", "pIC50", "predictor", classifier="zinc250k")
        molgen.search("zinc250k", {fitted.output.property: "max"})

    Args:
        data: a file or a table with a column of values, or molecules in any container.
        column: of the values, or the values themselves, with shape (molecules,).
        out: folder to write.
        smiles_column: of the SMILES in a file or table; None for the usual ones.
        name: of the property; by default the column's.
        unit: of the values.
        direction: whether more (``max``) or less (``min``) of it is better, or ``none``.
        split: how to split off test molecules, ``scaffold`` or ``random``; the other is measured,
            too.
        seed: of split and fit.
        classifier: train a noisy classifier for this model, on its draws labelled by the predictor.
        classifier_molecules: number to draw and label.
        classifier_epochs: passes over these molecules.
        classifier_sizes: of its network: ``hidden_size``, ``num_layers``, ...; None for the usual.
        progress: False for none, or callbacks.

    Returns:
        All molecules with measured and predicted values, 90 % intervals and their part; ``output``
        is :class:`Fitted`, and ``counts`` has the rows, the errors on test molecules and the
        agreement of the classifier.

    Raises:
        MolgenError: if an argument or the data are invalid.
    """
    progress = progress_of(progress)
    check_library()
    folder = check_folder(out)
    if is_file(data):
        check_source(str(data), folder, WRITTEN)
    whole("seed", seed, 0)
    if not 0 < classifier_epochs < float("inf"):
        raise MolgenError(f"classifier-epochs is {classifier_epochs}, expected more than 0")
    model = None if classifier is None else loaded(classifier)
    title = column if isinstance(column, str) else "value"
    with locked(folder):
        found = _measured(data, column, smiles_column, progress.shown)
        progress.remark(f"{found.source}: {found.summary()}")
        try:
            predictor, tested = fit_predictor(
                found, name or title, unit, direction, split, seed, on_stage=progress.stage
            )
        except ValueError as error:  # often because of rejected rows
            raise MolgenError("; ".join([str(error), *found.notes])) from error
        notes = built_in(str(data), {title: COLUMN}) if is_file(data) else []
        for line in [*found.notes, *notes]:
            progress.note(line)
        table = _predictions(tested, found)
        figure = _write(folder, predictor, tested, found, table, progress)
        counts = {**found.counts, "test": predictor.card["test"]}
        place = None
        if model is not None:
            place = folder / CLASSIFIER
            sizes = classifier_molecules, classifier_epochs, classifier_sizes
            counts["classifier"] = _classifier(
                model, (found, tested), (split, seed), folder, sizes, progress
            )
        own = Fitted(get(f"model:{folder}"), get(f"uncertainty:{folder}"), predictor, figure, place)
        return Result(table, counts, found.counts["rows"], request=predictor.card, output=own)


def _measured(
    data: MoleculesLike, column: str | ArrayLike, smiles_column: str | None, shown: bool
) -> Measured:
    """Return measured molecules.

    Raises:
        MolgenError: if they cannot be read, or there is not one value for each.
    """
    if isinstance(data, Path) or is_file(data):
        if not isinstance(column, str):
            raise MolgenError("column is values, expected the name of one in the file")
        return read_measured(str(data), column, smiles_column, shown)
    read = read_molecules(data, "data", smiles_column, option="smiles-column")
    table, name = table_of(read), column if isinstance(column, str) else "value"
    if isinstance(column, str):
        headings = list(getattr(data, "columns", ()))
        if column not in headings:
            raise MolgenError(f"column is {column!r}, {one_of(column, headings)}")
        column = data[column]  # type: ignore[index]
    try:
        values = np.asarray(column, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise MolgenError(f"column {name}: {error}, expected numbers") from error
    if values.shape != (len(table),):
        raise MolgenError(
            f"column has shape {values.shape}, expected a value for each of {len(table)} molecules"
        )
    return measured(Table(table.source, table.raw, table.lines, {name: values}), name, shown)


def _write(
    out: Path,
    predictor: PropertyPredictor,
    tested: Assessment,
    found: Measured,
    table: pd.DataFrame,
    progress: Progress,
) -> Path | None:
    """Write the predictor's folder; the predictor itself last, so that it is never partial."""
    write_table(table, out / "predictions.csv")
    left_out = out / "left_out.csv"
    if found.left_out:
        found.write_left_out(left_out)
    else:
        left_out.unlink(missing_ok=True)
    figure = out / "calibration.png"
    try:
        calibration_plot(tested, found.values, predictor.name, figure, predictor.unit)
    except ValueError as error:  # no matplotlib: only the plot is missing
        progress.note(f"no calibration.png: {error}")
    predictor.save(out)
    progress.round(predictor)
    progress.remark(f"wrote {out}: the property model:{out} and its deviation uncertainty:{out}")
    return figure if figure.is_file() else None


def _predictions(tested: Assessment, found: Measured) -> pd.DataFrame:
    """Return a table of all molecules: measured, predicted, the 90 % interval, and the part."""
    import pandas as pd

    parts = np.full(len(found.smiles), "training", dtype=object)
    parts[tested.split.calibration] = "calibration"
    parts[tested.split.test] = "test"
    low, high = tested.conformal.interval(tested.mean, tested.spread, 0.9)
    return pd.DataFrame(
        {
            "smiles": found.smiles,
            "measured": found.values,
            "predicted": tested.mean,
            "low_90": low,
            "high_90": high,
            "part": parts,
        }
    )


def _classifier(
    model: Model,
    fitted: tuple[Measured, Assessment],
    how: tuple[Kind, int],
    out: Path,
    sizes: tuple[int, float, Mapping[str, int] | None],
    progress: Progress,
) -> dict[str, Any]:
    """Draw molecules, label them with the predictor, and train a noisy classifier."""
    from molgen.training import distil

    (found, tested), (kind, seed), (count, epochs, network) = fitted, how, sizes
    count = whole("classifier_molecules", count)
    name, folder = f"model:{out}", out / CLASSIFIER
    progress.begin(count, "molecule")
    try:
        drawn = distil.draw(model, count, seed, progress.add)
    finally:
        progress.end()
    labelled = distil.label(model, name, found, tested.split, kind, drawn, seed)
    counts = ", ".join(f"{n:,} {label}" for label, n in labelled.counts.items())
    progress.remark(f"classifier: {counts}")
    classifier = distil.train(labelled, model, folder, epochs, network, progress.shown)
    agreement = distil.agreement(classifier, labelled.data)
    record = {"model": model.name, "labels": labelled.counts, "held_out": agreement}
    with replacing(folder / "classifier.json") as part:
        part.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    if "spearman" in agreement:
        progress.remark(
            f"classifier and predictor on {agreement['molecules']} clean held-out molecules: rank "
            f"correlation {agreement['spearman']:.3f}"
        )
    progress.remark(f"wrote {folder}: a noisy classifier of {name}")
    return record
