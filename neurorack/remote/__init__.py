"""Playing from a distance: MIDI and OSC, on every board, beside its jacks.

A package and a process of its own, because it belongs neither to the simulated jacks (``desk/``: a real board has none) nor to
the inputs process: its libraries have threads that would take the interpreter away from the CV scan.

    rtmidi's threads ─┐                        ┌─ gate edges and clock pulses with their times, as datagrams ─► inputs
                      ├─► queue ─► main thread ┼─ volts that are added to the jacks, in the shared block ────► inputs
    the OSC socket ───┘                        └─ values of controls, wishes for models ─────────────────────► supervisor
"""
