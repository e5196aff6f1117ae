from tests.midi.jack import server  # noqa: F401
