"""The table of licences: every recording used, under which terms."""

import re

from . import speech

#: What is to be said of a licence beyond its name.
REMARKS = {speech.LICENCE: speech.REMARK}


def licence_table(title, used):
    """Markdown: every used recording with its licence, side of the split and copyright holder."""
    counts = {}
    for clip in used:
        counts[clip["licence"]] = counts.get(clip["licence"], 0) + 1
    lines = [f"# Licences of the recordings behind {title}", "",
             "Written by the data step of `neurorack train`; one line per recording used.", ""]
    lines += [f"* {licence}: {count} recordings{REMARKS.get(licence, '')}" for licence, count in sorted(counts.items())]
    lines += ["", "| recording | from | licence | copyright | side |", "|---|---|---|---|---|"]
    for clip in used:
        holder = re.sub(r"\s*<[^>]*>", "", clip["holder"]).replace("|", "/")
        lines.append(f"| {clip['name']} | {clip['origin']} | {clip['licence']} | {holder} | {clip['side']} |")
    return "\n".join(lines) + "\n"
