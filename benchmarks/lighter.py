"""What lightening costs: for each keep share the MACs, the engine's time and the distance in dB, with and without fitting again.

    python benchmarks/lighter.py MODEL… [--keep 0.9 0.8 …] [--json FILE]

MODEL: a name of the library or a file. Times are least times on this machine, taken in turns with the whole model's.
"""

import argparse
import json
import time
from pathlib import Path

from neurorack import library
from neurorack.trim import compensate
from neurorack.trim.lighten import Lighter

KEEP = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2)


def rows_of(lighter, shares):
    for keep in shares:
        lighter.way = compensate.solve
        made = lighter.at(keep)
        row = {"keep": keep, **lighter.figures(made), **made.quality.to_json()}
        for name, way in (("mean", compensate.fold), ("nothing", lambda x, target, start, weight, offset: (start, 0 * start[0]))):
            lighter.way = way
            row[f"{name}_db"] = round(lighter.at(keep).quality.distance_db, 3)
        yield row


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--keep", type=float, nargs="+", default=KEEP, metavar="SHARE")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    told = {}
    for name in options.models:
        wall, work = time.monotonic(), time.process_time()
        lighter = Lighter(library.find(name))
        print(f"\n{Path(name).stem}: {sum(len(g.units) for g in lighter.groups)} units in {len(lighter.groups)} groups; listened to in "
              f"{time.process_time() - work:.0f} s of computing ({time.monotonic() - wall:.0f} s)")
        print("| keep | MACs removed | engine time, µs | × as fast | fitted again, dB | 95 % within, dB | only means, dB | nothing, dB |")
        print("|---|---|---|---|---|---|---|---|")
        told[Path(name).stem] = []
        for row in rows_of(lighter, options.keep):
            told[Path(name).stem].append(row)
            bound = "–" if row["bound_db"] is None else f"{row['bound_db']:.1f}"
            print(f"| {row['keep']:.0%} | {row['removed_macs']:.0%} | {row['block_us'][1]:.1f} of {row['block_us'][0]:.1f} | {row['times_faster']:.2f} | "
                  f"{row['distance_db']:.2f} | {bound} | {row['mean_db']:.1f} | {row['nothing_db']:.1f} |", flush=True)
    if options.json:
        options.json.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
