"""Errors a person can act on: one line with the value, the limit and the next step."""


class NeurorackError(Exception):
    """Base of all errors of bad input; the command line prints it as one line and exits with code 2."""


class ModelError(NeurorackError, ValueError):
    """A model file that cannot be played."""


class ScoreError(NeurorackError, ValueError):
    """A score that cannot be read."""


class PatchError(NeurorackError, ValueError):
    """A patch or setting out of its range."""


class DeviceError(NeurorackError, OSError):
    """An audio device, rate or block size that cannot be used."""


class BoardError(NeurorackError, OSError):
    """A board file or one of its chips that cannot be used."""


class AlreadyRunning(NeurorackError, RuntimeError):
    """Another instrument plays already."""
