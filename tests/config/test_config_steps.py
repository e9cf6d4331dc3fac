"""The steps of a source: each mistake in one is a sentence with line and key; expressions are held to one row."""

from __future__ import annotations

import subprocess
import sys

import pytest

from qraft.config import ConfigError, Problem, parse
from qraft.config.expressions import check_condition, check_value

HEAD = '[sources.t]\nadapter = "file"\npath = "x.csv"\n'


def problem(steps: str) -> Problem:
    with pytest.raises(ConfigError) as caught:
        parse(HEAD + steps)
    (one,) = caught.value.problems
    return one


VALID = """
[[sources.t.steps]]
do = "select"
fields = ["price", "cpu.*"]

[[sources.t.steps]]
do = "rename"
fields = { size = "q" }

[[sources.t.steps]]
do = "cast"
[sources.t.steps.fields]
code = "string"
at = "time"

[[sources.t.steps]]
do = "derive"
fields = { mid = "(bid + ask) / 2", "rel.spread" = "(book.ask - book.bid) / mid" }

[[sources.t.steps]]
do = "filter"
expression = "mid > 0 AND kind IN ('trade', 'quote') AND note IS NULL"

[[sources.t.steps]]
do = "entity"
fields = ["exchange", "symbol"]

[[sources.t.steps]]
do = "entity"
expression = "SPLIT_PART(symbol, '-', 1)"

[[sources.t.steps]]
do = "fill"
fields = ["bid"]
max_age = "30s"
max_rows = 10

[[sources.t.steps]]
do = "fill"
fields = ["size"]
value = 0
"""


def test_valid_steps_are_read_as_written() -> None:
    steps = parse(HEAD + VALID).sources["t"].steps
    assert [step.do for step in steps] == [
        "select",
        "rename",
        "cast",
        "derive",
        "filter",
        "entity",
        "entity",
        "fill",
        "fill",
    ]
    assert steps[3].model_dump()["fields"]["rel.spread"] == "(book.ask - book.bid) / mid"


DOS = ["select", "rename", "cast", "derive", "filter", "entity", "fill", "window", "features"]
STEP = "[[sources.t.steps]]\n"
KINDS = ", ".join(f'"{name}"' for name in DOS)
WINDOW = 'a step of kind "window" has count, sum, mean, min, max and the like'
FEATURES = 'a step of kind "features" has lag, diff and rolling values'
MISTAKES = [
    # steps, line, key, message
    (
        STEP + 'do = "filtr"',
        5,
        "sources.t.steps[0].do",
        f'unknown step "filtr"; expected one of {KINDS}; did you mean "filter"?',
    ),
    (
        STEP + 'expression = "x > 1"',
        4,
        "sources.t.steps[0]",
        f"do is missing; expected one of {KINDS}",
    ),
    (STEP + 'do = "filter"', 4, "sources.t.steps[0].expression", "is required and missing"),
    (
        STEP + 'do = "select"\nfields = ["x"]\n' + STEP + 'do = "filter"\nexpresion = "x > 1"\nexpression = "x > 1"',
        9,
        "sources.t.steps[1].expresion",
        'unknown key; did you mean "expression"?',
    ),
    (
        STEP + 'do = "filter"\nexpression = "price > "',
        6,
        "sources.t.steps[0].expression",
        "not a valid SQL expression: unable to parse 'price > ' as Expr, got \"price > \"",
    ),
    (
        STEP + 'do = "derive"\n[sources.t.steps.fields]\na = "x + 1"\nb = "AVG(a)"',
        8,
        "sources.t.steps[0].fields.b",
        f'not computed from one row: it takes many rows together; {WINDOW}, got "AVG(a)"',
    ),
    (
        STEP
        + 'do = "derive"\nfields = { y = "x" }\n'
        + '[[sources.t.steps]]\ndo = "derive"\nfields = { "a b" = "LAG(x) OVER (ORDER BY t)" }',
        9,
        'sources.t.steps[1].fields."a b"',
        f'not computed from one row: it looks at other rows; {FEATURES}, got "LAG(x) OVER (ORDER BY t)"',
    ),
    (
        STEP + 'do = "derive"\nfields = { _id = "x" }',
        6,
        "sources.t.steps[0].fields._id",
        'this name is taken by the row itself (_index, _time, _entity, _watermark, _id); expected another, got "_id"',
    ),
    (
        STEP + 'do = "cast"\nfields = { x = "flot" }',
        6,
        "sources.t.steps[0].fields.x",
        'expected one of "float", "string", "bool", "time", got "flot"; did you mean "float"?',
    ),
    (STEP + 'do = "entity"', 4, "sources.t.steps[0]", "expected either fields or expression"),
    (
        STEP + 'do = "fill"\nfields = ["x"]',
        4,
        "sources.t.steps[0]",
        "expected either value (a constant), or max_age or max_rows (the previous value)",
    ),
    (
        STEP + 'do = "fill"\nfields = ["x"]\nvalue = [1]',
        7,
        "sources.t.steps[0].value",
        "expected a number or true or false or text in quotes, got [1]",
    ),
    (
        STEP + 'do = "fill"\nfields = ["x"]\nmax_age = "soon"',
        7,
        "sources.t.steps[0].max_age",
        'expected a duration such as "500ms", "10s", "5m", "1h" or "1d", got "soon"',
    ),
    (STEP + 'do = "select"\nfields = ["x", 3]', 6, "sources.t.steps[0].fields[1]", "expected text in quotes, got 3"),
    (
        'steps = [{ do = "select", fields = ["x"] }, { do = "filter", expression = "x" , y = 1 }]',
        4,
        "sources.t.steps[1].y",
        "unknown key; known here: do, expression",
    ),
]


@pytest.mark.parametrize(
    ("steps", "line", "key", "message"), MISTAKES, ids=[f"{key}-{n}" for n, (_, _, key, _) in enumerate(MISTAKES)]
)
def test_a_mistake_names_line_key_and_remedy(steps: str, line: int, key: str, message: str) -> None:
    assert problem(steps) == Problem("config.toml", line, key, message)


BAD = [
    ("coalese(a, 0)", 'unknown function coalese; did you mean "coalesce"?'),
    ("foo(a)", "unknown function foo"),
    ("a, b", "not a valid SQL expression"),
    ("", "not a valid SQL expression"),
    ("*", "not a valid SQL expression"),
    ("SELECT a FROM b", "not a valid SQL expression"),
    ("COUNT(*)", 'step of kind "window"'),
    ("SUM(a) / COUNT(a)", 'step of kind "window"'),
    ("1 + MEDIAN(a)", 'step of kind "window"'),
    ("CASE WHEN a > 1 THEN STDDEV(b) END", 'step of kind "window"'),
    ("ABS(FIRST_VALUE(a))", 'step of kind "window"'),
    ("MIN(a)", "LEAST compares the fields of a row"),
    ("a > MAX(a)", "GREATEST compares the fields of a row"),
    ("QUANTILE_CONT(a, 0.5)", 'step of kind "features"'),
    ("SUM(a) OVER (PARTITION BY b)", 'step of kind "features"'),
    ("ROW_NUMBER() OVER ()", 'step of kind "features"'),
    ("RANK() OVER (ORDER BY a)", 'step of kind "features"'),
    ("LEAD(a) OVER (ORDER BY b) - a", 'step of kind "features"'),
    ("UNNEST(a)", "makes several rows of one"),
    ("EXISTS (SELECT 1)", "holds a query"),
    ("COLUMNS('a.*')", "names several fields"),
    ('"^a.*$" + 1', "names several fields"),
    ("a -> 'b'", "the fields are flat"),
    ("NOW()", "reads the clock"),
    ("a > CURRENT_TIMESTAMP", "reads the clock"),
    ("_index + 1", 'there is no field "_index"'),
    ("CAST(a AS DATE)", "it gives a value of type Date"),
    ("INTERVAL '1 day'", "it gives a value of type Duration"),
    ("EXTRACT(HOUR FROM a)", "computing it fails: `hour` operation not supported"),
]


@pytest.mark.parametrize(("text", "said"), BAD, ids=[text for text, _ in BAD])
def test_what_is_not_computed_from_one_row_is_refused(text: str, said: str) -> None:
    for check in (check_value, check_condition):
        with pytest.raises(ValueError, match=r"\w") as caught:
            check(text)
        assert said in str(caught.value)
        assert "\n" not in str(caught.value)


GOOD = [
    "a + b * 2",
    "book.bids.0.0 - book.asks.0.0",
    '"odd name" / 2',
    "CASE WHEN side = 'buy' THEN size ELSE -size END",
    "COALESCE(a, b, 0)",
    "LEAST(a, b, c, d, e, f, g, h, i, j)",
    "LN(a) + LOG10(b) + SQRT(ABS(c)) + POW(d, 2) + EXP(e) + SIN(f)",
    "a % 3 + ROUND(b, 2) + FLOOR(c) + CEIL(d) + SIGN(e)",
    "UPPER(a) || '/' || LOWER(b)",
    "LENGTH(TRIM(a)) + STRPOS(a, 'x')",
    "TRY_CAST(a AS DOUBLE)",
    "CAST(a AS INT) + 1",
    "(_time - sent) / 1e6",
    "IF(a > 1, 'high', 'low')",
    "NULLIF(a, 0)",
    "1",
]
CONDITIONS = [
    "a > 1 AND NOT b",
    "kind = 'trade' OR kind IN ('quote', 'book.update')",
    "a BETWEEN 1 AND 2",
    "name LIKE '%SUM(x)%' AND note NOT LIKE 'now()'",
    "a IS NULL OR b IS NOT NULL",
    "REGEXP_LIKE(name, '^cpu[0-9]+$')",
    "_entity <> 'test' AND live",
    "'now' = state",
]


@pytest.mark.parametrize("text", GOOD)
def test_what_is_computed_from_one_row_is_taken(text: str) -> None:
    assert check_value(text) == text


@pytest.mark.parametrize(("text", "gives"), [("a + b", "a number"), ("UPPER(a)", "text"), ("IF(a > 1, 'x', 'y')", "text")])
def test_a_condition_is_true_or_false(text: str, gives: str) -> None:
    with pytest.raises(ValueError, match=f"expected an expression that gives true or false; it gives {gives}"):
        check_condition(text)


@pytest.mark.parametrize("text", CONDITIONS)
def test_conditions(text: str) -> None:
    assert check_condition(text) == text
    assert check_value(text) == text


def test_polars_is_loaded_for_expressions_only() -> None:
    program = (
        "import sys\nfrom qraft.config import parse\nfrom qraft.pipeline import Pipeline\n"
        'Pipeline(parse(\'[sources.a]\\nadapter = "host"\\n[[sources.a.steps]]\\ndo = "select"\\nfields = ["x"]\'))\n'
        "assert 'polars' not in sys.modules\n"
        'parse(\'[sources.a]\\nadapter = "host"\\n[[sources.a.steps]]\\ndo = "filter"\\nexpression = "x > 1"\')\n'
        "assert 'polars' in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr
