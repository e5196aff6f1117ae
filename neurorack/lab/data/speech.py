"""A voice by rule: words, syllables and held vowels spoken by espeak-ng in several voices at several pitches."""

import shutil
import subprocess
import tempfile
from html import escape
from pathlib import Path

from ..recipe import RecipeError
from . import reading

SUNG_SPEED, SPOKEN_SPEED = 60, 150       # words a minute
LICENCE = "espeak-ng output"
REMARK = (": made by running espeak-ng, a program under GPL-3.0-or-later; section 2 of that licence covers what a program puts out only where "
          "it is itself a work based on the program, which the sound of a word is not")


def say(text, voice, pitch, sung=False, program="espeak-ng"):
    """One utterance as float32 mono at 48 kHz. text: words, or phonemes in [[ ]]; pitch: 0 to 99; sung: slow, on one tone."""
    if shutil.which(program) is None:
        raise RecipeError("espeak-ng is missing: install the package espeak-ng")
    with tempfile.TemporaryDirectory() as folder:
        sound = Path(folder, "said.wav")
        words = f'<prosody range="0%">{escape(text)}</prosody>' if sung else text
        command = [program, "-z", "-v", voice, "-p", str(pitch), "-s", str(SUNG_SPEED if sung else SPOKEN_SPEED), "-w", str(sound)]
        done = subprocess.run(command + (["-m"] if sung else []) + ["--", words], capture_output=True, text=True)
        if done.returncode or not sound.exists():
            raise RecipeError(f"espeak-ng cannot say {text!r} with voice {voice!r}: {done.stderr.strip()[-200:]}")
        return reading.whole(sound)


def utterances(source):
    """(name, text, voice, pitch, sung) of everything a source asks for."""
    for voice in source["voices"]:
        speaker = voice.replace("/", "-")
        for sung, words in ((True, source.get("sung", {})), (False, source.get("spoken", {}))):
            named = words if isinstance(words, dict) else {word: word for word in words}
            for name, text in named.items():
                if not isinstance(text, str):
                    raise RecipeError(f"source {source['name']}: the word {text!r} is no text to YAML: put it in quotation marks")
                for pitch in source["pitches"]:
                    yield f"{source['name']}/{speaker}/{name}/{pitch}", text, voice, pitch, sung
