"""The steps of a deployment on the board, from what arrived to a release that is watched and kept, or given up."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import packages
import services
import system
from releases import Base, Refused, replace_text, verify

HERE = Path(__file__).resolve().parent
PATIENCE_SECONDS = 90.0       # for a start, on a slow card and with a large model
TOO_SLOW = 0.9                # share of a core that a model's block may take


class Deployment:
    """One request, step by step. ``request``: see ``deploy.py``, which makes it."""

    def __init__(self, request: dict, staging: Path):
        self.request, self.staging = request, staging
        self.base, self.id = Base(Path(request["base"])), request["id"]
        self.service = services.manager(self.base, request["service"])
        self.environment = {**os.environ, **services.environment(self.base)}
        self.state = Path(self.environment["XDG_STATE_HOME"]) / "neurorack"
        self.as_service = ["runuser", "-u", "neurorack", "--"] if request["service"] == "system" else []
        real_time = ["prlimit", "--rtprio=95:95"]              # as the unit has it; refused in some containers
        if self.as_service and shutil.which(real_time[0]) and services.run(*real_time, "true").returncode == 0:
            self.as_service = [*real_time, *self.as_service]
        self.models = self.base.folder / "incoming"

    def say(self, text: str) -> None:
        print(text, flush=True)

    def work(self) -> None:
        """Raises ``Refused``; then what ran before runs, or runs again."""
        self.say("step: what arrived is checked")
        verify(self.staging, self.request["files"])
        self.base.clean()
        for name in ("run", "var"):
            (self.base.folder / name).mkdir(mode=0o755 if name == "var" else 0o700, exist_ok=True)
        if self.request["service"] == "system":
            services.make_account()
        if self.request["firmware"]:
            self._install()
        release = self.base.release(self.id if self.request["firmware"] else self.base.current() or "none")
        if not (release / "tools").is_dir():
            raise Refused("there is no instrument on this board yet; run deploy.sh with --firmware")
        self._add_models(release)
        if not self.request["firmware"]:
            return
        self.base.finish(self.id)
        self._go_live(release)
        if self.request["tune"]:
            self._tune(release)

    def _tool(self, release: Path, *arguments: str) -> subprocess.CompletedProcess:
        """A command of a release, as the service's account and kind to what plays."""
        return subprocess.run(["nice", "-n", "19", *self.as_service, str(release / "tools" / "deploy" / "run"), "-m", *arguments], cwd="/",
                              env=self.environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)

    # -- beside what runs

    def _install(self) -> None:
        release = self.base.release(self.id)
        self.say(f"step: release {self.id} is laid beside what runs")
        for name in self.request["files"]:
            if not name.startswith("models.new/"):
                (release / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(self.staging / name, release / name)
        self.say("step: its Python environment")
        rights = self.request["service"] == "system"
        if rights and not system.have_portaudio():
            system.install(["portaudio"], self.say)
        wanted = packages.requirements(release / "setup.py")
        if not self.request["has_panel"]:
            del wanted["board"]
        wheels = self.staging / "wheels" if self.request["wheels"] else None
        bring = system.install_package if rights else lambda package: False
        made = packages.Environment(self.base, wanted, wheels, self.say, bring).make()
        (release / ".venv").symlink_to(os.path.relpath(made, release))
        self.say("step: its compiled core")
        self._build_core(release, rights)
        self.say("step: self-test")
        self._self_test(release)

    def _build_core(self, release: Path, rights: bool) -> None:
        whole = [path.name for path in self.base.releases.iterdir() if self.base.complete(path.name)]
        before = self.base.release(max(whole, default="none")) / "neurorack"
        for name in ("_core.so", "_simbus.so", "_core.json"):      # the newest one's, built anew only if something it came from has changed
            if (before / name).is_file():
                shutil.copy2(before / name, release / "neurorack" / name)
        compiler = system.working_compiler()
        if compiler is None and rights and system.install(["compiler"], self.say):
            compiler = system.working_compiler()
        python = release / ".venv" / "bin" / "python"
        if compiler is None:
            self.say("no C compiler on this board; fetching the ziglang package's")
            source = ["--no-index", "--find-links", str(self.staging / "wheels")] if self.request["wheels"] else []
            subprocess.run([python, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", *source, "ziglang"], capture_output=True)
        done = subprocess.run([python, str(release / "neurorack" / "build_core.py")], capture_output=True, text=True,
                              env={**os.environ, **({"CC": compiler} if compiler else {})})
        if done.returncode:
            raise Refused(f"the compiled core could not be built: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
        subprocess.run([python, "-m", "compileall", "-q", str(release / "neurorack")], capture_output=True)

    def _self_test(self, release: Path) -> None:
        done = self._tool(release, "neurorack", "doctor", "--json")
        try:
            findings = json.loads(done.stdout)
        except ValueError:
            raise Refused(f"the new release does not run here: {(done.stderr.strip().splitlines() or ['no message'])[-1]}") from None
        for found in findings:
            if found["status"] != "ok":
                self.say(f"doctor: {found['status']}: {found['name']}: {found['finding']}; {found['remedy']}")
        if broken := [found for found in findings if found["status"] == "fail"]:
            raise Refused(f"doctor: {broken[0]['name']}: {broken[0]['finding']}; {broken[0]['remedy']}")
        done = self._tool(release, "neurorack", "bench", "--seconds", "0.1", "--json")
        if done.returncode:
            raise Refused(f"bench: {done.stderr.strip()}")
        told = json.loads(done.stdout)
        loads = {row["block_frames"]: row["load_median"] for row in told["blocks"]}
        shown = ", ".join(f"{100 * load:.1f} % of a core at block {block}" for block, load in loads.items())
        self.say(f"bench: {told['model']} takes {shown}")
        if min(loads.values()) > TOO_SLOW:
            raise Refused(f"{told['model']} is too slow for this board: {100 * min(loads.values()):.0f} % of a core at its best block")

    def _add_models(self, release: Path) -> None:
        """Each given model through this board's own admission, into the library, which no release owns."""
        for name in sorted(name for name in self.request["files"] if name.startswith("models.new/")):
            self.say(f"step: the model {Path(name).name} is checked on this board")
            self.models.mkdir(mode=0o755, exist_ok=True)
            try:
                file = Path(shutil.copy(self.staging / name, self.models / Path(name).name))
                file.chmod(0o644)
                done = self._tool(release, "neurorack", "models", "add", str(file), "--replace")
            finally:
                shutil.rmtree(self.models, ignore_errors=True)
            if done.returncode:
                raise Refused(f"{Path(name).name}: {(done.stdout + done.stderr).strip()}")
            self.say(done.stdout.strip())

    # -- the switch

    def _go_live(self, release: Path) -> None:
        before = self.base.proven(self.state)
        if self.request["service"] == "system":
            shutil.chown(self.base.folder / "run", "neurorack")
        self._configure(release)
        self.say(f"step: switching from {before or 'nothing'} to {self.id}")
        self.base.begin_trial(self.id, before)
        self.base.switch(self.id)
        wrong = self._start_and_watch(release)
        if not wrong:
            self.base.end_trial()
            for name in self.base.prune({self.id, before or self.id}):
                self.say(f"removed the old release {name}")
            return
        words = "; ".join(self.service.last_words()[-2:])
        reason = f"{wrong} (its last words: {words})" if words else wrong
        if not before:
            self.service.stop()
            self.base.end_trial()
            (self.base.folder / "current").unlink()
            raise Refused(f"the release did not hold: {reason}; there is no other to go back to")
        self.say(f"step: going back to {before}: {wrong}")
        self.base.switch(before)
        self.base.end_trial()
        self.base.discard(self.id)
        back = self._start_and_watch(self.base.release(before))
        if back:
            reason += f"; and the old one does not play either: {back}"
        raise Refused(f"the release did not hold, {before} plays again: {reason}" if not back else f"the release did not hold: {reason}")

    def _configure(self, release: Path) -> None:
        """What lies beside the releases: taken from the newest, and good for the older ones."""
        text = "".join(f"{name}={value}\n" for name, value in services.environment(self.base).items())
        replace_text(self.base.folder / "environment", text)
        for name in ("guard.sh", "power.sh"):
            shutil.copy(HERE / name, self.base.folder / f".{name}")
            os.replace(self.base.folder / f".{name}", self.base.folder / name)
        become = 'exec runuser -u neurorack -- "$0" "$@"' if self.request["service"] == "system" else ":"
        command = (f'#!/bin/sh\n# The command line of what is installed here.\n[ "$(id -u)" != 0 ] || {become}\n'
                   f'set -a; . {self.base.folder}/environment; set +a\nexec {self.base.folder}/current/tools/deploy/run -m neurorack "$@"\n')
        replace_text(self.base.folder / "neurorack", command, 0o755)
        if self.request["service"] == "system":
            link = Path("/usr/local/bin/neurorack")
            if not link.exists() and not link.is_symlink():
                link.symlink_to(self.base.folder / "neurorack")
        self.state.mkdir(parents=True, exist_ok=True)
        if self.request["options"] is not None:
            replace_text(self.state / "options", self.request["options"] + "\n")

    def _start_and_watch(self, release: Path) -> str | None:
        """It wakes as the one before was, whose edits lie in the state folder. Returns what is wrong, None if it holds."""
        (self.state / "starts.json").unlink(missing_ok=True)       # failed starts of another release
        self.service.stop()
        self.service.install(release)
        self.service.start()
        if wrong := self._watch(release, 0.0, "step: waiting for its sound"):
            return wrong
        return self._watch(release, self.request["watch_seconds"], f"step: watching its health for {self.request['watch_seconds']:g} s")

    def _watch(self, release: Path, seconds: float, text: str) -> str | None:
        self.say(text)
        command = [*self.as_service, str(release / "tools" / "deploy" / "run"), "-m", "neurorack.health", "watch", "--seconds", str(seconds),
                   "--patience", str(PATIENCE_SECONDS)]
        watching = subprocess.Popen(command, env=self.environment, cwd="/", stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
        while watching.poll() is None:
            time.sleep(0.2)
            if trouble := self.service.trouble():
                watching.kill()
                watching.wait()
                return trouble
        told = watching.stderr.read().strip().splitlines()
        return (told[-1] if told else "the watch ended without a word") if watching.returncode else self.service.trouble()

    def _tune(self, release: Path) -> None:
        self.say("step: tuning")
        if self.request["service"] != "system":
            self.say("warning: tuning needs root; doctor names what to do")
            return
        options = self.state / "options"
        given = re.search(r"--board[ =](\S+)", options.read_text()) if options.exists() else None
        board = given.group(1) if given else ""
        done = subprocess.run([sys.executable, str(release / "tools" / "deploy" / "tune.py"), "--board", board],
                              capture_output=True, text=True)
        for line in (done.stdout + done.stderr).splitlines():
            self.say(line)
