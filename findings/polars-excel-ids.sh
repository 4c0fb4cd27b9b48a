#!/usr/bin/env bash
# polars.read_excel loses ids that hold a letter when none of the first 100
# does.
#
# Guessed: a column of numbers in which a text turns up later becomes a column
#   of texts, as in pandas, or an error, as in polars.read_csv of the same rows.
# Happens: the type is decided by the first 100 rows. What does not fit it
#   afterwards becomes null, without an error or a warning; the rows stay.
# Versions: polars 2.1.0 with fastexcel 0.21.0 (the default engine), pandas 3.1.1
#   with openpyxl 3.1.5; the file is written by XlsxWriter 3.3.1.
# Matters: school ids that are numbers, but for guests ("G-7") at the end of the
#   sheet: tests with a class pass, and in the roster of a school these have no
#   id, or all of them one. schema_overrides or infer_schema_length=None keeps
#   them.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check \
  polars==2.1.0 fastexcel==0.21.0 XlsxWriter==3.3.1 pandas==3.1.1 openpyxl==3.1.5 >&2

recorded='90 numbers, then 10 guests
  polars.read_excel: 0 of 100 without id; the last is G-10
  polars.read_csv: 0 of 100 without id; the last is G-10
  pandas.read_excel: 0 of 100 without id; the last is G-10
200 numbers, then 10 guests
  polars.read_excel: 10 of 210 without id; the last is None
  polars.read_csv: ComputeError
  pandas.read_excel: 0 of 210 without id; the last is G-10
  polars.read_excel, all rows looked at: 0 of 210 without id; the last is G-10'

cat >"$scratch/roster.py" <<'PY'
import csv
import sys
import warnings

import pandas
import polars
import xlsxwriter

folder = sys.argv[1]
warnings.simplefilter("error")


def show(name, read):
    try:
        ids = read()
        print(f"  {name}: {sum(i is None for i in ids)} of {len(ids)} without id; the last is {ids[-1]}")
    except Exception as error:
        print(f"  {name}: {type(error).__name__}")


for numbers in (90, 200):
    print(f"{numbers} numbers, then 10 guests")
    ids = [20000 + i for i in range(numbers)] + [f"G-{i}" for i in range(1, 11)]
    rows = [("id", "name"), *((i, f"Student {i}") for i in ids)]
    sheet, text = f"{folder}/{numbers}.xlsx", f"{folder}/{numbers}.csv"
    with xlsxwriter.Workbook(sheet) as book:
        page = book.add_worksheet()
        for number, row in enumerate(rows):
            page.write_row(number, 0, row)
    with open(text, "w", newline="") as file:
        csv.writer(file).writerows(rows)
    show("polars.read_excel", lambda: polars.read_excel(sheet)["id"].to_list())
    show("polars.read_csv", lambda: polars.read_csv(text)["id"].to_list())
    show("pandas.read_excel", lambda: pandas.read_excel(sheet)["id"].to_list())
show(
    "polars.read_excel, all rows looked at",
    lambda: polars.read_excel(sheet, infer_schema_length=None)["id"].to_list(),
)
PY

seen=$(timeout 90 "$scratch/venv/bin/python" "$scratch/roster.py" "$scratch") || true
printf '%s\n' "$seen"
[ "$seen" = "$recorded" ] || { printf 'changed; recorded was:\n%s\n' "$recorded"; exit 1; }
echo "as recorded"
