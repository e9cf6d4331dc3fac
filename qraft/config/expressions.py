"""SQL expressions of the configuration: read, and held to what one row alone can answer.

A step that works row by row must not see other rows: else its result would depend on how the stream is cut. So only what is
known to be computed from one row is let through, and what is let through is tried on a few rows, together and one by one.

This is the only module of the configuration that needs polars, and it loads it only when there is an expression.
"""

from __future__ import annotations

import difflib
import itertools
import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import polars as pl

TIME: Final = "_time"
"""Name under which an expression finds the row's event time, UTC microseconds."""
ENTITY: Final = "_entity"
"""Name under which an expression finds the row's entity."""
RESERVED: Final = ("_index", TIME, ENTITY, "_watermark", "_id")
"""Names that no field may have: they are the frame's own columns."""

_MAX_TRIES: Final = 729
"""Combinations of types tried, which is all of them up to six fields."""

_TOKEN = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|[A-Za-z_]\w*(?:\.\w+)*|.", re.DOTALL)
_CLOCK: Final = frozenset({"now", "current_timestamp", "current_date", "current_time"})

_NODES: Final = frozenset({"Column", "Literal", "BinaryExpr", "Cast", "Ternary", "Function", "Alias"})
"""The kinds of nodes that are computed row by row, if what they hold is."""
_GROUPS: Final = {
    "Boolean": frozenset({"Any", "All", "IsUnique", "IsDuplicated", "IsFirstDistinct", "IsLastDistinct"}),
    "StringExpr": frozenset({"ConcatVertical"}),
    "TemporalExpr": frozenset(),
    "Sql": frozenset(),
    "Bitwise": frozenset({"And", "Or", "Xor"}),
    "Pow": frozenset(),
    "PowExpr": frozenset(),
    "Trigonometry": frozenset(),
    "ListExpr": frozenset(),
}
"""Groups of functions that are computed row by row, each with its exceptions."""
_FUNCTIONS: Final = frozenset(
    {
        "Abs",
        "Atan2",
        "Cbrt",
        "Ceil",
        "Clip",
        "Coalesce",
        "Cot",
        "Degrees",
        "Exp",
        "Expm1",
        "FillNull",
        "Floor",
        "Hypot",
        "Log",
        "Log10",
        "Log1p",
        "Log2",
        "MaxHorizontal",
        "MinHorizontal",
        "Negate",
        "Not",
        "Pow",
        "Radians",
        "Round",
        "RoundSF",
        "Sign",
        "Sqrt",
        "Trunc",
        "Truncate",
    }
)
"""Functions outside the groups that are computed row by row."""

_OTHER_ROWS: Final = 'it looks at other rows; a step of kind "features" has lag, diff and rolling values'
_ALL_ROWS: Final = 'it takes many rows together; a step of kind "window" has count, sum, mean, min, max and the like'
_REFUSED: Final = {
    "Agg": _ALL_ROWS,
    "Len": _ALL_ROWS,
    "Explode": "it makes several rows of one",
    "SubPlan": "it holds a query; only the fields of the row are there",
    "Selector": "it names several fields at once; name one",
    "Min": 'MIN takes many rows together; LEAST compares the fields of a row, a step of kind "window" has min',
    "Max": 'MAX takes many rows together; GREATEST compares the fields of a row, a step of kind "window" has max',
    "StructExpr": 'the fields are flat: write a.b, or "a.b" in quotes',
}
"""What is said of a node; all others look at other rows."""

_KNOWN_FUNCTIONS: Final = (
    "abs",
    "acos",
    "asin",
    "atan",
    "atan2",
    "bit_length",
    "case",
    "cast",
    "cbrt",
    "ceil",
    "coalesce",
    "concat",
    "concat_ws",
    "cos",
    "degrees",
    "ends_with",
    "exp",
    "floor",
    "greatest",
    "ifnull",
    "initcap",
    "least",
    "left",
    "length",
    "ln",
    "log",
    "log10",
    "log1p",
    "log2",
    "lower",
    "ltrim",
    "mod",
    "nullif",
    "octet_length",
    "pi",
    "pow",
    "radians",
    "regexp_like",
    "replace",
    "reverse",
    "right",
    "round",
    "rtrim",
    "sign",
    "sin",
    "split_part",
    "sqrt",
    "starts_with",
    "strpos",
    "substr",
    "tan",
    "try_cast",
    "upper",
)
"""What an unknown name is compared with."""


def parse(text: str) -> pl.Expr:
    """The expression in ``text``: SQL as polars reads it, dotted names such as ``data.price`` being names of fields.

    Raises:
        ValueError: it is no expression, or its value would depend on more than one row; says what would do instead.
    """
    import polars as pl

    tokens = _TOKEN.findall(text)
    if clock := next((token for token in tokens if token.lower() in _CLOCK), None):
        raise ValueError(
            f'{clock} reads the clock, so a replay would differ; "{TIME}" is the row\'s own time in microseconds'
        )
    quoted = "".join(f'"{token}"' if "." in token and (token[0].isalpha() or token[0] == "_") else token for token in tokens)
    try:
        expression = pl.sql_expr(quoted)
        tree = json.loads(_serialized(expression))
    except Exception as error:  # polars has many kinds
        raise ValueError(_parse_error(str(error))) from None
    refused = next(_refused(tree), None)
    if refused is not None:
        raise ValueError(f"not computed from one row: {refused}")
    names = columns(expression)
    if foreign := next((name for name in names if name in RESERVED and name not in (TIME, ENTITY)), None):
        raise ValueError(f'there is no field "{foreign}"; of the row itself only "{TIME}" and "{ENTITY}" can be used')
    return expression


def columns(expression: pl.Expr) -> list[str]:
    """The names that an expression reads, each once, sorted."""
    return sorted(set(expression.meta.root_names()))


def check_value(text: str) -> str:
    """``text``, if it is an expression whose value is a number, text, true or false.

    Raises:
        ValueError: it is not; one sentence.
    """
    return _checked(text, condition=False)


def check_condition(text: str) -> str:
    """``text``, if it is an expression whose value is true or false.

    Raises:
        ValueError: it is not; one sentence.
    """
    return _checked(text, condition=True)


def resolve(
    expression: pl.Expr, known: Mapping[str, pl.DataType | type[pl.DataType]], *, condition: bool = False
) -> dict[str, Any] | None:
    """A type for each field that an expression reads, under which it can be computed; of several, numbers before text.

    Args:
        expression: what `parse` gave.
        known: the types that are known.
        condition: whether the value must be true or false.

    Returns:
        None where there is none.
    """
    return next(_resolutions(expression, known, condition=condition), None)


def usable(dtype: Any) -> bool:
    """Whether a value of this type can be a field: a number, text, true or false, or nothing."""
    import polars as pl

    return dtype.is_numeric() or dtype in (pl.String, pl.Boolean, pl.Null)


def _checked(text: str, *, condition: bool) -> str:
    expression = parse(text)
    failures: list[str] = []
    types = next(_resolutions(expression, {}, condition=condition, failures=failures), None)
    if types is not None:
        _try_rows(expression, types)
    elif 3 ** len(columns(expression)) <= _MAX_TRIES:  # else there are combinations that were not tried
        asked = "true or false" if condition else "a number, text, true or false"
        reason = next((said for said in failures if said.startswith("it gives")), failures[0])
        raise ValueError(f"expected an expression that gives {asked}; {reason}")
    return text


def _resolutions(
    expression: pl.Expr, known: Mapping[str, Any], *, condition: bool, failures: list[str] | None = None
) -> Iterator[dict[str, Any]]:
    """Types under which the expression can be computed; why others are none goes to ``failures``.

    Whether an operation takes a type shows when it is computed only, and then on missing values too.
    """
    import polars as pl

    own = {TIME: pl.Int64, ENTITY: pl.String, **known}
    names = columns(expression)
    choices = [(own[name],) if name in own else (pl.Float64, pl.String, pl.Boolean) for name in names]
    for chosen in itertools.islice(itertools.product(*choices), _MAX_TRIES):
        types = dict(zip(names, chosen, strict=True))
        frame = pl.DataFrame({"_": [0], **{name: [None] for name in names}}, schema={"_": pl.Int64, **types})
        try:
            dtype = frame.select(expression.alias("_")).to_series().dtype
        except Exception as error:  # polars has many kinds
            said = f"computing it fails: {first_line(error)}"
        else:
            if (dtype in (pl.Boolean, pl.Null)) if condition else usable(dtype):
                yield types
                continue
            said = f"it gives {_said(dtype)}"
        if failures is not None:
            failures.append(said)


def _try_rows(expression: pl.Expr, types: Mapping[str, Any]) -> None:
    """Tries the expression on a few rows, together and one by one.

    Raises:
        ValueError: the results differ.
    """
    import polars as pl

    samples: dict[Any, tuple[Any, ...]] = {
        pl.Float64: (1.0, 7.0, None, 2.0, 2.0, 3.0),
        pl.Int64: (1, 7, 8, 2, 2, 3),
        pl.String: ("1", "7", None, "2", "2", "3"),
        pl.Boolean: (True, False, None, True, True, False),
    }
    data = {name: samples[kind][turn:] + samples[kind][:turn] for turn, (name, kind) in enumerate(types.items())}
    frame = pl.DataFrame({"_": range(6), **data}, schema={"_": pl.Int64, **types})

    def values(part: pl.DataFrame) -> list[Any]:
        return part.with_columns(expression.alias("_")).get_column("_").to_list()

    try:
        whole = values(frame)
        parts = [value for at in range(6) for value in values(frame[at : at + 1])]
    except Exception:  # a strict cast may refuse the samples; at run time such a row is a dead letter
        return
    if repr(whole) != repr(parts):
        raise ValueError(f"not computed from one row: {_OTHER_ROWS}")


def _serialized(expression: pl.Expr) -> str:
    return expression.meta.serialize(format="json")


def _refused(node: Any) -> Iterator[str]:
    """What speaks against each part of an expression's tree."""
    if isinstance(node, str):
        yield _REFUSED.get(node, _OTHER_ROWS)
        return
    (kind, content), *_ = node.items()
    if kind == "Agg" and isinstance(content, dict):
        yield _REFUSED.get(next(iter(content)), _ALL_ROWS)
    elif kind not in _NODES:
        yield _REFUSED.get(kind, _OTHER_ROWS)
    elif kind == "BinaryExpr":
        yield from itertools.chain(_refused(content["left"]), _refused(content["right"]))
    elif kind == "Ternary":
        yield from itertools.chain.from_iterable(_refused(content[part]) for part in ("predicate", "truthy", "falsy"))
    elif kind == "Cast":
        yield from _refused(content["expr"])
    elif kind == "Alias":
        yield from _refused(content[0])
    elif kind == "Function":
        yield from _refused_function(content["function"])
        yield from itertools.chain.from_iterable(map(_refused, content["input"]))


def _refused_function(function: Any) -> Iterator[str]:
    name, inner = (function, None) if isinstance(function, str) else next(iter(function.items()))
    if name in _GROUPS:
        one = inner if isinstance(inner, str) else next(iter(inner), "") if isinstance(inner, dict) else ""
        if one in _GROUPS[name]:
            yield _ALL_ROWS
    elif name not in _FUNCTIONS:
        yield _REFUSED.get(name, _OTHER_ROWS)


def _parse_error(said: str) -> str:
    said = said.partition("\n")[0]
    if found := re.match(r"unsupported function '(\w+)'", said):
        close = difflib.get_close_matches(found[1].lower(), _KNOWN_FUNCTIONS, 1, 0.5)
        return f"unknown function {found[1]}" + (f'; did you mean "{close[0]}"?' if close else "")
    return f"not a valid SQL expression: {said}"


def first_line(error: BaseException) -> str:
    """The first line of an error's text, which is where polars says what is wrong."""
    return str(error).partition("\n")[0][:200] or type(error).__name__


def _said(dtype: Any) -> str:
    if dtype.is_numeric():
        return "a number"
    return {"String": "text", "Boolean": "true or false"}.get(str(dtype), f"a value of type {str(dtype).split('(')[0]}")
