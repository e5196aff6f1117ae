"""The page's server: a process beside the sound that shows the instrument in a browser and carries wishes to it.

``docs/web.md`` tells the HTTP addresses with examples; here is what travels over the WebSocket ``/live``.

**Page to server**, text, one JSON object each (at most 16 KiB), a request of ``control.py`` with a number of the page's choice::

    {"id": 7, "do": "set", "control": "brightness", "value": 0.7}

Requests of one page are done in their order; those that wait for a model or the disk (``messages.SLOW``, ``PATIENT``) go beside them. Which requests a page
may make is listed in ``messages.ALLOWED``. Each gets one answer::

    {"type": "answer", "id": 7, "ok": true, …fields}      {"type": "answer", "id": 7, "ok": false, "error": "one line"}

**Server to page**, text, told by ``type``:

``hello``   first of all: ``version``, ``protocol`` (1), ``network`` (whether it listens beyond this machine), ``rate`` (of the card, Hz),
            ``jacks`` ``{"cv": 4, "gate": 2}``.
``state``   ``part`` and ``value``: the whole of one part whenever it changed, and every part after ``hello``. The parts are the answers
            to requests without fields: ``status`` (without what moves by itself, which ``now`` carries; a slot's ``controls`` are the
            names in the order of ``now``), ``scenes``, ``sources``, ``takes``, ``cables``, ``notices``, ``preferences``, ``midi``,
            ``statistics``, ``panel``; ``models``: the library as ``GET /api/models`` gives it; and ``lighter``: of which models a lighter one is
            being made or waits (``lighter.py``). A part that this instrument does not
            have never comes. What a page's request may have changed is looked at at once.
``now``     30 times a second, only what changed since the last one (the first has everything):
            ``cv`` [volts], ``mods`` [volts of mod1..mod8], ``gates`` [bool], ``hits`` [count of rising edges; a trigger may be over before the next ``now``],
            ``peak`` and ``rms`` [left, right] 0..1 since the last one, ``input`` [left, right], ``mix`` 0..1, ``load`` 0..1 of the busiest
            slot, ``underruns`` count, ``clock`` [0 none, 1 jack, 2 tapped, 3 MIDI; BPM; pulses], ``A`` and ``B`` null or
            ``{"controls": [0..1], "gesture": number or -1, "frozen": bool, "playing": bool}``, ``led`` [r, g, b], ``light`` 0..2.
``log``     ``lines``: new lines that the instrument said; the last 200 after ``hello``.
``upload``  ``name`` and ``phase``: "received" when the file is in the library's folder, then "plays" or "refused", with ``line``.
``bye``     ``reason``: the server is about to close the connection.

**Server to page**, binary, told by the first byte; numbers are little-endian:

=====  ==========================================================================================================================
byte   meaning
=====  ==========================================================================================================================
0      1: the display's picture, when it changed
1      mode: 1 one bit a pixel, rows padded to bytes, the leftmost pixel in the highest bit; 3 red, green, blue, a byte each
2      0: the pixels follow as they are; 1: as a zlib stream (``DecompressionStream("deflate")``)
3      0
4..5   width, u16
6..7   height, u16
8..    the pixels, row by row from the top
=====  ==========================================================================================================================

=====  ==========================================================================================================================
0      2: the scope, 30 times a second while it is not silent (and once when silence begins)
1..3   0
4..    512 × 2 samples i16, left and right in turns: the last the jack played, at the card's rate, beginning at a rising zero crossing
       of the left channel where one is found
=====  ==========================================================================================================================

A page that reads too slowly gets the latest of everything, never a queue: ``now`` is merged, pictures are left out. One that has taken
nothing for five seconds is dropped, as is one that goes on asking more than ``limits.py`` allows.
"""

PROTOCOL = 1
PORT = 8042
