"""Run one benchmark by name, or all: ``python -m benchmarks [NAME]``."""

import sys

from benchmarks import figures, restore

_ALL = {"restore": restore.measure}


def main() -> int:
    """Run what was asked for; gives the exit status."""
    wanted = sys.argv[1:] or sorted(_ALL)
    unknown = sorted(set(wanted) - set(_ALL))
    if unknown:
        names = ", ".join(sorted(_ALL))
        print(f"There is no benchmark {', '.join(unknown)}; there are {names}.", file=sys.stderr)
        return 2
    for name in wanted:
        found = _ALL[name](lambda text: print(text, flush=True))
        print(figures.table(found))
        print(f"Written to {figures.write(name, found).relative_to(figures.BUILD.parents[1])}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
