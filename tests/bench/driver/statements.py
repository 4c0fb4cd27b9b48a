"""Counts the work of one redemption in PostgreSQL, before its answer and after it."""

import json

from . import processes
from .processes import Failure

# The warm-up of the load client's command, which pg_stat_statements counts too.
WARM_UP_REDEMPTIONS = 50
# A statement below this share belongs to no single redemption.
CALLS_EACH_MIN = 0.4


def measure(world, homeroom):
    """Returns round trips, statements and commits of one redemption by one client."""
    homeroom.start()
    codes = homeroom.codes("hot")
    homeroom.stop()
    postgres = world.postgres
    postgres.psql("postgres", "create extension if not exists pg_stat_statements", "select pg_stat_statements_reset()")
    for database in homeroom.databases.values():
        postgres.psql(database, "vacuum (analyze)")
        postgres.psql("postgres", f"alter database {database} set pg_stat_statements.track = 'top'")
    ports = {service: processes.free_port() for service in homeroom.databases}
    quick = world.options.quick
    redemptions = 10 if quick else 50
    words = ["statements", *homeroom.target(codes), "--redemptions", redemptions]
    words += ["--after-seconds", 0.25 if quick else 0.5]
    for port in ports.values():
        words += ["--proxy", f"127.0.0.1:{port}=127.0.0.1:{postgres.port}"]
    output = world.folder / f"{world.new_name()}.json"
    client = processes.start([world.binaries / "homeroom-bench", *words], output)
    try:
        processes.wait_until("the proxies listen", lambda: all(map(processes.accepts, ports.values())), client)
        homeroom.start(postgres_ports=ports)
        client.wait(timeout=300)
    finally:
        if homeroom.running:
            homeroom.stop()
        processes.stop(client)
        for database in homeroom.databases.values():
            postgres.psql("postgres", f"alter database {database} reset pg_stat_statements.track")
    if client.returncode != 0:
        raise Failure(f"the statement counter failed: {output.read_text()[-3000:]}")
    figures = json.loads(output.read_text())
    figures["statements"] = _statements(postgres, homeroom, WARM_UP_REDEMPTIONS + redemptions)
    return figures


def _statements(postgres, homeroom, redemptions):
    """Returns the statements of one redemption as pg_stat_statements counted them."""
    rows = postgres.psql(
        "postgres",
        f"""
        select datname, calls / {redemptions}.0, rows / {redemptions}.0, mean_exec_time,
               regexp_replace(query, '\\s+', ' ', 'g')
        from pg_stat_statements join pg_database on oid = dbid
        where datname in ('{"', '".join(homeroom.databases.values())}') and calls >= {CALLS_EACH_MIN} * {redemptions}
        order by datname, calls desc, query
        """,
    )
    names = ("database", "calls_each", "rows_each", "mean_ms", "query")
    return [
        {name: value if name in ("database", "query") else round(float(value), 3) for name, value in zip(names, row)}
        for row in rows
    ]
