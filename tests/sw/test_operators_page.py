"""docs/operators.md is current, and has every operator and every reason."""

import re

import pytest
from weft.gen.presets import SMALL
from weft.sw import operators_page
from weft.sw.compiler.model_compiler import compile_model
from weft.sw.errors import UserError
from weft.sw.graph import OnnxNode, Reshape
from weft.sw.lowering.limits import HOST_REASONS
from weft.sw.network import HOST
from weft.sw.network_file import operator_kinds
from weft.sw.onnx.operators import OPERATORS as ONNX_OPERATORS
from weft.sw.operators_page import BASES, PAGE, lowered, main, page
from weft.sw.sentences import GAP
from weft.sw.tflite.operators import OPERATORS as TFLITE_OPERATORS
from weft.sw.tflite.reader import read_tflite

from tests.configurations import CONFIGURATIONS
from tests.sw.mixed_networks import mixed_network
from tests.sw.tflite_cases import CASES
from tests.sw.tflite_models import Model


@pytest.fixture(scope="module")
def text():
    return page()


def sentences(text):
    """All sentences of the page's lists, each as a pattern of what is said."""
    found = set()
    for line in text.splitlines():
        if line.startswith("- "):
            said = re.sub(r"^- ((any|an operator|an operator of the others|`\w+`)(, )?)+ ", "", line)
            found.update(said.split("; "))
    return [re.compile(".*".join(map(re.escape, one.split(GAP)))) for one in found]


def test_the_page_is_current(text):
    assert PAGE.read_text(encoding="utf-8") == text, "run python -m weft.sw.operators_page"


def test_every_operator_is_there(text):
    tflite, onnx, own = re.split(r"\n## (?:ONNX|On the NPU)\n", text)
    for operators, part in ((TFLITE_OPERATORS, tflite), (ONNX_OPERATORS, onnx)):
        rows = "\n".join(line for line in part.splitlines() if line.startswith("| `"))
        for name in operators:
            assert f"`{name}`" in rows
    for name in operator_kinds():
        assert (f"\n| `{name}` |" in own) is (name not in BASES)


def test_an_operator_runs_where_the_page_says(text):
    own = text.split("\n## On the NPU\n")[1]
    for name, kind in operator_kinds().items():
        if name in BASES:
            continue
        wanted = (
            ("host",)
            if kind in {*HOST_REASONS, OnnxNode}
            else ("layout",)
            if kind is Reshape
            else ("npu", "npu or host")
        )
        assert re.search(rf"^\| `{name}` \| ({'|'.join(wanted)}) \|", own, re.MULTILINE), name
        assert (kind in lowered()) is ("npu" in wanted)


def test_tables_have_as_many_cells_in_every_row(text):
    for block in text.split("\n\n"):
        if block.startswith("| "):
            assert len({line.replace("\\|", "").count("|") for line in block.splitlines()}) == 1, block


def reasons():
    """What is said of operators on the host: random networks, and TFLite's cases on little hardware."""
    poor = SMALL.replace(tables=False, depthwise=False)
    graphs = [(mixed_network(seed), CONFIGURATIONS["4x4"]) for seed in range(30)]
    graphs += [(read_tflite(make().model, name), poor) for name, make in CASES.items()]
    for graph, config in graphs:
        yield from (row.note for row in compile_model(graph, config).rows if row.where == HOST)


def test_every_reason_is_a_sentence_of_the_page(text):
    patterns = sentences(text)
    found = {reason.removeprefix("it ") for reason in reasons()} - {"operators of the host read it"}
    assert len(found) > 5
    for reason in found:
        assert any(pattern.fullmatch(reason) for pattern in patterns), reason


def test_what_a_reader_refuses_is_a_sentence_of_the_page(text):
    m = Model()
    x, y = m.tensor((1, 4, 4, 3), 0.5), m.tensor((1, 4), 0.5)
    axes = m.constant([1, 3])
    m.add("MEAN", [x, axes], y, "ReducerOptions", KeepDims=False)
    with pytest.raises(UserError) as error:
        read_tflite(m.make([x], [y]), "m")
    said = str(error.value).split("'", 2)[-1].strip() if "'" in str(error.value) else str(error.value)
    assert any(pattern.search(said) for pattern in sentences(text) if len(pattern.pattern) > 20), error.value
    assert "reduces the axes [1, 3], supported are axes side by side" in str(error.value)


def test_check_tells_whether_it_is_current(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(operators_page, "page", lambda: "text\n")
    arguments = ["--page", str(tmp_path / "page.md")]
    assert main([*arguments, "--check"]) == 1
    assert capsys.readouterr().err == "not current: page.md; run python -m weft.sw.operators_page\n"
    assert main(arguments) == 0
    assert (tmp_path / "page.md").read_text() == "text\n"
    assert main([*arguments, "--check"]) == 0
