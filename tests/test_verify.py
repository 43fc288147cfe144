"""`make verify`: which campaigns run, what it prints, and the page that it fills."""

from functools import partial

import pytest
from typer import Typer
from typer.testing import CliRunner
from weft.sim.verification import Row
from weft.sw.commands.figures import Sheet

from tests import verify


def rows(*failures):
    yield Row("resets at random cycles", 5, failures, 5, 0.5, "0 to 4")


def run(monkeypatch, *arguments, failures=()):
    """What the command prints and its exit status, with two parts of one campaign and another one."""
    campaigns = {"resets 1": rows, "resets 2": partial(rows, *failures), "faults": partial(rows, "beat 7: no report")}
    monkeypatch.setattr(verify, "CAMPAIGNS", campaigns)
    monkeypatch.setattr(verify, "STATIC", {"plan": lambda: Sheet("Plan", ("what",), [("resets",)])})
    application = Typer()
    application.command()(verify.verify)
    return CliRunner().invoke(application, arguments)


PAGE = "# Page\n\n" + "\n".join((*verify.MARKS, "<!-- plan:begin -->", "<!-- plan:end -->")) + "\n"


def test_the_tables_go_between_the_marks(monkeypatch, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    result = run(monkeypatch, "--docs", str(page))
    assert result.exit_code == 1
    assert "resets at random cycles" in result.stdout
    assert "| resets at random cycles | 15 | 1 | 15 |" in page.read_text()
    assert "| resets |" in page.read_text()


def test_tables_that_need_no_run_go_alone(monkeypatch, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    assert run(monkeypatch, "--list", "--docs", str(page)).exit_code == 0
    assert "| resets |" in page.read_text()
    assert "resets at random cycles" not in page.read_text()


def test_a_part_of_the_campaigns_is_no_page(monkeypatch, tmp_path):
    result = run(monkeypatch, "faults", "--docs", str(tmp_path / "page.md"))
    assert result.exit_code == 2
    assert result.stderr == "weft: --docs takes all campaigns, or --list\n"


def test_a_failure_is_told_and_is_the_exit_status(monkeypatch):
    result = run(monkeypatch, "resets", failures=["seed 3: the next inference is wrong"])
    assert result.exit_code == 1
    assert "weft: resets at random cycles: seed 3: the next inference is wrong" in result.stderr


def test_campaigns_are_named(monkeypatch):
    assert run(monkeypatch, "--list").stdout.split("\n")[:3] == ["resets 1", "resets 2", "faults"]
    refused = run(monkeypatch, "reset")
    assert refused.exit_code == 2
    assert refused.stderr == "weft: reset is not a campaign; the campaigns are resets, faults\n"


@pytest.mark.parametrize("content", [None, "no marks"])
def test_a_page_that_cannot_be_filled_is_told_before_the_work(monkeypatch, tmp_path, content):
    page = tmp_path / "page.md"
    if content is not None:
        page.write_text(content)
    result = run(monkeypatch, "--docs", str(page))
    assert result.exit_code == 2
    assert result.stderr.startswith(f"weft: {page}: ")
    assert result.stdout == ""


def test_the_page_in_docs_is_up_to_date(root):
    """Else: python -m tests.verify --list --docs docs/verification.md"""
    text = (root / "docs" / "verification.md").read_text()
    assert [text.count(mark) for mark in verify.MARKS] == [1, 1]
    assert verify.page(text, "docs/verification.md") == text
