"""`kl-oracle audit` pretends nothing."""

import pytest
from click.testing import CliRunner

from gpu_checks.cli import audit


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--list"],
        ["own-kl", "--claim", "k3 as loss", "--vocab", "131072", "--dtype", "bfloat16"],
    ],
)
def test_audit_says_in_one_line_that_it_is_not_built(arguments: list[str]) -> None:
    result = CliRunner().invoke(audit, arguments)
    assert result.exit_code == 2
    assert result.output.startswith("audit is not built yet: ")
    assert result.output.count("\n") == 1


def test_help_says_so_too() -> None:
    result = CliRunner().invoke(audit, ["--help"])
    assert result.exit_code == 0
    assert "not built yet" in result.output
