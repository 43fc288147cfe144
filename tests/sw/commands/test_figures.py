from dataclasses import replace

import pytest
from rich.console import Console
from weft.gen.presets import PRESETS
from weft.sw.commands.figures import BEGIN, END, LeNet, Mnist, Runtime, Sheet, insert, mnist_sheet, network_sheet
from weft.sw.errors import UserError
from weft.sw.report import Row

SMALL = PRESETS["small"]
CONV = Row("conv1", "conv", 117600, 3378, 3379, 2940)
PRODUCT = Row("fc1", "fully connected", 48000, 674, 674, 750)
REST = Row("(result)", "store", 0, 19)
NETWORK = LeNet("small", SMALL, (CONV, PRODUCT, REST), 4071)
RUNTIME = Runtime("1.2.3", 1000, 999, 1, 100)
MNIST = Mnist("small", 100, 99, 42.4, 2, 1000, 0, RUNTIME)


def network(**changes):
    return replace(NETWORK, rows=(replace(CONV, **changes), PRODUCT, REST))


def test_the_bar_of_a_layer():
    assert NETWORK.bar(CONV) == 3421
    assert NETWORK.passes == 3690
    assert list(NETWORK.missed()) == []


@pytest.mark.parametrize(
    "changed, sentences",
    [
        (network(cycles=3421, predicted=3421), []),
        (network(cycles=3422, predicted=3422), ["small: the 3,422 cycles of conv1 are more than 3,421"]),
        (network(cycles=3000, predicted=3150), []),
        (network(cycles=3000, predicted=3151), ["small: conv1 was predicted to take 3,151 cycles and took 3,000"]),
        (network(cycles=100, predicted=92), []),
        (network(cycles=100, predicted=91), ["small: conv1 was predicted to take 91 cycles and took 100"]),
        (replace(NETWORK, cycles=10500), []),
        (replace(NETWORK, cycles=10501), ["small: 10,501 cycles from start to done are more than 10,500"]),
        (replace(NETWORK, cycles=99999, preset="large"), []),
    ],
)
def test_a_missed_bar_is_a_sentence(changed, sentences):
    assert list(changed.missed()) == sentences


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"different": 3}, "3 of 1,000 logits of the RTL differ from those of the golden operators"),
        ({"seconds": 301.0}, "100 images took 301 s on the RTL, more than 300 s"),
        ({"runtime": replace(RUNTIME, equal=998)}, "only 998 of 1,000 logits equal those of ONNX Runtime"),
        ({"runtime": replace(RUNTIME, largest_difference=2)}, "a logit is 2 steps away from that of ONNX Runtime"),
        ({"runtime": replace(RUNTIME, same_answers=98)}, "ONNX Runtime reads 2 of 100 images differently"),
    ],
)
def test_a_missed_bar_of_mnist_is_a_sentence(changes, sentence):
    assert list(MNIST.missed()) == []
    assert list(replace(MNIST, **changes).missed()) == [sentence]


def test_the_sheet_of_a_network_has_ratio_and_bar():
    assert network_sheet(NETWORK).markdown().splitlines() == [
        "LeNet-5 on `small` (8x8), 63.6% of all multipliers' cycles used:",
        "",
        "| layer | MACs | array passes | cycles | ratio | bar | predicted |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        "| conv1 | 117,600 | 2,940 | 3,378 | 1.15 | 3,421 | 3,379 |",
        "| fc1 | 48,000 | 750 | 674 | 0.90 | 902 | 674 |",
        "| (result) |  |  | 19 |  |  |  |",
        "| start to done | 165,600 | 3,690 | 4,071 | 1.10 | 10,500 | 4,053 |",
    ]


def test_the_sheet_of_mnist():
    assert mnist_sheet(MNIST).markdown().splitlines()[2:] == [
        "| what | measured | bar |",
        "| --- | ---: | ---: |",
        "| read right | 99.00% |  |",
        "| logits that equal the golden operators' | 1,000 of 1,000 | all |",
        "| logits that equal ONNX Runtime 1.2.3's | 99.900% | 99.9% |",
        "| largest difference, in steps of int8 | 1 | 1 |",
        "| images read as ONNX Runtime 1.2.3 does | 100 of 100 | all |",
        "| seconds to simulate, 2 processes | 42 | 300 |",
    ]
    assert "ONNX" not in mnist_sheet(replace(MNIST, runtime=None)).markdown()


def test_a_sheet_fits_a_terminal():
    console = Console(width=80)
    with console.capture() as shown:
        console.print(network_sheet(NETWORK).terminal())
    lines = shown.get().splitlines()
    assert len(lines) == 6
    assert lines[2].split() == ["conv1", "117,600", "2,940", "3,378", "1.15", "3,421", "3,379"]


def test_figures_as_json():
    content = NETWORK.as_json()
    assert (content["cycles"], content["passes"], content["macs"]) == (4071, 3690, 165600)
    assert content["layers"][0]["bar"] == 3421
    assert content["layers"][2]["bar"] is None
    assert MNIST.as_json()["runtime"]["equal"] == 999


def test_tables_replace_what_stands_between_the_marks():
    sheet = Sheet("A table", ("a", "b"), [("1", "2")])
    text = f"# Title\n\n{BEGIN}\nold\n{END}\n\nrest\n"
    once = insert(text, [sheet], "README.md")
    assert once == (
        f"# Title\n\n{BEGIN}\n\nA table:\n\n| a | b |\n| --- | ---: |\n| 1 | 2 |\n\n{END}\n\nrest\n"
    )  # fmt: skip
    assert insert(once, [sheet], "README.md") == once


@pytest.mark.parametrize("text", ["", BEGIN, END, f"{END}{BEGIN}", f"{BEGIN}{BEGIN}{END}"])
def test_a_text_without_the_marks_is_refused(text):
    with pytest.raises(UserError) as refused:
        insert(text, [], "README.md")
    assert str(refused.value) == f"README.md: the text must have one line {BEGIN} and behind it one line {END}"
