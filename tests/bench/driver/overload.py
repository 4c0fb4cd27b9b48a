"""Ten times the load: the throughput that remains of the peak, and how soon the rest is refused."""

from .homeroom import Homeroom
from .lines import Line

# The numbers of clients with which the peak is searched for.
PEAK_CLIENTS = (32, 100, 320)
PEAK_CLIENTS_QUICK = (32, 320)
TIMES = 10
# Enough that no connection runs out of streams, and each loop's calls reach the services.
CONNECTIONS = 16
ROUNDS_MAX = 3
SHAPES = ("hot", "spread")
SHAPES_QUICK = ("spread",)
GOODPUT_GOAL = (">=", 0.9, 0.95)
REFUSAL_GOAL = ("<=", 10, 10)


def measure(world, homeroom, say):
    """Measures the peak, then ten times its clients, then ten times its rate, all with the same codes."""
    quick = world.options.quick
    shapes = SHAPES_QUICK if quick else SHAPES
    measured = {shape: [] for shape in shapes}
    for _ in range(min(world.options.rounds, ROUNDS_MAX)):
        for shape in shapes:
            with homeroom.serving():
                codes = homeroom.codes(shape)
                crowd = lambda clients: _loaded(
                    homeroom, lambda: homeroom.load(codes, clients, "--connections", CONNECTIONS)
                )
                found = {clients: crowd(clients) for clients in (PEAK_CLIENTS_QUICK if quick else PEAK_CLIENTS)}
                clients = max(found, key=lambda number: found[number]["per_second"])
                peak = found[clients]
                of_clients = crowd(clients * TIMES)
                of_rate = _loaded(homeroom, lambda: _flood(homeroom, codes, peak["per_second"] * TIMES))
            measured[shape].append(
                {"peak": peak, "peak_clients": clients, "to_find_it": found, "clients": of_clients, "rate": of_rate}
            )
            rates = [f"{figures['per_second']:.0f}" for figures in (peak, of_clients, of_rate["answers"])]
            say(f"overload, {shape}: peak {rates[0]} joins/s at {clients} clients; {rates[1]} at {TIMES} times the "
                f"clients, {rates[2]} at {TIMES} times the rate")
    return [line for shape in shapes for line in _lines(shape, measured[shape])], measured


def _flood(homeroom, codes, rate):
    load = ["load", "open", *homeroom.target(codes), "--rate", round(rate), "--seconds", homeroom.world.options.seconds]
    return homeroom.world.sample(homeroom.components(), lambda: homeroom.world.client(*load))


def _loaded(homeroom: Homeroom, load):
    """Runs a load against the services, and checks that nothing was lost or counted twice."""
    homeroom.settle()
    before = homeroom.counts()
    figures = load()
    homeroom.check_counts(before, figures.get("answers", figures), refusals=True)
    return figures


def _lines(shape, rounds):
    group = f"overload, {shape}"
    peak = [figures["peak"]["per_second"] for figures in rounds]
    lines = [
        Line(group, "joins/s at the peak", "/s", peak),
        Line(group, "clients at the peak", "", [figures["peak_clients"] for figures in rounds]),
    ]
    for name, title in (("clients", f"{TIMES} × the clients"), ("rate", f"{TIMES} × the rate")):
        answers = [figures[name].get("answers", figures[name]) for figures in rounds]
        goodput = [figures["per_second"] / of_peak for figures, of_peak in zip(answers, peak)]
        lines.append(Line(group, f"goodput ÷ peak, {title}", "×", goodput, GOODPUT_GOAL))
        for quantile in ("p50", "p99"):
            if shed := [figures[f"shed_{quantile}_ms"] for figures in answers if figures[f"shed_{quantile}_ms"]]:
                goal = REFUSAL_GOAL if quantile == "p99" else None
                lines.append(Line(group, f"{quantile} of the time to refuse, {title}", "ms", shed, goal))
        for reason in sorted({reason for figures in answers for reason in figures["refusals"]}):
            counts = [figures["refusals"].get(reason, 0) for figures in answers]
            lines.append(Line(group, f"answers {reason[:40]}, {title}", "", counts))
    unsent = [100 * figures["rate"]["unsent"] / max(1, figures["rate"]["offered"]) for figures in rounds]
    lines.append(Line(group, "of the rate not sent, as too many were unanswered", "%", unsent))
    return lines
