"""What the documents of hardware/ say of wires, values and files is what the board files, the code and the datasheets' pin lists say."""

import re
from pathlib import Path

import pytest
import yaml

from neurorack.drivers import board
from tools.draw import __main__ as draw
from tools.draw import parts, wiring, wiring_picture

HARDWARE = board.HARDWARE
DOCUMENTS = sorted(HARDWARE.glob("*.md"))
WHERE = {"pi": "pi.md", "pi-ads1115": "pi.md", "classic": "classic.md"}
#: the 40-pin header once more, row by row, typed from the makers' drawings and not taken from tools/draw
PI_ROWS = """3V3 5V|2 5V|3 GND|4 14|GND 15|17 18|27 GND|22 23|3V3 24|10 GND|9 25|11 8|GND 7|0 1|5 GND|6 12|13 GND|19 16|26 20|GND 21"""
JETSON_ROWS = """3V3 5V|75 5V|74 GND|216 48|GND 49|50 79|14 GND|194 232|3V3 15|16 GND|17 13|18 19|GND 20|0 0|149 GND|200 168|38 GND|76 51|12 77|GND 78"""


def header(rows):
    """Header pin -> what it is."""
    return dict(enumerate((cell for row in rows.split("|") for cell in row.split()), start=1))


PI, JETSON = header(PI_ROWS), header(JETSON_ROWS)


def table(name):
    """Rows of a marked table, as dictionaries by its headings."""
    text = (HARDWARE / WHERE[name]).read_text()
    lines = text.split(f"<!-- table wiring-{name} -->\n")[1].split("<!-- /table -->")[0].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [dict(zip(cells[0], row)) for row in cells[2:]]


def wires(name, part, signal=None, jack=None):
    return [row for row in table(name) if row["part"].startswith(part)
            and signal in (None, row["signal"]) and jack in (None, row["jack or control"])]


def line(row):
    return int(row["GPIO"].removeprefix("BCM "))


def test_nothing_is_stale():
    assert not list(draw.outdated()), "run: python -m tools.draw"


@pytest.mark.parametrize("name", WHERE)
def test_each_gpio_comes_out_at_the_header_pin_the_table_says(name):
    for row in table(name):
        if row["GPIO"]:
            pins = PI if row["GPIO"].startswith("BCM") or name != "classic" else JETSON
            assert pins[int(row["header pin"])] == str(line(row)), row
        elif row["header pin"]:
            assert PI[int(row["header pin"])] == {"3.3 V": "3V3", "5 V": "5V", "ground": "GND"}[row["goes to"]], row


@pytest.mark.parametrize("name", WHERE)
def test_no_line_has_two_owners_but_for_the_buses(name):
    owners = {}
    for row in table(name):
        if row["GPIO"]:
            owners.setdefault(row["header pin"], set()).add(row["part"])
    shared = {pin for pin, parts_ in owners.items() if len(parts_) > 1}
    assert shared <= {"3", "5", "19", "21", "23"}, "only I2C and SPI are shared"
    assert ("23" in shared) == (name == "pi"), "there the converter and the display share a bus"


@pytest.mark.parametrize("name", WHERE)
def test_the_tables_agree_with_the_board_files(name):
    settings = yaml.safe_load((HARDWARE / f"{name}.yaml").read_text())
    for i, gpio in enumerate(settings["gates"].get("lines", ())):
        assert line(wires(name, "LM393", jack=f"GATE {i + 1}")[0]) == gpio
    for key in ("a", "b"):
        if key in settings["controls"]:
            assert line(wires(name, "Encoder", key.upper())[0]) == settings["controls"][key]
    assert line(wires(name, "Button", jack="BUTTON")[0]) == settings["controls"]["button"]
    display = settings["display"]
    part = display["chip"].upper()
    assert (line(wires(name, part, "data/command")[0]), line(wires(name, part, "reset")[0])) == (display["dc"], display["reset"])
    assert wires(name, part, "select")[0]["header pin"] == {0: "24", 1: "26"}[display["select"]]
    jacks = [row["jack or control"] for row in table(name) if re.match(r"(CV|GATE) \d", row["jack or control"])]
    expected = {f"{kind} {i + 1}" for kind, section in (("CV", "cv"), ("GATE", "gates")) for i in range(settings[section]["jacks"])}
    assert len(jacks) == len(expected) and set(jacks) == expected


@pytest.mark.parametrize("name", WHERE)
def test_converters_pins_and_addresses(name):
    for converter in board.load(name)["converters"]:
        part = converter["chip"].upper() + (f" at {converter['address']:#04x}" if "address" in converter else "")
        for jack, channel in converter["inputs"].items():
            label = jack[:-1].upper() + " " + jack[-1]
            row = wires(name, part, jack=label)[0]
            expected = {"mcp3208": str(channel + 1), "ads1115": str(channel + 4), "ads1015": f"IN{channel}"}[converter["chip"]]
            assert row["its pin"] == expected and row["signal"] in (f"CH{channel}", f"AIN{channel}")
        if converter["chip"] == "mcp3208":
            assert wires(name, part, "CS")[0]["header pin"] == {0: "24", 1: "26"}[converter["select"]]
        else:
            strap = {0x48: "GND", 0x49: "VDD"}[converter["address"]]
            assert wires(name, part, "ADDR")[0]["goes to"].startswith(strap)
        if "ready_line" in converter:
            assert line(wires(name, part, "ALERT/RDY")[0]) == converter["ready_line"]


@pytest.mark.parametrize("name", WHERE)
def test_the_diagram_shows_every_row_of_the_table(name):
    svg = (HARDWARE / f"wiring-{name}.svg").read_text()
    for row in table(name):
        assert f">{row['part']}<" in svg and f">{row['signal']}<" in svg
        if row["GPIO"]:
            assert f">pin {row['header pin']}<" in svg
        if row["jack or control"]:
            assert f">{row['jack or control']}" in svg


@pytest.mark.parametrize("name", WHERE)
def test_no_two_wires_of_the_diagram_lie_on_one_another(name):
    assert not wiring_picture.collisions(wiring_picture.layout(wiring.wires(board.load(name))))


def flat(settings):
    for key, value in settings.items():
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, dict) and key != "jacks":
                yield from (f"{key}.{deeper}" for deeper in inner)
            else:
                yield key


def documented():
    rows = [row for row in (HARDWARE / "README.md").read_text().splitlines() if row.startswith("| `")]
    return {key for row in rows for key in re.findall(r"`([^`]+)`", row.split("|")[1])} - {"pi", "pi-ads1115", "classic", "desk"}


def test_every_key_of_the_board_files_is_explained_and_every_explained_key_is_read():
    used = {key for path in HARDWARE.glob("*.yaml") for key in flat(yaml.safe_load(path.read_text()))}
    assert used <= documented(), used - documented()
    code = "\n".join(path.read_text() for path in Path(board.__file__).parent.parent.rglob("*.py"))
    unread = [key for key in documented() if f'"{key.split(".")[-1]}"' not in code]
    assert not unread


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_links_lead_somewhere(path):
    for target, _, anchor in (link.partition("#") for link in re.findall(r"\]\(([^)]+)\)", path.read_text())):
        file = HARDWARE / target if target else path
        assert file.is_file(), target
        if anchor:
            headings = [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.+)$", file.read_text(), re.M)]
            assert anchor in headings, f"{target}#{anchor}"


def test_the_parts_list_counts_what_a_board_has():
    boards = {name: board.load(name) for name in WHERE}
    counted = {part: quantities for _, part, quantities in parts.rows(boards)}

    def of(text):
        return next(quantities for part, quantities in counted.items() if text in part)

    assert of("3.5 mm mono jack") == (8 + 2 + 2, 4 + 2 + 2, 4 + 2 + 2)
    assert of("MCP6004") == (2, 1, 0) and of("MCP3208-CI/P") == (1, 0, 0) and of("ADS1015") == (0, 0, 2)
    assert of("LM393") == (1, 1, 0) and of("BAV199") == (8, 4, 0)
    assert all(any(quantities) for quantities in counted.values())
