"""The panel on the command line: ``neurorack panel``, and ``panel`` and ``card`` of ``neurorack ctl``."""

from __future__ import annotations

import argparse


def register_command(commands) -> None:
    """Add ``neurorack panel`` to the parser's commands."""
    panel = commands.add_parser("panel", help="the running instrument's display and encoder, in this terminal",
                                description="The running instrument's display in this terminal, over SSH too. Arrow keys turn the encoder, Enter presses it.")
    panel.add_argument("--pid", type=int, help="of the instrument, where several run")
    panel.add_argument("--once", action="store_true", help="print what is shown now, and leave")
    panel.add_argument("--style", choices=("auto", "braille", "blocks"), default="auto",
                       help="braille: 2x4 pixels a letter, for small terminals; blocks: 1x2, clearer (default: what fits)")


def run(args) -> int:
    """Show it until q is pressed."""
    from neurorack.panel import terminal

    return terminal.run(args.pid, args.once, args.style)


# -- of ``neurorack ctl``

def register(request) -> None:
    """Add the requests; ``request(name, help)`` makes a parser for one."""
    panel = request("panel", "turn the panel's encoder, press its button, or ask what is shown")
    panel.add_argument("--turn", type=int, metavar="DETENTS", help="right is positive")
    panel.add_argument("--press", action=argparse.BooleanOptionalAction, default=None, help="the button goes down (--no-press: up)")
    request("card", "the card of a slot's model").add_argument("slot", nargs="?", choices=("A", "B"), default="A")


def read(args) -> dict | None:
    """The defaults of the command line serve; None."""
    return None


def page(told: dict) -> str | None:
    """An answer of ours for a person; None for others'."""
    if {"size", "screen", "led"} <= set(told):
        return f"{told['screen']} on {told['size'][0]}x{told['size'][1]}, {told['light']}"
    if {"plane", "controls", "gestures"} <= set(told):
        if not told["model"]:
            return f"slot {told['slot']} is empty"
        return "\n".join([f"{told['slot']}: {told['model']}"] + [f"  {c['name']}{': ' + c['doc'] if c['doc'] else ''}" for c in told["controls"]])
    return None
