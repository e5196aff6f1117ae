"""The reports as text."""

from __future__ import annotations

MOST_LAYERS = 48


def amount(x: float | None) -> str:
    """1234567 -> 1.23 M."""
    if x is None:
        return "-"
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(x) >= size:
            return f"{x / size:.3g} {unit}"
    return f"{x:.3g}"


def percent(x: float) -> str:
    """Two figures: 0.0123 -> 1.2 %, 1.23 -> 120 %."""
    digits = max(0, 1 - int(f"{100 * x:e}".rpartition("e")[2])) if x else 0
    return f"{100 * x:.{min(3, digits)}f} %"


def table(head: list[str], rows: list[list[str]], left: int = 1) -> list[str]:
    """Lines of columns, the first ``left`` of them flush left."""
    wide = [max(len(cell) for cell in column) for column in zip(head, *rows)]
    return ["  ".join(cell.ljust(w) if i < left else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, wide))).rstrip() for row in [head, *rows]]


def of_model(told: dict) -> str:
    lines = [f"{told['model']}, {told['method']} in blocks of {told['block_frames']} frames at {told['sample_rate_hz']} Hz; all for a second of audio", "",
             *_layers(told["layers"]), "", *_totals(told)]
    if told.get("measured"):
        lines += ["", *_measured(told)]
    if told["boards"]:
        lines += ["", *_boards(told["boards"])]
    if "bounds" in told:
        lines += ["", *_bounds(told["bounds"])]
    if "energy" in told:
        lines += ["", told["energy"]["line"]]
    return "\n".join(lines)


def _layers(layers: list[dict]) -> list[str]:
    timed = any(layer["seconds"] is not None for layer in layers)
    total = sum(layer["seconds"] or 0 for layer in layers)
    rows = []
    for layer in layers[:MOST_LAYERS]:
        name = layer["name"] if len(layer["name"]) < 44 else f"...{layer['name'][-40:]}"
        rows.append([name, ", ".join(layer["ops"])[:34], amount(layer["params"]), amount(layer["macs"]), amount(layer["macs_done"]), amount(layer["flops"]),
                     amount(layer["read_bytes"]), amount(layer["written_bytes"]), *([percent(layer["seconds"] / total)] if timed else [])])
    lines = table(["layer", "operations", "params", "MAC", "MAC done", "FLOP", "read, B", "written, B", *(["of the time"] if timed else [])], rows, left=2)
    return lines + ([f"... and {len(layers) - MOST_LAYERS} layers more (--json tells all)"] if len(layers) > MOST_LAYERS else [])


def _totals(told: dict) -> list[str]:
    return [f"together   {amount(told['params'])} parameters, {amount(told['macs'])} MAC ({amount(told['macs_done'])} done, {told['isa']}), "
            f"{amount(told['flops'])} FLOP, {amount(told['read_bytes'])}B read, {amount(told['written_bytes'])}B written",
            f"memory     {amount(told['memory_bytes'])}B: state {amount(told['state_bytes'])}B, scratch {amount(told['scratch_bytes'])}B, "
            f"weights and tables {amount(told['weight_bytes'])}B" + (f"; file {amount(told['file_bytes'])}B" if told["file_bytes"] else "")]


def _measured(told: dict) -> list[str]:
    rows = [[str(row["block_frames"]), f"{row['least_us']:.1f}", f"{row['median_us']:.1f}", f"{row['p99_us']:.1f}", percent(row["load_median"]),
             percent(row["load_p99"]), "-" if row["predicted_us"] is None else f"{row['predicted_us']:.1f}"] for row in told["measured"]]
    lines = ["measured here, one core, the model alone:",
             *table(["block", "least, us", "median, us", "p99, us", "of the block", "p99", "predicted, us"], rows, left=0)]
    if told["measured"][0]["predicted_us"] is None:
        lines.append("this machine is not calibrated: neurorack complexity --calibrate takes seconds")
    return lines


def _load(load: list[float], measured: bool) -> str:
    return percent(load[1]) if measured else f"{percent(load[1])} ({percent(load[0])[:-2]} to {percent(load[2])[:-2]})"


def _boards(boards: list[dict]) -> list[str]:
    blocks = [f"block {block['block_frames']}" for block in boards[0]["blocks"]]
    rows = [[board["board"], "calibrated" if board["measured"] else "estimated", *(_load(block["load"], board["measured"]) for block in board["blocks"])]
            for board in boards]
    lines = ["predicted share of one core, best to worst where estimated (above 100 % does not play):", *table(["board", "", *blocks], rows, left=2)]
    return lines


def _yes(bound: dict) -> str:
    """Whether it fits, and what is asked for over what there is."""
    if bound["fits"] is None:
        return "-"
    return f"{'yes' if bound['fits'] else 'no'} {bound['ratio']:,.0f}" if bound["ratio"] >= 1000 else f"{'yes' if bound['fits'] else 'no'} {bound['ratio']:.4g}"


def _bounds(bounds: list[dict]) -> list[str]:
    rows = [[bound["board"], _yes(bound["real_time"]), _yes(bound["disk"]), _yes(bound["memory"]),
             "-" if bound["load"] is None else _load(bound["load"], bound["measured"])] for bound in bounds]
    return ["bounds of embedding: what is asked for over what there is (Esling et al. 2020; FLOPS of the ATmegas, Pi 1 and Pi 2 as there):",
            *table(["board", "real time", "disk", "memory", "predicted share of a core"], rows)]


def compared(rows: list[dict]) -> str:
    head = ["model", "block", "params", "MAC", "MAC done", "memory, B", "file, B", "least, us", "MAC x", "time x", "exponent"]
    lines = table(head, [[row["model"], str(row["block_frames"]), amount(row["params"]), amount(row["macs"]), amount(row["macs_done"]), amount(row["memory_bytes"]),
                          amount(row["file_bytes"]), f"{row['least_us']:.1f}", f"{row['ratios']['macs']:.3g}", f"{row['ratios']['time']:.3g}", _exponent(row)]
                         for row in rows])
    lines += ["", "x: over the first model's; exponent: log(time x) / log(MAC x), 1 where time falls as the multiply-accumulates do"]
    if rows[0]["boards"]:
        names = [f"{board['board']}{'' if board['measured'] else ' (estimated)'}" for board in rows[0]["boards"]]
        lines += ["", "predicted share of one core, and exponent:",
                  *table(["model", *names], [[row["model"], *(f"{percent(board['load'])}, {_exponent(board)}" for board in row["boards"])] for row in rows])]
    return "\n".join(lines)


def _exponent(row: dict) -> str:
    return "-" if row["exponent"] is None else f"{row['exponent']:.2f}"
