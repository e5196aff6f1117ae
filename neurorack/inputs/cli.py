"""``neurorack calibrate`` and ``neurorack jacks`` on the command line."""

from __future__ import annotations


def register(commands) -> None:
    """Add the two commands to the parser's."""
    calibrate = commands.add_parser("calibrate", help="teach the CV jacks what a volt is", description=(
        "Guided calibration of the CV jacks: patch known volts, look at the result in cents, keep it. Works while the instrument "
        "plays (its jacks go on playing, with the new values within a second of keeping them) and without it."))
    calibrate.add_argument("--jack", default="all", help="cv1, cv2 … or its number (default: all)")
    calibrate.add_argument("--points", default="0,1,3", help="known volts, two or three, 0,1,5 say (default 0,1,3)")
    calibrate.add_argument("--seconds", type=float, default=1.0, help="averaged at each point (default 1)")
    calibrate.add_argument("--yes", action="store_true", help="keep a good result without asking, and show no live page")

    jacks = commands.add_parser("jacks", help="what is patched into the jacks, and what they are set to", description=(
        "Without a jack: what each is set to. With one (or all): watch it, say what is patched into it and propose settings. "
        "Works while the instrument plays and without it."))
    jacks.add_argument("jack", nargs="?", help="cv1, gate2 …, the number of a CV jack, or all")
    jacks.add_argument("--seconds", type=float, default=5.0, help="so long (default 5)")
    jacks.add_argument("--write", action="store_true", help="keep what is proposed (gate jacks only where named)")
    jacks.add_argument("--set", action="append", metavar="NAME=VALUE", help="keep this setting of the jack instead of watching it")
    jacks.add_argument("--json", action="store_true")

    for parser in (calibrate, jacks):
        parser.add_argument("--board", help="a board of hardware/ (default: the running instrument's, else what is found)")
        parser.add_argument("--simulated", action="store_true", help="simulate the board's chips, and move their jacks from here")
        parser.add_argument("--pid", type=int, help="of the instrument, where several run")


def run(args) -> int:
    """Do either."""
    if args.command == "calibrate":
        from neurorack.inputs.calibrate import run as work
    else:
        from neurorack.inputs.jacks import run as work
    return work(args)
