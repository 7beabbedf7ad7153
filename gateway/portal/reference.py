"""The API reference, drawn from the same OpenAPI document that is served to machines."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from gateway.portal.finding import LONGEST
from gateway.portal.pages import (
    Body,
    FieldRow,
    OperationLine,
    OperationPage,
    ReferencePage,
    Reply,
    Tag,
)

Json: TypeAlias = Mapping[str, Any]  # a part of an OpenAPI document
DEEPEST: Final = 4
_METHODS: Final = ("get", "put", "post", "delete", "patch")
_JSON: Final = "application/json"


@dataclass(frozen=True)
class Reference:
    """One OpenAPI document, laid out for looking up."""

    document: Json
    base_url: str

    def index(self, query: str) -> ReferencePage:
        """Every operation by tag; of a question those whose name, path or text have its words."""
        words = query.casefold().split() if len(query) <= LONGEST else []
        found: dict[str, list[OperationLine]] = {}
        for line, operation in self.operations():
            said = " ".join((line.id, line.method, line.path, line.summary)).casefold()
            said += str(operation.get("description", "")).casefold()
            if all(word in said for word in words):
                found.setdefault(str(operation["tags"][0]), []).append(line)
        tags = [Tag(name, lines) for name, lines in found.items()]
        return ReferencePage(query[:LONGEST], sum(len(tag.operations) for tag in tags), tags)

    def operations(self) -> Iterator[tuple[OperationLine, Json]]:
        """Every operation in the document's order."""
        for path, methods in self.document["paths"].items():
            for method in _METHODS:
                if method in methods:
                    one = methods[method]
                    line = OperationLine(
                        one["operationId"], method.upper(), path, one.get("summary", "")
                    )
                    yield line, one

    def lines_of(self, service: str) -> list[OperationLine]:
        """The operations that belong to one service."""
        mark = f"/v1/services/{service}/"
        return [line for line, _ in self.operations() if line.path.startswith(mark)]

    def page(self, operation_id: str) -> OperationPage | None:
        """One operation by its id, if there is one."""
        for line, one in self.operations():
            if line.id == operation_id:
                return self._page(line, one)
        return None

    def _page(self, line: OperationLine, one: Json) -> OperationPage:
        bodies = self._bodies(one.get("requestBody", {}).get("content", {}))
        is_open = one.get("security") == []
        return OperationPage(
            line=line,
            about=[part for part in str(one.get("description", "")).split("\n\n") if part],
            open=is_open,
            parameters=[self._parameter(each) for each in one.get("parameters", ())],
            bodies=bodies,
            replies=[self._reply(status, each) for status, each in one["responses"].items()],
            curl=self._curl(line, bodies, is_open),
            command=self._command(line, bodies),
        )

    def _parameter(self, given: Json) -> FieldRow:
        one = self._resolved(given)
        where = f"{one['name']} ({one['in']})"
        schema = self._resolved(one.get("schema", {}))
        return FieldRow(where, _type(schema), bool(one.get("required")), _about(one, schema))

    def _bodies(self, content: Json) -> list[Body]:
        return [
            Body(media, list(self._fields(told.get("schema", {}))), _example(told))
            for media, told in content.items()
        ]

    def _reply(self, status: str, given: Json) -> Reply:
        one = self._resolved(given)
        return Reply(
            status,
            str(one.get("description", "")),
            list(one.get("headers", {})),
            self._bodies(one.get("content", {})),
        )

    def _fields(self, given: Json, path: str = "", depth: int = 0) -> Iterator[FieldRow]:
        """The fields of a schema with their places, as `period.from` or `data[].geo`."""
        schema = self._resolved(given)
        if schema.get("items") and depth < DEEPEST:
            yield from self._fields(schema["items"], f"{path}[]", depth)
        for key in ("oneOf", "anyOf", "allOf"):
            for option in schema.get(key, ()):
                yield from self._fields(option, path, depth + 1) if depth < DEEPEST else ()
        required = schema.get("required", ())
        for name, child in schema.get("properties", {}).items():
            inner = self._resolved(child)
            place = f"{path}.{name}".lstrip(".")
            yield FieldRow(place, _type(inner), name in required, _about(inner, inner))
            if depth < DEEPEST and _has_parts(inner):
                yield from self._fields(inner, place, depth + 1)

    def _resolved(self, given: Json) -> Json:
        """What a `$ref` stands for."""
        while "$ref" in given:
            found: Any = self.document
            for part in str(given["$ref"]).removeprefix("#/").split("/"):
                found = found[part]
            given = found
        return given

    def _curl(self, line: OperationLine, bodies: Sequence[Body], is_open: bool) -> str:
        parts = [f"curl -X {line.method} '{self.base_url}{line.path}'"]
        if not is_open:
            parts += ['-H "Authorization: DPoP $TOKEN"', '-H "DPoP: $PROOF"']
        if bodies:
            parts.append(f"-H 'Content-Type: {bodies[0].media}'")
            parts.append(f"-d '{bodies[0].example}'" if bodies[0].example else "-d @body")
        return " \\\n  ".join(parts)

    def _command(self, line: OperationLine, bodies: Sequence[Body]) -> str:
        data = f" --data '{bodies[0].example}'" if bodies and bodies[0].example else ""
        return (
            f"sluice client call {line.method} '{line.path}' --client-id ID --key KEY.json "
            f"--url {self.base_url}{data}"
        )


def _has_parts(schema: Json) -> bool:
    return any(schema.get(key) for key in ("properties", "items", "oneOf", "anyOf", "allOf"))


def _type(schema: Json) -> str:
    if "const" in schema:
        return f"= {schema['const']}"
    if "enum" in schema:
        shown = ", ".join(str(each) for each in schema["enum"][:12])
        return f"{shown}, …" if len(schema["enum"]) > 12 else shown
    said = schema.get("type", "")
    name = " | ".join(map(str, said)) if isinstance(said, list) else str(said)
    return f"{name} {schema['pattern']}" if "pattern" in schema else name


def _about(one: Json, schema: Json) -> str:
    limits = [
        f"{name} {schema[name]}"
        for name in ("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems")
        if name in schema
    ]
    told = str(one.get("description", ""))
    return f"{told} ({', '.join(limits)})".strip() if limits else told


def _example(told: Json) -> str:
    example = told.get("example")
    return "" if example is None else json.dumps(example, ensure_ascii=False, default=str)
