"""Tuning: each finding from a copy of a board's files, and what is applied to config.txt."""

import os
import shutil
import subprocess
import sys

import pytest

from neurorack import tuning
from neurorack.drivers import board as boards
from tests.deploy.board import ROOT

sys.path.insert(0, str(ROOT / "tools" / "deploy"))
import tune  # noqa: E402

PI = "Raspberry Pi 5 Model B Rev 1.0\0"


@pytest.fixture
def root(tmp_path):
    """A Raspberry Pi in order: ``root(path, text)`` writes one of its files, None removes it."""
    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode()) if text is not None else path.unlink()
    write.path = tmp_path
    write("proc/device-tree/model", PI)
    write(tuning.THROTTLED[0], "0x0\n")
    for node in ("dev/spidev0.0", "dev/i2c-1"):
        write(node, "")
    write("sys/class/i2c-adapter/i2c-1/of_node/clock-frequency", (400000).to_bytes(4, "big"))
    write("proc/asound/cards", " 0 [vc4hdmi0       ]: vc4-hdmi - vc4-hdmi-0\n 1 [sndrpihifiberry]: HifiberryDac - snd_rpi_hifiberry_dac\n")
    write("sys/devices/system/cpu/online", "0-3\n")
    write("sys/devices/system/cpu/isolated", "3\n")
    for irq in range(20):
        write(f"proc/irq/{irq}/smp_affinity_list", "0\n")
    return write


def found(root, board="pi-ads1115"):
    return {f["name"]: f for f in tuning.examine(boards.load(board), root.path)}


def test_a_board_in_order_has_nothing_to_mend(root):
    assert {f["status"] for f in found(root).values()} == {"ok"}
    assert {"throttling", "spi bus", "i2c bus", "i2c speed", "dac", "interrupts", "isolated core"} == set(found(root))


@pytest.mark.parametrize("path, text, name, says, remedy", [
    (tuning.THROTTLED[0], "0x50000", "throttling", "since the start: the voltage is too low", "supply"),
    (tuning.THROTTLED[0], "0x5", "throttling", "the voltage is too low; it is throttled", "supply"),
    (tuning.THROTTLED[0], "0x8", "throttling", "soft temperature limit", "heat sink"),
    ("dev/spidev0.0", None, "spi bus", "/dev/spidev0.0 is missing", "dtparam=spi=on"),
    ("dev/i2c-1", None, "i2c bus", "/dev/i2c-1 is missing", "dtparam=i2c_arm=on"),
    ("sys/class/i2c-adapter/i2c-1/of_node/clock-frequency", (100000).to_bytes(4, "big"), "i2c speed", "100 kHz", "i2c_arm_baudrate=400000"),
    ("proc/asound/cards", " 0 [vc4hdmi0       ]: vc4-hdmi - vc4-hdmi-0\n", "dac", "no DAC", "dtoverlay=hifiberry-dac"),
    ("proc/irq/7/smp_affinity_list", "0-3\n", "interrupts", None, None),
])
def test_each_fault_is_found_with_its_remedy(root, path, text, name, says, remedy):
    root(path, text)
    if name == "interrupts":
        assert found(root)[name]["status"] == "ok", "one that cannot be moved is no fault"
        for irq in range(10):
            root(f"proc/irq/{irq}/smp_affinity_list", "0-3\n")
        says, remedy = "10 of 20", "--tune"
    fault = found(root)[name]
    assert fault["status"] == "warn" and says in fault["finding"] and remedy in fault["remedy"]


def test_an_overlay_without_its_card_is_a_matter_of_wiring(root):
    root("proc/asound/cards", "")
    root("boot/firmware/config.txt", "dtoverlay=hifiberry-dac\n")
    assert "wiring" in found(root)["dac"]["remedy"]


def test_a_computer_is_left_in_peace(tmp_path):
    assert [f["status"] for f in tuning.examine(boards.load("desk"), tmp_path)] == ["ok"]


def test_lists_of_cores():
    assert tuning.cores("2-3,5") == {2, 3, 5} and tuning.cores("") == set()


def test_the_isolated_core_is_taken_and_none_is_no_matter(tmp_path):
    code = "import os, sys; from pathlib import Path; from neurorack import tuning; getattr(tuning, sys.argv[2])(Path(sys.argv[1])); print(sorted(os.sched_getaffinity(0)))"
    last = max(os.sched_getaffinity(0))

    def affinity(how="take_isolated_core"):
        return subprocess.run([sys.executable, "-c", code, str(tmp_path), how], capture_output=True, text=True, cwd=ROOT).stdout.strip()
    assert affinity() == str(sorted(os.sched_getaffinity(0)))
    (tmp_path / "sys/devices/system/cpu").mkdir(parents=True)
    (tmp_path / tuning.ISOLATED).write_text(f"{last}\n")
    assert affinity() == f"[{last}]"
    assert affinity("leave_isolated_core") == str(sorted(os.sched_getaffinity(0) - {last} or {last})), "every other process keeps off"
    (tmp_path / tuning.ISOLATED).write_text("4000\n")      # a core that is not there
    assert affinity() == str(sorted(os.sched_getaffinity(0)))


STOCK = "# stock\ndtparam=audio=on\n#dtparam=spi=on\n\n[cm4]\notg_mode=1\n\n[all]\n"


def test_config_gets_what_it_lacks_once(tmp_path):
    path = tmp_path / "boot" / "firmware" / "config.txt"
    path.parent.mkdir(parents=True)
    path.write_text(STOCK)
    assert "changed" in tune.tune_boot(tmp_path, "pi-ads1115")[0]
    text = path.read_text()
    assert text.startswith(STOCK) and text.count("dtparam=spi=on") == 2      # the stock one is a comment
    assert text[len(STOCK):].splitlines() == [tune.BEGIN, "[all]", *tune.LINES["pi-ads1115"], tune.END]
    assert tune.tune_boot(tmp_path, "pi-ads1115") == ["config.txt has all it needs"]
    assert (path.parent / "config.txt.before-neurorack").read_text() == STOCK
    tune.tune_boot(tmp_path, "pi")
    assert "i2c" not in path.read_text() and (path.parent / "config.txt.before-neurorack").read_text() == STOCK


LINE = "console=serial0,115200 console=tty1 root=PARTUUID=1234abcd-02 rootfstype=ext4 fsck.repair=yes rootwait\n"


def boot_folder(tmp_path, line=LINE):
    boot = tmp_path / "boot" / "firmware"
    boot.mkdir(parents=True)
    (boot / "config.txt").write_text(STOCK)
    (boot / "cmdline.txt").write_text(line)
    (tmp_path / "sys/devices/system/cpu/cpu3").mkdir(parents=True)
    return boot


def run_tune(root, *options):
    return subprocess.run([sys.executable, str(ROOT / "tools/deploy/tune.py"), "--root", str(root), *options], capture_output=True, text=True, check=True).stdout


def test_a_core_is_set_apart_once_and_given_back(tmp_path):
    boot = boot_folder(tmp_path)
    assert "cmdline.txt: core 3" in run_tune(tmp_path, "--board", "pi")
    assert (boot / "cmdline.txt").read_text() == f"{LINE.strip()} isolcpus=3\n" and (boot / "cmdline.txt.before-neurorack").read_text() == LINE
    assert "has an isolated core" in run_tune(tmp_path, "--board", "pi")
    (boot / "cmdline.txt").write_text((boot / "cmdline.txt").read_text().replace("rootwait", "rootwait quiet"))      # somebody's own word
    assert "without isolcpus=3" in run_tune(tmp_path, "--undo")
    assert (boot / "cmdline.txt").read_text() == f"{LINE.strip()} quiet\n" and (boot / "config.txt").read_text() == STOCK
    assert sorted(path.name for path in boot.iterdir()) == ["cmdline.txt", "config.txt"]
    assert "nothing of ours" in run_tune(tmp_path, "--undo")


@pytest.mark.parametrize("line, told", [("", "not one line"), ("root=/dev/a\nquiet\n", "not one line"), ("console=tty1\n", "not one line"), (LINE.replace("rootwait", "isolcpus=2"), "has an isolated")])
def test_a_command_line_that_is_not_understood_or_has_a_core_stays(tmp_path, line, told):
    boot = boot_folder(tmp_path, line)
    assert told in run_tune(tmp_path, "--board", "pi")
    assert (boot / "cmdline.txt").read_text() == line and not (boot / "cmdline.txt.before-neurorack").exists()


def test_no_core_is_set_apart_where_there_are_too_few(tmp_path):
    boot = boot_folder(tmp_path)
    (tmp_path / "sys/devices/system/cpu/cpu3").rmdir()
    assert "no core 3" in run_tune(tmp_path, "--board", "pi") and (boot / "cmdline.txt").read_text() == LINE


def test_another_dac_is_not_overruled():
    text = tune.config_text("dtoverlay=iqaudio-dacplus\ndtparam=spi=on\n", tune.LINES["pi"])
    assert text == "dtoverlay=iqaudio-dacplus\ndtparam=spi=on\n"


def test_a_board_without_config_is_said_and_nothing_made(tmp_path):
    assert "no config.txt" in tune.tune_boot(tmp_path, "pi")[0] and "classic" in tune.tune_boot(tmp_path, "classic")[0]
    assert not list(tmp_path.iterdir())


def test_units_are_what_systemd_understands(tmp_path):
    """With the commands they name in place, systemd-analyze has nothing to say."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    for folder, manager in (("", []), ("user", ["--user"])):
        units = []
        for unit in sorted((ROOT / "systemd" / folder).glob("*.service")):
            copy = tmp_path / (folder or "system") / unit.name
            copy.parent.mkdir(exist_ok=True)
            copy.write_text(unit.read_text().replace("/opt/neurorack/current", str(ROOT)).replace("file:", "man:"))
            units.append(str(copy))
        done = subprocess.run(["systemd-analyze", *manager, "verify", "--man=no", *units], capture_output=True, text=True,
                              env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)})
        ours = [line for line in done.stderr.splitlines() if "neurorack" in line]
        assert not ours, ours
