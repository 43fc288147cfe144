"""Measuring networks: small ones, on small arrays."""

from functools import partial

import numpy as np
import pytest
from weft.gen import presets
from weft.sw import synthetic
from weft.sw.commands import bench_networks as commands_bench_networks
from weft.sw.commands.figures_networks import Case
from weft.sw.commands.progress import Steps
from weft.sw.errors import UserError

from tests.configurations import CONFIGURATIONS
from tests.sw.networks import Builder


def test_a_network_is_measured_layer_by_layer(monkeypatch):
    monkeypatch.setattr(presets, "load_config", lambda preset, settings: CONFIGURATIONS["8x8"])
    build = Builder(np.random.default_rng(0))
    graph = build.graph(build.conv(build.conv(build.input((1, 12, 12, 8)), 16, (3, 3)), 8, (1, 1)))
    case = Case("a", "a network", (1, 2, 3), None)
    found = commands_bench_networks._measured(case, graph, "small", 2, 1, Steps())
    assert [row.macs for row in found.layers] == [115_200, 12_800]
    assert found.bound == 2
    assert found.cycles == sum(row.cycles for row in found.rows)
    assert found.surprising() == []


def test_the_streamed_network_equals_the_machine(monkeypatch):
    monkeypatch.setattr(presets, "load_config", lambda preset: CONFIGURATIONS["16x16"])
    monkeypatch.setattr(synthetic, "resnet50", partial(synthetic.resnet50, size=32, classes=10))
    found = commands_bench_networks.measure_resnet50(Steps())
    assert found.different == 0
    assert found.cycles > found.macs / 256
    assert found.predicted == pytest.approx(found.cycles, rel=0.05)


def test_a_missing_file_is_a_sentence(tmp_path):
    with pytest.raises(UserError, match=r"resnet8_int8\.tflite"):
        commands_bench_networks.measure(tmp_path, Steps())


def test_the_compiler_is_timed(monkeypatch):
    small = {"mobilenet_v2": partial(synthetic.mobilenet_v2, size=32, classes=10)}
    monkeypatch.setattr(synthetic, "NETWORKS", small)
    monkeypatch.setattr(commands_bench_networks, "SECONDS", dict.fromkeys(small))
    found = commands_bench_networks.measure_compiler(Steps())
    assert [one.preset for one in found] == ["small", "large"]
    for one in found:
        assert one.layers > 60
        assert one.instructions > 2 * one.layers
        assert 0 < one.seconds < 30
