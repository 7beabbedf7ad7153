"""Read a schema file."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import ValidationError

from synthetic.tables.errors import SynthesisError
from synthetic.tables.schema import Schema


def read_schema(path: Path) -> Schema:
    """The schema of a YAML file.

    Raises:
        SynthesisError: `synth_schema`, naming each place that is wrong.
    """
    try:
        return parse_schema(yaml.safe_load(path.read_text("utf-8")))
    except OSError as error:
        raise _refused(f"{path.name} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise _refused(f"{path.name} is not YAML in UTF-8") from error


def parse_schema(document: object) -> Schema:
    """The schema of a document that YAML gave; raises as `read_schema`."""
    try:
        return Schema.model_validate(document)
    except ValidationError as error:
        raise _refused("; ".join(_places(error))) from error


def _places(error: ValidationError) -> list[str]:
    found = error.errors(include_url=False, include_input=False)
    return [
        f"{'.'.join(str(part) for part in one['loc']) or 'schema'}: "
        f"{one['msg'].removeprefix('Value error, ')}"
        for one in found
    ]


def _refused(what: str) -> SynthesisError:
    return SynthesisError(
        "synth_schema", f"The schema cannot be used: {what}.", "合成数据的表结构文件不可用。"
    )
