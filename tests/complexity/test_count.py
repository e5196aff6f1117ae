"""What is counted, against the opset, the engine's own figures and sums by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurorack import library
from neurorack.complexity import cases, cost, count, count_listing, counting, functions, kernels
from neurorack.complexity.isa import ISAS, named
from neurorack.engine import Model, native, opset
from neurorack.errors import ModelError, NeurorackError
from tests.complexity.programs import bf16, built, everything, int8, numbers


def test_every_operation_of_the_engine_has_a_count():
    assert set(kernels._OF) == set(opset.OPS)
    assert set(counting._PRODUCTS) | set(counting._OTHERS) == set(opset.OPS)
    for table, known in ((functions.UNARY, opset.UNARY), (functions.BINARY, opset.BINARY), (functions.TERNARY, opset.TERNARY)):
        assert set(table) == set(known)
        assert {kind for kind, _ in table.values()} <= set(functions.CLASSES)


def test_every_operation_is_counted_where_it_runs():
    listing, program, _ = built(everything)
    assert {call.op for call in listing.calls} == set(opset.OPS)
    found = count_listing(listing, 64)
    assert len(found.rows) == len(listing.calls)
    for row, call in zip(found.rows, listing.calls):
        assert row.read_bytes > 0 and row.written_bytes > 0 and row.works
        works_on_numbers = call.params.get("fn") != "copy" and row.op != "gather"
        assert (row.flops > 0) == works_on_numbers, row
    assert np.isfinite(program.run(numbers(4, 4))).all()


def test_an_operation_that_is_not_known_is_refused_not_forgotten(monkeypatch):
    listing, *_ = built(everything)
    monkeypatch.delitem(kernels._OF, "scan")
    with pytest.raises(KeyError):
        count_listing(listing, 64)


def test_every_price_is_measured_by_a_case():
    found = {"run"}
    for case in [*cases.in_cache(), cases.far_bands()]:
        for call in case.listing.calls:
            for work in kernels.of(call, case.listing, case.forms):
                found |= set(cost.quantities(work, named()))
    assert found == set(cost.PRICES)


def test_a_convolution_by_hand():
    listing, *_ = built(lambda b, x: b.conv1d(x, numbers(17, 4, 3), numbers(17), act="leaky_relu"), 32, 4, 1, 17)
    found = count_listing(listing, 32, 48000, isa=ISAS["avx2"])
    row = next(row for row in found.rows if row.op == "conv1d")
    assert row.params == 17 * 4 * 3 + 17
    assert row.macs == 48000 * 17 * 4 * 3
    assert row.macs_done == 48000 * 24 * 4 * 3                   # 17 outputs fill three vectors of 8
    assert row.flops == 2 * row.macs + 48000 * 17 * (1 + 2)      # and the bias, and a comparison with a product
    assert row.read_bytes == 1500 * 4 * ((32 + 2) * 4 + row.params)
    assert row.written_bytes == 48000 * 4 * 17


def test_other_products_by_hand():
    def macs(build, **shape):
        return {row.op: row.macs for row in count_listing(built(build, **shape)[0], shape["frames"], shape["frames"]).rows}       # one run a second

    assert macs(lambda b, x: b.conv_transpose1d(x, numbers(4, 2, 8), stride=4), frames=32, in_ratio=4, out_channels=2)["conv_transpose1d"] == 8 * 4 * 2 * 8
    assert macs(lambda b, x: b.gru(x, numbers(15, 4), numbers(15, 5)), frames=8, in_ratio=1, out_channels=5)["gru"] == 8 * 15 * 9
    assert macs(lambda b, x: b.matmul(x, numbers(4, 7)), frames=8, in_ratio=1, out_channels=7)["matmul"] == 8 * 4 * 7
    assert macs(lambda b, x: b.oscillators(x, np.arange(1, 5) * 100.0, 48000, 16), frames=64)["oscillators"] == 64 * 4
    assert macs(lambda b, x: b.noise_bands(x, b.constant(numbers(4, 32)), 16), frames=64)["noise_bands"] == 64 * 4


def ready_operations(found) -> int:
    """Calls that the engine makes of the works."""
    total = 0
    for row in found.rows:
        works = [work for work in row.works if not isinstance(work, kernels.Gates) and getattr(work, "kind", "") != "pack"]
        total += sum(work.times if isinstance(work, kernels.Product) and row.op != "gru" else 1 for work in works) - (row.op == "gru")
    return total


@pytest.mark.parametrize("narrow", [None, bf16, int8])
def test_kernel_calls_and_memory_are_those_of_the_engine(narrow):
    listing, program, forms = built(everything, narrow=narrow)
    found = count_listing(listing, 64, forms=forms)
    assert ready_operations(found) == native.functions().ops(program.handle)
    held = native.functions().pool_bytes(program._owner.pool.handle)
    assert held * 0.97 <= found.weight_bytes <= held * 1.03


@pytest.mark.parametrize("name", ["impacts", "strings"])
@pytest.mark.parametrize("method", ["decode", "encode"])
def test_factory_models_are_counted_as_the_engine_runs_them(name, method):
    model = Model.load(library.find(name))
    found, program = count(model, method), model.program(method, 64)
    assert ready_operations(found) == native.functions().ops(program.handle)
    assert model.weight_bytes * 0.97 <= found.weight_bytes <= model.weight_bytes * 1.03
    assert found.state_bytes + found.scratch_bytes <= program.memory_bytes
    assert found.file_bytes == model.path.stat().st_size and found.params * 2 < found.file_bytes


def test_layers_are_called_as_their_tensors_are():
    names = {row.layer for row in count("impacts").rows}
    assert {"decoder.net.entry", "decoder.head", "noise_bands", "oscillators", "input"} <= names


def test_a_second_of_audio_is_the_same_work_in_blocks_of_any_length():
    short, long = (count("impacts", block_frames=block) for block in (64, 1024))
    assert short.macs == long.macs and short.flops == long.flops and short.params == long.params
    assert short.read_bytes > 5 * long.read_bytes                # the weights are read anew for each block


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(1, 20), depth=st.integers(1, 40), cols=st.integers(1, 70), isa=st.sampled_from(sorted(ISAS)))
def test_done_is_never_less_than_asked_for_and_less_than_a_vector_more(rows, depth, cols, isa):
    listing, *_ = built(lambda b, x: b.linear(x, numbers(cols, depth)), rows, depth, 1, cols)
    found, lanes = count_listing(listing, rows, isa=ISAS[isa]), ISAS[isa].lanes
    assert found.macs <= found.macs_done < found.macs * (cols + lanes) / cols


def test_what_is_not_there_is_said_in_one_line(tmp_path):
    with pytest.raises(ModelError, match="no method 'sing'; it has decode, encode"):
        count("impacts", "sing")
    with pytest.raises(ModelError, match="blocks of 63 frames; it has 64"):
        count("impacts", block_frames=63)
    with pytest.raises(ModelError, match="no model 'nobody'"):
        count("nobody")
    with pytest.raises(NeurorackError, match="no instruction set 'mmx'; there are scalar, sse"):
        named("mmx")


def test_a_model_that_plays_without_a_program_is_refused():
    class Foreign:
        methods = {}

        def __str__(self):
            return "strange"

    with pytest.raises(ModelError, match="strange could not be compiled"):
        count(Foreign())
