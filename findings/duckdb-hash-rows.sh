#!/usr/bin/env bash
# DuckDB leaves out the rows of a CSV file whose first cell begins with "#", if
# the column holds numbers or dates otherwise.
#
# Guessed: a cell that is no number makes the column a column of texts, as
#   "G-7" does. CSV has no comments, and the documentation says that read_csv
#   has no comment sign by default.
# Happens: the sniffer tries "#" as the sign of a comment, too, and keeps it if
#   the first column is a number or a date without these rows. There is no error
#   and no warning. all_varchar=true does not bring them back; comment='' does.
# Versions: duckdb 2.0.1, pandas 3.1.1, polars 2.1.0.
# Matters: a spreadsheet writes a failed lookup as #N/A. In any other column
#   such a row stays; in the first one the student is missing in the roster, and
#   an import that removes who is absent removes them.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check \
  duckdb==2.0.1 pandas==3.1.1 polars==2.1.0 >&2

recorded="20 rows with a number, one with 'G-7', as id
  duckdb: 21 rows, VARCHAR; Guest is there
  pandas: 21 rows; Guest is there
  polars: 21 rows; Guest is there
20 rows with a number, one with '#N/A', as id
  duckdb: 20 rows, BIGINT; Guest is missing
  duckdb, all_varchar=true: 20 rows, VARCHAR; Guest is missing
  duckdb, comment='': 21 rows, VARCHAR; Guest is there
  pandas: 21 rows; Guest is there
  polars: 21 rows; Guest is there
20 rows with a date, one with '#N/A', as joined
  duckdb: 20 rows, DATE; Guest is missing
the same in the second column
  duckdb: 21 rows, VARCHAR; Guest is there"

cat >"$scratch/roster.py" <<'PY'
import os
import sys
import warnings

import duckdb
import pandas
import polars

warnings.simplefilter("error")
os.chdir(sys.argv[1])


def show(name, rows, kind=""):
    guest = "there" if any("Guest" in row for row in rows) else "missing"
    print(f"  {name}: {len(rows)} rows{kind}; Guest is {guest}")


def by_duckdb(column, option=""):
    read = duckdb.sql(f"from read_csv('roster.csv'{', ' + option if option else ''})")
    kind = read.types[read.columns.index(column)]
    show(f"duckdb{', ' + option if option else ''}", read.fetchall(), f", {kind}")


def by_others():
    # Ids as texts, since #N/A is a missing value to pandas otherwise.
    show("pandas", list(pandas.read_csv("roster.csv", dtype=str).itertuples(index=False)))
    show("polars", polars.read_csv("roster.csv", infer_schema=False).rows())


def write(column, value, last, second=False):
    cells = [(value(i), f"Student {i}") for i in range(20)] + [(last, "Guest")]
    with open("roster.csv", "w") as file:
        for first, name in [(column, "name"), *cells]:
            file.write(f"{name},{first}\n" if second else f"{first},{name}\n")


number = lambda i: 20001 + i  # noqa: E731
date = lambda i: f"2026-09-{i + 1:02}"  # noqa: E731
print("20 rows with a number, one with 'G-7', as id")
write("id", number, "G-7")
by_duckdb("id")
by_others()
print("20 rows with a number, one with '#N/A', as id")
write("id", number, "#N/A")
by_duckdb("id")
by_duckdb("id", "all_varchar=true")
by_duckdb("id", "comment=''")
by_others()
print("20 rows with a date, one with '#N/A', as joined")
write("joined", date, "#N/A")
by_duckdb("joined")
print("the same in the second column")
write("joined", date, "#N/A", second=True)
by_duckdb("joined")
PY

seen=$(timeout 90 "$scratch/venv/bin/python" "$scratch/roster.py" "$scratch") || true
printf '%s\n' "$seen"
[ "$seen" = "$recorded" ] || { printf 'changed; recorded was:\n%s\n' "$recorded"; exit 1; }
echo "as recorded"
