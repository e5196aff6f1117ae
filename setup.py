"""Packaging. Everything else about the build of the compiled core is in ``neurorack/build_core.py``."""

import importlib.util
from pathlib import Path

from setuptools import Command, find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent


def build_core():
    spec = importlib.util.spec_from_file_location("build_core", HERE / "neurorack" / "build_core.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.build()


class BuildPy(build_py):
    def run(self):
        build_core()
        super().run()


class BuildCore(Command):
    description = "compile the real-time core in place"
    user_options = []

    def initialize_options(self):
        pass

    def finalize_options(self):
        pass

    def run(self):
        build_core()


VERSION = next(line.split('"')[1] for line in (HERE / "neurorack" / "__init__.py").read_text().splitlines()
               if line.startswith("__version__"))

setup(
    name="neurorack",
    version=VERSION,
    description="A Eurorack instrument whose sound is made by neural networks",
    python_requires=">=3.11,<3.14",
    packages=find_packages(include=["neurorack", "neurorack.*"]),
    package_data={"neurorack": ["_core.so", "_simbus.so", "*/*.c", "*/*.h", "web/page/*", "panel/fonts/*"]},
    install_requires=["numpy>=1.26", "PyYAML>=6", "sounddevice>=0.5", "soundfile>=0.12", "Pillow>=10.1",
                      "setproctitle>=1.3", "aiohttp>=3.11"],
    extras_require={
        # on Python 3.13 some of these have no arm64 wheels: the distribution's python3-spidev, -smbus2, -libgpiod serve as well
        "board": ["smbus2>=0.4", "spidev>=3.6", "gpiod>=2.1", "rpi-lgpio>=0.6", "luma.oled>=3.13", "luma.lcd>=2.11"],
        "midi": ["mido>=1.3", "python-rtmidi>=1.5", "python-osc>=1.8"],
        "lab": ["torch>=2.6,<2.14", "scipy>=1.11"],
        "test": ["pytest>=8", "pytest-timeout>=2.3", "pytest-rerunfailures>=16.6.1", "pytest-xdist>=3.6", "hypothesis>=6.100", "scipy>=1.11",
                 "ziglang>=0.13", "safetensors>=0.4", "selenium>=4.20"],
        "bench": ["onnx", "onnxruntime", "numba"],
    },
    entry_points={"console_scripts": ["neurorack=neurorack.cli:main"]},
    cmdclass={"build_py": BuildPy, "build_core": BuildCore},
)
