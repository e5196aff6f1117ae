"""OSC: what is understood, and that nothing a stranger sends can do harm."""

import queue
import random
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("pythonosc")

from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder  # noqa: E402
from pythonosc.osc_message_builder import OscMessageBuilder  # noqa: E402

from neurorack.errors import NeurorackError  # noqa: E402
from neurorack.remote import osc  # noqa: E402


def packet(address, *values):
    builder = OscMessageBuilder(address)
    for value in values:
        builder.add_arg(value)
    return builder.build().dgram


@pytest.mark.parametrize("address, values, command", [
    ("/neurorack/control/brightness", (0.5,), ("control", "brightness", 0.5)),
    ("/neurorack/control", ("colour 1", 1), ("control", "colour 1", 1.0)),
    ("/neurorack/gate/1", (1,), ("gate", 0, True)),
    ("/neurorack/gate/2", (0,), ("gate", 1, False)),
    ("/neurorack/trigger", (), ("trigger", 0)),
    ("/neurorack/trigger", (2,), ("trigger", 1)),
    ("/neurorack/cv/8", (-2.5,), ("cv", 7, -2.5)),
    ("/neurorack/model", ("impacts",), ("model", "impacts")),
    ("/neurorack/next", (), ("next",)),
])
def test_what_is_understood(address, values, command):
    assert osc.commands(packet(address, *values)) == ([command], 0)


@pytest.mark.parametrize("address, values", [
    ("/neurorack/control/brightness", ()), ("/neurorack/control/brightness", (1.5,)), ("/neurorack/control/brightness", (float("nan"),)),
    ("/neurorack/control/brightness", ("loud",)), ("/neurorack/control", (0.5,)), ("/neurorack/gate/3", (1,)), ("/neurorack/gate/0", (1,)),
    ("/neurorack/gate/one", (1,)), ("/neurorack/gate/1", ()), ("/neurorack/cv/9", (1.0,)), ("/neurorack/cv/1", (99.0,)), ("/neurorack/model", ()),
    ("/neurorack/model", (5,)), ("/neurorack/trigger", (7,)), ("/neurorack", ()), ("/other", (1,)), ("/neurorack/quit", ()),
])
def test_what_is_not_is_counted(address, values):
    assert osc.commands(packet(address, *values)) == ([], 1)


def test_bundles_are_played_in_order_and_their_bad_messages_counted():
    bundle = OscBundleBuilder(IMMEDIATELY)
    for address, values in (("/neurorack/gate/1", (1,)), ("/nonsense", ()), ("/neurorack/gate/1", (0,))):
        message = OscMessageBuilder(address)
        for value in values:
            message.add_arg(value)
        bundle.add_content(message.build())
    assert osc.commands(bundle.build().dgram) == ([("gate", 0, True), ("gate", 0, False)], 1)


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.binary(max_size=64), st.binary(max_size=48).map(lambda tail: b"/neurorack/cv/1\0,f\0\0" + tail),
                 st.binary(max_size=48).map(lambda tail: b"#bundle\0" + tail)))
def test_any_bytes_are_survived(data):
    found, bad = osc.commands(data)
    assert bad in (0, 1) or data.startswith(b"#bundle")
    assert all(command[0] in ("control", "gate", "trigger", "cv", "model", "next") for command in found)


def test_bundles_within_bundles_without_end():
    data = b""
    for _ in range(2000):
        data = b"#bundle\0" + b"\0" * 7 + b"\1" + len(data).to_bytes(4, "big") + data
    assert osc.commands(data)[0] == []


def test_a_listener_goes_on_after_bad_packets():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        address = free.getsockname()
    got, counts, said = queue.Queue(), [], []
    listener = osc.Listener(address, lambda ns, command: got.put(command), lambda packets, bad: counts.append((packets, bad)), said.append)
    listener.start()
    noise = random.Random(1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(200):       # until it has bound its port
            sender.sendto(packet("/neurorack/trigger"), address)
            try:
                got.get(timeout=0.05)
                break
            except queue.Empty:
                continue
        before = len(counts)
        for _ in range(50):
            sender.sendto(noise.randbytes(noise.randrange(200)), address)
        sender.sendto(packet("/neurorack/model", "last"), address)
        while got.get(timeout=5) != ("model", "last"):
            pass
    listener.stopping.set()
    listener.join(5)
    assert sum(bad for _, bad in counts[before:]) >= 49 and not listener.is_alive() and len(said) == 1


@pytest.mark.parametrize("text, address", [("7400", ("127.0.0.1", 7400)), ("0.0.0.0:9000", ("0.0.0.0", 9000)), ("10.0.0.2", ("10.0.0.2", 7400))])
def test_addresses(text, address):
    assert osc.parse_address(text) == address


@pytest.mark.parametrize("text", ["nowhere:x", "0", "99999", "1.2.3.4:70000", "host name"])
def test_what_is_no_address(text):
    with pytest.raises(NeurorackError, match="--osc"):
        osc.parse_address(text)
