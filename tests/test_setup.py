"""`make setup` finds a Python, says exactly what to run where it may not act, and is quick the second time."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SETUP = ROOT / "tools" / "setup"
sys.path.insert(0, str(SETUP))
import environment  # noqa: E402
import system  # noqa: E402

SHELL_TOOLS = ("sh", "dirname", "id", "env", "true")


def folder_of_programs(folder, programs):
    """A PATH of its own: the shell's tools, and each of ``programs`` (name -> body of a shell script)."""
    folder.mkdir()
    for tool in SHELL_TOOLS:
        (folder / tool).symlink_to(shutil.which(tool))
    for name, body in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
    return folder


def python(version):
    """A fake Python: it fits if 3.11 <= version < 3.14, tells its version, and says how it was started."""
    fits = (3, 11) <= version < (3, 14)
    return f'case "$1" in -c) exit {int(not fits)};; -V) echo "Python {version[0]}.{version[1]}.0";; *) echo "$0" "$@";; esac'


def run_setup(path, tmp_path, **variables):
    return subprocess.run(["sh", str(SETUP / "setup.sh"), "play"], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          env={"PATH": str(path), "VENV": str(tmp_path / "venv"), **variables})


@pytest.mark.parametrize("there, chosen", [
    ({"python3": (3, 12)}, "python3"),
    ({"python3": (3, 10), "python3.11": (3, 11)}, "python3.11"),
    ({"python3": (3, 14), "python3.11": (3, 11), "python3.13": (3, 13)}, "python3.13"),
])
def test_the_first_python_that_fits_is_taken(tmp_path, there, chosen):
    path = folder_of_programs(tmp_path / "bin", {name: python(version) for name, version in there.items()})
    done = run_setup(path, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == str(path / chosen)
    assert done.stdout.split()[1:] == [str(SETUP / "environment.py"), "--venv", str(tmp_path / "venv"), "play"]


@pytest.mark.parametrize("manager, remedy", [("dnf", "sudo dnf install python3.12"), ("brew", "brew install python@3.12"),
                                             ("pacman", "sudo pacman -S python"), ("other", "from your distribution")])
def test_no_python_that_fits_is_one_line_with_the_command(tmp_path, manager, remedy):
    path = folder_of_programs(tmp_path / "bin", {"python3": python((3, 9)), manager: "exit 1"})
    done = run_setup(path, tmp_path)
    assert done.returncode == 2 and not done.stdout
    assert len(done.stderr.splitlines()) == 1
    assert "Python 3.9.0" in done.stderr and "3.11, 3.12 or 3.13" in done.stderr and remedy in done.stderr


def test_a_python_asked_for_is_taken_or_refused(tmp_path):
    path = folder_of_programs(tmp_path / "bin", {"python3": python((3, 12)), "old": python((3, 10)), "new": python((3, 13))})
    assert run_setup(path, tmp_path, PYTHON="new").stdout.startswith(str(path / "new"))
    done = run_setup(path, tmp_path, PYTHON="old")
    assert done.returncode == 2 and "PYTHON=old is Python 3.10.0; 3.11, 3.12 or 3.13 is needed" in done.stderr
    assert "PYTHON=none is not found" in run_setup(path, tmp_path, PYTHON="none").stderr


def test_an_environment_that_fits_is_used_as_it_is(tmp_path):
    path = folder_of_programs(tmp_path / "bin", {"python3": python((3, 12))})
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    inside = tmp_path / "venv" / "bin" / "python"
    inside.write_text("#!/bin/sh\n" + python((3, 11)))
    inside.chmod(0o755)
    assert run_setup(path, tmp_path).stdout.startswith(str(inside))
    inside.write_text("#!/bin/sh\nexit 127\n")  # its base was uninstalled
    assert run_setup(path, tmp_path).stdout.startswith(str(path / "python3"))


@pytest.fixture
def no_rights(monkeypatch, tmp_path):
    """An ordinary user whose sudo would ask for a password; returns a function that sets the package manager."""
    monkeypatch.setattr(system.os, "geteuid", lambda: 1000)

    def programs(*names):
        path = folder_of_programs(tmp_path / "-".join(("bin", *names)), {"sudo": "exit 1", **dict.fromkeys(names, "exit 9")})
        monkeypatch.setenv("PATH", str(path))

    return programs


@pytest.mark.parametrize("manager, expected", [
    ("apt-get", "sudo apt-get install libportaudio2 gcc libc6-dev"), ("dnf", "sudo dnf install portaudio gcc"),
    ("pacman", "sudo pacman -S portaudio gcc"), ("zypper", "sudo zypper install libportaudio2 gcc"),
    ("brew", "brew install portaudio gcc")])
def test_the_exact_command_is_named_where_nothing_may_be_installed(no_rights, manager, expected):
    no_rights(manager)
    assert not system.install(["portaudio", "compiler"])
    assert system.command(["portaudio", "compiler"]) == expected


def test_missing_system_packages_are_warnings(no_rights, monkeypatch, capsys):
    no_rights("apt-get")
    monkeypatch.setattr(system, "have_portaudio", lambda: False)
    monkeypatch.setattr(system, "have_alsa_headers", lambda: False)
    environment.system_packages({"play"})
    warning = capsys.readouterr().err
    assert "sudo apt-get install libportaudio2" in warning and "libasound2-dev" not in warning
    environment.system_packages({"play", "test"})
    assert "sudo apt-get install libasound2-dev" in capsys.readouterr().err


def test_apt_get_is_asked_again_with_new_lists(monkeypatch, tmp_path):
    """The first install fails for want of lists, `update` brings them, the second works; nothing may wait for input."""
    log = tmp_path / "log"
    body = f'echo "$@" >> {log}; cat >> {log}; case "$*" in *update) touch {tmp_path}/lists;; *) test -e {tmp_path}/lists;; esac'
    path = folder_of_programs(tmp_path / "bin", {"apt-get": body})
    for tool in ("cat", "touch", "test"):
        (path / tool).symlink_to(shutil.which(tool))
    monkeypatch.setenv("PATH", str(path))
    monkeypatch.setattr(system.os, "geteuid", lambda: 0)
    assert system.install(["alsa headers"], say=lambda text: None)
    assert [line.split()[3] for line in log.read_text().splitlines()] == ["install", "update", "install"]


def test_without_venv_module_the_command_is_named(no_rights, monkeypatch, tmp_path):
    no_rights("apt-get")
    monkeypatch.setattr(environment, "_importable", lambda module: module != "ensurepip")
    with pytest.raises(environment.Failed) as failed:
        environment.Environment(tmp_path / "venv").create()
    assert f"sudo apt-get install python3.{sys.version_info[1]}-venv" in str(failed.value)
    assert not (tmp_path / "venv").exists()


def test_a_compiler_without_headers_is_none(monkeypatch, tmp_path):
    path = folder_of_programs(tmp_path / "bin", {"cc": "echo 'math.h: No such file' >&2; exit 1", "clang": "exit 0"})
    monkeypatch.setenv("PATH", str(path))
    monkeypatch.delenv("CC", raising=False)
    assert system.working_compiler() == "clang"
    (path / "clang").unlink()
    assert system.working_compiler() is None


class Pip(environment.Environment):
    """An environment that only notes what it is asked to install; ``refuse`` names what it cannot."""

    def __init__(self, folder, refuse=(), modules=()):
        super().__init__(folder)
        self.asked, self.refuse, self.modules = [], refuse, modules

    def pip(self, *arguments, quiet=False):
        self.asked.append(" ".join(arguments))
        return not any(word in self.asked[-1] for word in self.refuse)

    def has(self, module):
        return module in self.modules

    def run(self, *arguments, check=False, **more):
        self.asked.append(" ".join(arguments))
        return subprocess.CompletedProcess(arguments, int(any(word in self.asked[-1] for word in self.refuse)))


def test_midi_that_cannot_be_had_is_a_warning(tmp_path, capsys):
    env = Pip(tmp_path, refuse=("midi",))
    environment.packages(env, {"play", "test"}, "cc")
    assert [line.split()[1] for line in env.asked] == [".[midi,test]", ".[test]"]
    assert "MIDI is off" in capsys.readouterr().err
    with pytest.raises(environment.Failed):
        environment.packages(Pip(tmp_path, refuse=("--editable",)), {"play"}, "cc")


@pytest.mark.parametrize("machine, plain", [("x86_64", "torch==2.13.0"), ("aarch64", "torch==2.10.0")])
def test_torch_comes_for_cpus_first_and_plain_second(tmp_path, monkeypatch, capsys, machine, plain):
    monkeypatch.setattr(environment.platform, "machine", lambda: machine)
    monkeypatch.setenv("UV_HTTP_TIMEOUT", "")
    monkeypatch.setenv("UV_HTTP_RETRIES", "")
    there = Pip(tmp_path, modules=("torch",))
    environment.torch(there)
    assert there.asked == []
    first = Pip(tmp_path)
    environment.torch(first)
    assert len(first.asked) == 2 and "--torch-backend=cpu" in first.asked[1]
    second = Pip(tmp_path, refuse=("--torch-backend",))
    environment.torch(second)
    assert second.asked[-1] == plain
    none = Pip(tmp_path, refuse=("uv", "torch"))
    environment.torch(none)
    assert none.asked == ["uv", plain] and "tests that need it are skipped" in capsys.readouterr().err


def test_the_stamp_holds_until_something_it_came_from_changes(tmp_path, monkeypatch):
    env = environment.Environment(tmp_path)
    env.python.parent.mkdir()
    env.python.touch()
    assert env.stamped() == {}
    env.write_stamp({"play"}, "cc")
    assert env.stamped()["parts"] == ["play"]
    monkeypatch.setattr(environment.platform, "machine", lambda: "another")
    assert env.stamped() == {}
    monkeypatch.undo()
    assert env.stamped()
    (tmp_path / "pyvenv.cfg").write_text("version = 3.13.0\n")
    assert env.stamped() == {}
    env.write_stamp({"play"}, "cc")
    env.stamp.write_text(env.stamp.read_text()[:20])  # power went while writing
    assert env.stamped() == {}


def test_setup_of_an_environment_up_to_date_takes_less_than_a_second():
    stamp = Path(sys.prefix) / "neurorack-setup.json"
    if not stamp.exists():
        pytest.skip("this environment was not made by `make setup`")
    command = ["make", "-s", "-C", str(ROOT), "setup", f"VENV={sys.prefix}"]
    seconds = []
    for _ in range(4):  # the first may build the core; of the rest the quickest is the machine's own pace
        start = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True)
        seconds.append(time.monotonic() - start)
        assert done.returncode == 0, done.stderr
    assert "setup:" not in done.stdout
    assert min(seconds[1:]) < 1.0
    assert "play" in json.loads(stamp.read_text())["parts"]


def test_make_alone_lists_every_target():
    done = subprocess.run(["make", "-s", "-C", str(ROOT)], capture_output=True, text=True)
    assert done.returncode == 0
    for target in ("setup", "play", "test", "soak", "bench", "lab", "doctor", "clean"):
        assert f"make {target}" in done.stdout


def test_no_registry_is_named():
    """Where packages come from is the user's configuration, and PyTorch's index is uv's knowledge."""
    for path in [ROOT / "Makefile", ROOT / "setup.py", ROOT / ".ci" / "run", *SETUP.iterdir()]:
        if path.is_file():
            text = path.read_text()
            assert "http" + "://" not in text and "https" + "://" not in text, path
