"""The page on detection names every detector and every one of its parameters, with what it fails at."""

from __future__ import annotations

import re

import pytest
from pydantic import BaseModel

from qraft.config.detect import BuiltInDetectors
from tests.docs.pages import text_of, twin

PAGE = "docs/detection.md"
DETECTORS = {
    name: type(field.default)
    for name, field in BuiltInDetectors.model_fields.items()
    if isinstance(field.default, BaseModel)
}
FAILS = {PAGE: "**Fails.**", twin(PAGE): "**失败之处**"}


def section(page: str, detector: str) -> str:
    """What the page says under the heading that names a detector."""
    found = re.search(rf"^### [^\n]*\b{detector}\b[^\n]*\n(.*?)(?=^##)", text_of(page), re.MULTILINE | re.DOTALL)
    assert found is not None, f"{page} has no section on {detector}"
    return found[1]


@pytest.mark.parametrize("page", [PAGE, twin(PAGE)])
@pytest.mark.parametrize("detector", DETECTORS)
def test_every_parameter_is_named_in_the_detectors_section(page: str, detector: str) -> None:
    said = section(page, detector)
    shared = {"enabled"}  # explained once for all
    for key in DETECTORS[detector].model_fields:
        if key not in shared:
            assert f"`{key}`" in said, f"{detector}.{key}"


@pytest.mark.parametrize("page", [PAGE, twin(PAGE)])
@pytest.mark.parametrize("detector", DETECTORS)
def test_every_detector_stands_in_the_table_says_where_it_fails_and_bears_its_defaults(page: str, detector: str) -> None:
    said = section(page, detector)
    assert FAILS[page] in said
    assert re.search(rf"^\| `{detector}` \|", text_of(page), re.MULTILINE)
    for key, field in DETECTORS[detector].model_fields.items():
        if key != "enabled":
            assert f"{field.default:g}" in said.replace(",", ""), f"{detector}.{key} = {field.default}"


@pytest.mark.parametrize("page", [PAGE, twin(PAGE)])
def test_common_keys_are_named(page: str) -> None:
    for key in ("line", "max_entities", "enabled"):
        assert re.search(rf"`(detect\.)?{key}`|\b{key} =", text_of(page)), key
