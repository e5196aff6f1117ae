"""The shared-memory table: every value that travels between processes, defined once.

From this file come the C structures (``c_header``, run by the build), the Python views (``rack.py``) and the
table in ``docs/architecture.md`` (``python -m neurorack.shm.table``). It imports nothing of ours, so the
build can load it before the package is installed.

One meaning per field, unit in its name. Each section has one writer; ``protocol`` says how readers keep safe:

* **once**: written before any reader starts.
* **atomic**: each field stands alone (aligned, at most 8 bytes); stores release, loads acquire.
* **seqlock**: fields belong together; the writer makes ``seq`` odd, writes, makes it even. A reader whose copy
  saw an odd or changed ``seq`` tries again. A writer that died in between leaves ``seq`` odd: readers then keep
  their last good copy and say that it is stale; the next writer makes it even again (``nr_seqlock_recover``).
* **ring**: single producer, single consumer; the producer may take back frames not yet claimed; see ``ring.h``.
* **queue**: single producer, any number of readers with cursors of their own; see ``queue.h``.
* **tape**: single producer that never waits, any number of readers with places of their own; see ``tape.h``.
"""

from __future__ import annotations

from dataclasses import dataclass

MAGIC = 0x4B4341524F52554E  # "NURORACK" read as a little-endian word
VERSION = 3

SLOTS = 2                  # model slots A and B
CV_JACKS = 8               # cv1..cv8; boards use the first four
GATE_JACKS = 2
MODULATORS = 8             # mod1..mod8, the internal sources; routed like jacks
ROUTED_JACKS = CV_JACKS + MODULATORS
SEQUENCE_STEPS = 16        # of a modulator's step sequencer
CONTROLS = 32              # named controls of a model
ROUTES = 32                # jack -> control assignments
EDGE_CAPACITY = 1024       # edges kept; a power of two
RING_CAPACITY_FRAMES = 16384    # a power of two; 341 ms at 48 kHz
CAPTURE_CAPACITY_FRAMES = 262144  # a power of two; 5.5 s at 48 kHz
LOAD_BUCKETS = 128         # histogram of load: bucket = round(16 * log2(load * 1024)), clamped
LATENCIES = 1024           # gate-to-sound times kept
RAW_SCANS = 1024           # scans kept as converted; a power of two
NAME_BYTES = 64
SCOPE_FRAMES = 8192        # the last output frames, for pictures; a power of two; 171 ms at 48 kHz
PANEL_BYTES = 240 * 240 * 3     # the largest display's pixels
#: Why a slot lacked sound: its model is too slow; the machine stood still; the processor was slowed down (heat, supply);
#: a swap was going on; its process died.
CAUSES = ("slow", "stall", "throttled", "swap", "died")

SIZES = {"u32": 4, "i32": 4, "u64": 8, "i64": 8, "f32": 4, "f64": 8, "char": 1}
C_TYPES = {"u32": "uint32_t", "i32": "int32_t", "u64": "uint64_t", "i64": "int64_t", "f32": "float", "f64": "double", "char": "char"}


@dataclass(frozen=True)
class Field:
    name: str
    kind: str          # a key of SIZES
    count: int = 1     # more than one makes an array
    doc: str = ""


@dataclass(frozen=True)
class Section:
    name: str
    writer: str        # the one process that writes it
    protocol: str      # once, atomic, seqlock, ring, queue, tape
    doc: str
    fields: tuple[Field, ...]
    copies: int = 1    # one for each slot, say


def _ring(capacity_frames: int) -> tuple[Field, ...]:
    return (
        Field("head_frames", "u64", 1, "frames ready so far; producer only"),
        Field("pad_head", "u64", 7, "keeps the two indices on separate cache lines"),
        Field("tail_frames", "u64", 1, "frames read so far; consumer only"),
        Field("claim_frames", "u64", 1, "the consumer reads no frame at or beyond this one; consumer only"),
        Field("pad_tail", "u64", 6, ""),
        Field("frames", "f32", capacity_frames * 2, "interleaved stereo, full scale = 1; frame i lies at i mod capacity"),
    )


def _tape(capacity_frames: int) -> tuple[Field, ...]:
    return (
        Field("head_frames", "u64", 1, "frames written so far"),
        Field("pad_head", "u64", 7, ""),
        Field("frames", "f32", capacity_frames * 2, "interleaved stereo, full scale = 1; frame i lies at i mod capacity"),
    )


TABLE: tuple[Section, ...] = (
    Section("header", "supervisor", "once", "What this block is and how the run was set up.", (
        Field("magic", "u64", 1, "NURORACK"),
        Field("version", "u32", 1, "of this table"),
        Field("sample_rate_hz", "u32", 1, "of the card: 44100, 48000 or 96000"),
        Field("size_bytes", "u64", 1, "of the whole block"),
        Field("block_frames", "u32", 1, "frames a callback: 32..1024"),
        Field("input_channels", "u32", 1, "0 or 2"),
        Field("supervisor_pid", "u64", 1, "children leave when it is gone"),
        Field("fade_frames", "u32", 1, "length of the fades at start, stop and underrun"),
        Field("settle_us", "u32", 1, "time from an edge to the reading of its CVs"),
    )),
    Section("run", "supervisor", "atomic", "The supervisor's wishes.", (
        Field("state", "u32", 1, "1 play, 2 fade out and stay silent, 3 leave"),
        Field("recording", "u32", 1, "1 while the recorder wants the capture ring filled"),
        Field("heartbeat_ns", "i64", 1, "CLOCK_MONOTONIC"),
        Field("restarts", "u32", 7, "of audio, synth A, synth B, inputs, remote, panel, web"),
        Field("mix_target", "f64", 1, "0 = slot A alone, 1 = slot B alone; the callback glides there"),
        Field("mix_frames", "u32", 1, "length of that crossfade over its whole way"),
        Field("monitor_gain", "f32", 1, "audio input mixed into the output, 0 = off"),
        Field("tap_ns", "i64", 1, "last tap of the tempo by hand, CLOCK_MONOTONIC; 0 none yet"),
    )),
    Section("controls", "inputs", "seqlock", "The jacks, calibrated.", (
        Field("seq", "u32", 1, "odd while being written"),
        Field("gates_high", "u32", 1, "bit i: gate i+1 is above its threshold"),
        Field("scan_ns", "i64", 1, "when the CVs were converted"),
        Field("cv_volts", "f64", CV_JACKS, "-10..+10; an unpatched jack reads 0"),
        Field("source_volts", "f64", MODULATORS, "mod1..mod8 as computed with this scan, -10..+10; one that is off gives 0"),
    )),
    Section("inputs", "inputs", "atomic", "How the inputs are doing.", (
        Field("heartbeat_ns", "i64", 1, "CLOCK_MONOTONIC"),
        Field("scans", "u64", 1, "CV scans since start"),
        Field("edges", "u64", 1, "edges published since start"),
        Field("bounces", "u64", 1, "edges dropped as contact bounce"),
        Field("chip_errors", "u64", 1, "failed bus transfers"),
        Field("pid", "u64", 1, ""),
        Field("board_name", "char", NAME_BYTES, "whose calibration and jack settings hold; a simulated board's own"),
        Field("unpatched", "u32", 1, "bit i: cv i+1 was found without a cable and gives its normal"),
        Field("clock_running", "u32", 1, "0 no tempo, 1 from a clock jack, 2 tapped, 3 from MIDI"),
        Field("tempo_bpm", "f64", 1, "filtered; the last one while no clock runs, 0 before the first"),
        Field("clock_pulse_ns", "f64", 1, "filtered time of the last pulse, CLOCK_MONOTONIC"),
        Field("clock_period_ns", "f64", 1, "filtered time from pulse to pulse"),
        Field("clock_pulses", "u64", 1, "pulses since the reset, the first included"),
        Field("clock_steps_per_pulse", "f64", 1, "multiplication / division; step = (pulses - 1 + phase) times this"),
        Field("raw_ns", "i64", RAW_SCANS, "times of the last scans; scan i lies at i mod its length"),
        Field("raw_volts", "f32", RAW_SCANS * CV_JACKS, "as converted, before calibration"),
        Field("clock_pulses_per_beat", "f64", 1, "beat = (pulses - 1 + phase) / this"),
    )),
    Section("patch", "supervisor", "seqlock", "What a volt means to the model of a slot: knob values and routes.", (
        Field("seq", "u32", 1, "odd while being written"),
        Field("revision", "u32", 1, "grows with every edit"),
        Field("knob", "f64", CONTROLS, "0..1, in the order of the model's card"),
        Field("drive", "f64", CONTROLS, "0..1: 0 the control bends the gesture, 1 it drives the input absolutely"),
        Field("route_jack", "i32", ROUTES, "0..7 = cv1..cv8, 8..15 = mod1..mod8; -1 = unused"),
        Field("route_control", "i32", ROUTES, "index of the control"),
        Field("route_amount", "f64", ROUTES, "attenuverter: control change per volt"),
        Field("route_offset", "f64", ROUTES, "added to the control"),
        Field("route_curve", "f64", ROUTES, "exponent of |volts|/10 (1 = straight), 0.25..4"),
        Field("route_smooth_ms", "f64", ROUTES, "time constant of the smoothing, 0..5000"),
        Field("route_latched", "u32", ROUTES, "1: the jack is read at each trigger only (sample and hold)"),
        Field("level_db", "f64", 1, "output level, -90..+12"),
        Field("gate_action", "u32", GATE_JACKS, "0 freeze while high, 1 next gesture, 2 trigger, 3 nothing in the voice"),
        Field("route_low", "f64", ROUTES, "the control does not go below this by the route; 0 = no limit"),
        Field("route_high", "f64", ROUTES, "nor above this; 1 = no limit"),
        Field("route_steps", "u32", ROUTES, "2..64: so many values from low to high; 0 = all"),
        Field("route_scale", "u32", ROUTES, "bit i: volts i semitones above the root may pass; 0 = all"),
        Field("route_root", "i32", ROUTES, "semitones above C, 0 V being a C"),
    ), copies=SLOTS),
    Section("edges", "inputs", "queue", "Gate and trigger edges in order of time.", (
        Field("head", "u64", 1, "edges ever published"),
        Field("pad_head", "u64", 7, ""),
        Field("slot_seq", "u64", EDGE_CAPACITY, "2*(index+1) when slot holds edge `index`, odd while being written"),
        Field("edge_ns", "i64", EDGE_CAPACITY, "CLOCK_MONOTONIC of the edge at the jack"),
        Field("publish_ns", "i64", EDGE_CAPACITY, "when it was published, its CVs settled"),
        Field("jack", "u32", EDGE_CAPACITY, "0 = gate1, 1 = gate2"),
        Field("rising", "u32", EDGE_CAPACITY, "1 rising, 0 falling"),
        Field("cv_volts", "f64", EDGE_CAPACITY * CV_JACKS, "the jacks `settle_us` after the edge"),
        Field("source_volts", "f64", EDGE_CAPACITY * MODULATORS, "and mod1..mod8 then, this edge already heard"),
    )),
    Section("clock", "audio", "seqlock", "The card's time: which ring frame belongs to which nanosecond.", (
        Field("seq", "u32", 1, "odd while being written"),
        Field("running", "u32", 1, "1 while callbacks come"),
        Field("callback_ns", "f64", 1, "filtered time of the last callback, CLOCK_MONOTONIC"),
        Field("frames_per_ns", "f64", 1, "filtered rate of the card"),
        Field("frame", "u64", 1, "frames taken before that callback since the clock started"),
        Field("ring_frame", "u64", SLOTS, "tail_frames of each slot's ring before that callback"),
    )),
    Section("audio", "audio", "atomic", "Counts and meters of the callback. Late, silent and finished are three things.", (
        Field("heartbeat_ns", "i64", 1, "of the audio process's Python side"),
        Field("callback_count", "u32", 1, "futex word: grows with every callback"),
        Field("device_state", "u32", 1, "0 none yet, 1 sound card, 2 null device by wish, 3 null device until the card is back"),
        Field("blocks", "u64", 1, "callbacks since start"),
        Field("frames", "u64", 1, "frames given to the card since start"),
        Field("late_blocks", "u64", SLOTS, "underruns: a playing slot's ring lacked frames"),
        Field("late_frames", "u64", SLOTS, "how many"),
        Field("stalled_blocks", "u64", SLOTS, "those underruns whose callback itself came over half a block late: the machine stood still"),
        Field("silent_blocks", "u64", 1, "complete blocks below -90 dBFS"),
        Field("finished_blocks", "u64", SLOTS, "blocks after a slot said that its sound has ended"),
        Field("device_underflows", "u64", 1, "PortAudio said that the card itself ran dry"),
        Field("device_overflows", "u64", 1, "PortAudio lost input"),
        Field("reconnects", "u64", 1, "streams opened again after the card went away"),
        Field("clipped_frames", "u64", 1, "held at full scale by the last guard"),
        Field("nan_frames", "u64", 1, "not a number, played as silence"),
        Field("captured_frames", "u64", 1, "handed to the recorder"),
        Field("capture_dropped_frames", "u64", 1, "the recorder was too slow"),
        Field("peak", "f32", 2, "of the last block, left and right"),
        Field("rms", "f32", 2, "of the last block"),
        Field("input_peak", "f32", 2, "of the last block of the audio input"),
        Field("load", "f32", 1, "callback time / block time of the last block"),
        Field("dac_delay_ms", "f32", 1, "from the callback to its first frame at the jack, as the driver reports it"),
        Field("mix", "f64", 1, "where the crossfade stands, 0..1"),
        Field("faded", "u32", 1, "1 once the fade-out at stop is done"),
        Field("fifo", "i32", 1, "1 scheduled FIFO, 0 not tried, -errno refused"),
        Field("pid", "u64", 1, ""),
        Field("last_late_ns", "i64", 1, "time of the last underrun"),
        Field("load_histogram", "u32", LOAD_BUCKETS, "blocks by load"),
        Field("device_name", "char", NAME_BYTES, "UTF-8, as the last opened stream was named"),
    )),
    Section("synth", "the slot's synth", "atomic", "How a slot is doing.", (
        Field("heartbeat_ns", "i64", 1, "of the process's Python side"),
        Field("render_ns", "i64", 1, "of the render thread: last block done"),
        Field("playing", "u32", 1, "0 detached, 1 playing, 2 finished: its sound has ended"),
        Field("fifo", "i32", 1, "1 scheduled FIFO, 0 not tried, -errno refused"),
        Field("blocks", "u64", 1, "rendered since start"),
        Field("late_edges", "u64", 1, "edges that came too late for their place and were played at once"),
        Field("lost_edges", "u64", 1, "edges overwritten before this slot read them"),
        Field("triggers", "u64", 1, "gestures started"),
        Field("takebacks", "u64", 1, "times that rendered sound was taken back and made anew, for an edge or a control"),
        Field("remade_frames", "u64", 1, "frames taken back so far"),
        Field("load", "f32", 1, "render time / block time of the last block"),
        Field("load_max", "f32", 1, "largest since start"),
        Field("block_frames", "u32", 1, "frames the program makes at once"),
        Field("lead_frames", "u32", 1, "frames kept ready beyond the callback's need"),
        Field("quick_lead_frames", "u32", 1, "of these, the time to make a block anew; a part of the latency"),
        Field("block_us", "f32", 1, "processor time of a block: the median of the last 64"),
        Field("block_high_us", "f32", 1, "and the second largest of them"),
        Field("slow_blocks", "u64", 1, "blocks that took more processor time than they last, where most take more than half of it"),
        Field("gone_blocks", "u64", 1, "blocks for which the machine kept the thread from running for more than half its lead"),
        Field("held_blocks", "u64", 1, "blocks that could not be made in time: the last sound went on instead"),
        Field("gesture", "i32", 1, "index of the running gesture, -1 none"),
        Field("gesture_frame", "i32", 1, "its position in model frames"),
        Field("frozen", "u32", 1, "1 while the gesture is held in a loop"),
        Field("pid", "u64", 1, ""),
        Field("edge_delay_frames", "u32", 1, "constant distance from an edge to its place in the ring"),
        Field("limited_db", "f32", 1, "gain reduction of the limiter"),
        Field("latency_us", "u32", LATENCIES, "from edge to jack of the last rising edges of gate 1; entry i mod its length"),
        Field("latencies", "u64", 1, "how many were ever measured"),
        Field("control", "f32", CONTROLS, "resulting control values, 0..1"),
        Field("load_histogram", "u32", LOAD_BUCKETS, "blocks by load"),
        Field("model_name", "char", NAME_BYTES, "UTF-8"),
    ), copies=SLOTS),
    Section("underruns", "supervisor", "atomic", "Why a slot lacked sound, by cause: slow model, machine stalled, processor throttled, swap, process died.", (
        Field("late", "u64", len(CAUSES), "callbacks that found too few frames; table.CAUSES in order"),
        Field("held", "u64", len(CAUSES), "blocks replaced by the last sound before it came to that"),
    ), copies=SLOTS),
    Section("ring", "head: the slot's synth; tail: audio", "ring", "Sound from a slot to the callback.", _ring(RING_CAPACITY_FRAMES), copies=SLOTS),
    Section("input_ring", "audio", "tape", "Sound from the audio input, for both synths.", _tape(RING_CAPACITY_FRAMES)),
    Section("capture_ring", "head: audio; tail: recorder", "ring", "The output as played, for the recorder. Full: frames are dropped and counted.", _ring(CAPTURE_CAPACITY_FRAMES)),
    Section("desk", "supervisor", "atomic", "The wires of the simulated board: what a real jack would carry.", (
        Field("cv_wire_volts", "f64", CV_JACKS, "before the simulated converter"),
        Field("gate_wire_volts", "f64", GATE_JACKS, "before the simulated threshold"),
    )),
    Section("remote", "remote", "atomic", "What is played over MIDI and OSC.", (
        Field("heartbeat_ns", "i64", 1, "CLOCK_MONOTONIC"),
        Field("cv_volts", "f64", CV_JACKS, "added to what the jacks carry"),
        Field("pid", "u64", 1, ""),
        Field("ports", "u32", 1, "open MIDI ports"),
        Field("messages", "u64", 1, "of MIDI, since start"),
        Field("notes", "u64", 1, "rising edges of gate 1 since start"),
        Field("osc_packets", "u64", 1, "since start"),
        Field("osc_bad", "u64", 1, "messages, and whole packets, that were none of ours"),
        Field("lost", "u64", 1, "events that nobody took in time"),
    )),
    Section("web", "web", "atomic", "The page's server.", (
        Field("heartbeat_ns", "i64", 1, "CLOCK_MONOTONIC"),
        Field("pid", "u64", 1, ""),
        Field("port", "u32", 1, "where it listens; 0 nowhere yet"),
        Field("clients", "u32", 1, "pages that are live now"),
        Field("dropped", "u64", 1, "pages that were too slow or asked for too much, since start"),
    )),
    Section("scope", "audio", "tape", "What the jack played last, for pictures of it.", _tape(SCOPE_FRAMES)),
    Section("panel", "panel", "seqlock", "What the display shows, pixel for pixel. Fields before `seq` stand alone.", (
        Field("heartbeat_ns", "i64", 1, "CLOCK_MONOTONIC"),
        Field("pid", "u64", 1, ""),
        Field("events", "u64", 1, "turns, presses and releases taken since start"),
        Field("detents", "u64", 1, "steps turned since start, either way"),
        Field("chip_bytes", "u64", 1, "sent to the display's chip since start"),
        Field("chip_errors", "u64", 1, "failed transfers of display and encoder"),
        Field("seq", "u32", 1, "odd while being written"),
        Field("led", "u32", 1, "the encoder's light: red << 16, green << 8, blue; stands alone"),
        Field("number", "u32", 1, "frames shown since start"),
        Field("width", "u32", 1, "pixels"),
        Field("height", "u32", 1, "pixels"),
        Field("channels", "u32", 1, "1 on or off, 3 red, green and blue"),
        Field("light", "u32", 1, "0 blank, 1 dim, 2 full"),
        Field("holding", "u32", 1, "1 while the button is held"),
        Field("drawn_ns", "i64", 1, "when the frame was drawn, CLOCK_MONOTONIC"),
        Field("event_ns", "i64", 1, "time of the last turn or press that it shows, CLOCK_MONOTONIC"),
        Field("screen", "char", NAME_BYTES, "name of the screen"),
        Field("pixels", "u32", PANEL_BYTES // 4, "bytes, row by row from the top left, one a channel, 0..255"),
    )),
    Section("sources", "supervisor", "seqlock", "What the modulators mod1..mod8 are set to; inputs/sources.py declares the fields of each kind.", (
        Field("seq", "u32", 1, "odd while being written"),
        Field("revision", "u32", 1, "grows with every edit"),
        Field("seed", "u64", 1, "of everything random"),
        Field("kind", "u32", MODULATORS, "0 off, 1 lfo, 2 envelope, 3 sample_hold, 4 slew, 5 walk, 6 steps"),
        Field("shape", "u32", MODULATORS, "0 sine, 1 triangle, 2 saw_up, 3 saw_down, 4 square, 5 random"),
        Field("pace", "u32", MODULATORS, "0 free, 1 clock"),
        Field("trigger", "u32", MODULATORS, "0 gate1, 1 gate2, 2 clock"),
        Field("reset", "u32", MODULATORS, "0 off, 1 gate1, 2 gate2"),
        Field("multiply", "u32", MODULATORS, "by the clock: multiply / divide cycles or triggers a beat"),
        Field("divide", "u32", MODULATORS, ""),
        Field("polarity", "u32", MODULATORS, "0 bipolar, 1 unipolar"),
        Field("stages", "u32", MODULATORS, "0 adsr, 1 ad"),
        Field("input", "u32", MODULATORS, "0..7 = cv1..cv8, 8..15 = mod1..mod8, 16 = noise"),
        Field("response", "u32", MODULATORS, "0 straight, 1 exponential"),
        Field("direction", "u32", MODULATORS, "0 forward, 1 backward, 2 pingpong, 3 random"),
        Field("length", "u32", MODULATORS, "steps of the sequence, 1..16"),
        Field("rate_hz", "f64", MODULATORS, ""),
        Field("phase", "f64", MODULATORS, "of a cycle, 0..1"),
        Field("width", "f64", MODULATORS, "share of a square's cycle that is high"),
        Field("level_volts", "f64", MODULATORS, ""),
        Field("attack_ms", "f64", MODULATORS, ""),
        Field("decay_ms", "f64", MODULATORS, ""),
        Field("sustain", "f64", MODULATORS, "share of the level, 0..1"),
        Field("release_ms", "f64", MODULATORS, ""),
        Field("curve", "f64", MODULATORS, "-1 slow at first, 0 straight, 1 quick at first"),
        Field("rise_ms", "f64", MODULATORS, ""),
        Field("fall_ms", "f64", MODULATORS, ""),
        Field("low_volts", "f64", MODULATORS, ""),
        Field("high_volts", "f64", MODULATORS, ""),
        Field("step_volts", "f64", MODULATORS, ""),
        Field("smooth", "f64", MODULATORS, "share of a step that is spent on the way, 0..1"),
        Field("glide_ms", "f64", MODULATORS, ""),
        Field("steps", "f64", MODULATORS * SEQUENCE_STEPS, "volts of each modulator's sequence"),
    )),
    Section("modulators", "inputs", "atomic", "Where the modulators stand: whoever scans next goes on from here.", (
        Field("run_ns", "i64", 1, "time of their last computation"),
        Field("leaps", "u32", MODULATORS, "times each has leapt to another voltage: look-ahead is made anew for these"),
        Field("kind", "u32", MODULATORS, "the kind that the rest belongs to"),
        Field("stage", "u32", MODULATORS, "envelope: 0 at rest, 1 attack, 2 decay, 3 release; sequence: 1 on the way back"),
        Field("step", "i32", MODULATORS, "of the sequence, -1 before the first"),
        Field("draws", "u64", MODULATORS, "random numbers taken"),
        Field("ticks", "i64", MODULATORS, "of the clock, the last one heard"),
        Field("phase", "f64", MODULATORS, "of the cycle, or the way from step to step, 0..1"),
        Field("offset", "f64", MODULATORS, "of a clocked cycle against the clock's beats"),
        Field("began_ns", "f64", MODULATORS, "of the present stage or glide"),
        Field("origin", "f64", MODULATORS, "where that began: volts; of an envelope the share of its level"),
        Field("target", "f64", MODULATORS, "where it goes; of a random oscillator -1..1"),
        Field("done", "f64", MODULATORS, "how far along the stage it began, 0..1"),
        Field("reset_ns", "f64", MODULATORS, "the last reset by a gate"),
        Field("beat_ns", "f64", 1, "length of a beat as the clock last told it; 0: no clock has run"),
    )),
)


def _align(value: int, to: int) -> int:
    return (value + to - 1) // to * to


def layout() -> dict[tuple[str, str], tuple[int, Field, int]]:
    """``(section, field) -> (offset of copy 0 in bytes, field, stride between copies in bytes)``."""
    places, at = {}, 0
    for section in TABLE:
        at = _align(at, 64)
        start, inner = at, 0
        for field in section.fields:
            inner = _align(inner, SIZES[field.kind])
            places[section.name, field.name] = (start + inner, field, 0)
            inner += SIZES[field.kind] * field.count
        stride = _align(inner, 64)
        for field in section.fields:
            offset, _, _ = places[section.name, field.name]
            places[section.name, field.name] = (offset, field, stride)
        at = start + stride * section.copies
    return places


def size_bytes() -> int:
    """Size of the whole block, a multiple of 4096."""
    places = layout()
    ends = [places[s.name, s.fields[0].name][0] + places[s.name, s.fields[0].name][2] * s.copies for s in TABLE]
    return _align(max(ends), 4096)


def c_header() -> str:
    """The same table as C: constants, one structure a section, the whole block, and checked offsets."""
    places = layout()
    lines = ["/* Made from shm/table.py; edit that. */", "#ifndef NR_RACK_TABLE_H", "#define NR_RACK_TABLE_H",
             "#include <stddef.h>", "#include <stdint.h>"]
    for name in ("SLOTS", "CV_JACKS", "GATE_JACKS", "MODULATORS", "ROUTED_JACKS", "SEQUENCE_STEPS", "CONTROLS", "ROUTES",
                 "EDGE_CAPACITY", "RING_CAPACITY_FRAMES", "CAPTURE_CAPACITY_FRAMES", "LOAD_BUCKETS", "LATENCIES", "RAW_SCANS", "NAME_BYTES", "SCOPE_FRAMES"):
        lines.append(f"#define NR_{name} {globals()[name]}")
    for section in TABLE:
        lines.append(f"/* {section.doc} Writer: {section.writer}. Protocol: {section.protocol}. */")
        lines.append("typedef struct {")
        for index, field in enumerate(section.fields):
            array = f"[{field.count}]" if field.count > 1 else ""
            align = "_Alignas(64) " if index == 0 else ""
            lines.append(f"  {align}{C_TYPES[field.kind]} {field.name}{array}; /* {field.doc} */")
        lines.append(f"}} nr_{section.name};")
    lines.append("typedef struct {")
    for section in TABLE:
        array = f"[{section.copies}]" if section.copies > 1 else ""
        lines.append(f"  nr_{section.name} {section.name}{array};")
    lines.append("} nr_rack;")
    for section in TABLE:
        base = places[section.name, section.fields[0].name][0]
        lines.append(f'_Static_assert(offsetof(nr_rack, {section.name}) == {base}, "{section.name} moved");')
        for field in section.fields:
            inner = places[section.name, field.name][0] - base
            lines.append(f'_Static_assert(offsetof(nr_{section.name}, {field.name}) == {inner}, "{section.name}.{field.name} moved");')
    lines.append("#endif")
    return "\n".join(lines) + "\n"


def markdown() -> str:
    """The table as it stands in the documentation."""
    lines = []
    for section in TABLE:
        copies = f" × {section.copies}" if section.copies > 1 else ""
        lines += [f"**{section.name}**{copies}: {section.doc} *Writer: {section.writer}; protocol: {section.protocol}.*", "",
                  "| field | type | meaning |", "|---|---|---|"]
        for field in section.fields:
            if field.name.startswith("pad"):
                continue
            array = f"[{field.count}]" if field.count > 1 else ""
            lines.append(f"| `{field.name}` | {field.kind}{array} | {field.doc} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    print(markdown())
