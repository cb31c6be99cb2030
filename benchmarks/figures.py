"""Figures: percentiles of samples, the median over runs, a table, and the file that keeps them."""

import dataclasses
import json
import math
import statistics
from collections.abc import Sequence
from pathlib import Path

BUILD = Path(__file__).parents[1] / "build" / "bench"


@dataclasses.dataclass(frozen=True, slots=True)
class Figure:
    """One row. ``floor`` is the floor's p50 in the same unit; ``ratio`` is ours / floor."""

    name: str
    unit: str
    p50: float
    p99: float
    rate: float | None = None
    floor: float | None = None
    ratio: float | None = None


def percentile(samples: Sequence[float], percent: float) -> float:
    """Give the nearest-rank percentile of at least one sample."""
    ordered = sorted(samples)
    rank = max(1, math.ceil(percent / 100 * len(ordered)))
    return ordered[rank - 1]


def over_runs(runs: Sequence[Sequence[float]], percent: float) -> float:
    """Give the median, over the runs, of a percentile of each run."""
    return statistics.median(percentile(samples, percent) for samples in runs)


def beside(
    name: str, unit: str, ours: Sequence[Sequence[float]], floor: Sequence[Sequence[float]]
) -> list[Figure]:
    """Give two rows: ours with its ratio to the floor, and the floor. Samples are times."""
    below = over_runs(floor, 50)
    p50 = over_runs(ours, 50)
    return [
        Figure(name, unit, p50, over_runs(ours, 99), _rate(ours), below, p50 / below),
        Figure(f"{name}-floor", unit, below, over_runs(floor, 99), _rate(floor)),
    ]


def _rate(runs: Sequence[Sequence[float]]) -> float:
    """Give how many a second one after the other make, from samples in milliseconds."""
    return statistics.median(1000 * len(samples) / sum(samples) for samples in runs)


def write(name: str, figures: Sequence[Figure]) -> Path:
    """Write ``build/bench/NAME.json``; gives its path."""
    BUILD.mkdir(parents=True, exist_ok=True)
    path = BUILD / f"{name}.json"
    rows = [
        {
            key: round(value, 3) if isinstance(value, float) else value
            for key, value in dataclasses.asdict(figure).items()
        }
        for figure in figures
    ]
    path.write_text(json.dumps(rows, indent=2) + "\n")
    return path


def table(figures: Sequence[Figure]) -> str:
    """Give the rows as aligned text."""
    head = ("name", "unit", "p50", "p99", "rate/s", "floor", "ratio")
    rows = [
        (
            figure.name,
            figure.unit,
            *(
                "-" if value is None else f"{value:.2f}"
                for value in (figure.p50, figure.p99, figure.rate, figure.floor, figure.ratio)
            ),
        )
        for figure in figures
    ]
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (head, *rows)
    )
