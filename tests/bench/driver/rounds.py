"""Rounds: twotx, ours, twotx, and beside them the baseline and the peer, all loads in random order."""

import random

LOADS = [(shape, clients) for shape in ("hot", "spread") for clients in (1, 32)]
# Two samples of twotx that differ by more cannot be compared with ours between them.
TWOTX_DIFFERENCE_MAX = 0.15
# The most further tries of one round of a load.
REPEATS_MAX = 3


def load_name(shape, clients):
    return f"{shape}, {clients} client{'s' if clients > 1 else ''}"


def _difference(rates):
    return max(rates) / min(rates) - 1


def _between_twotx(twotx, ours, shape, clients, repeats_max, say):
    """Returns ours between two samples of twotx that agree; otherwise the try in which they agree best."""
    best = None
    for tries in range(1, repeats_max + 2):
        first = twotx.sample(shape, clients)
        middle = ours.sample(shape, clients)
        last = twotx.sample(shape, clients)
        difference = _difference([first["per_second"], last["per_second"]])
        rates = " → ".join(f"{figures['per_second']:.0f}" for figures in (first, middle, last))
        say(f"{load_name(shape, clients)}: twotx → ours → twotx {rates} joins/s")
        if best is None or difference < best["twotx_difference"]:
            best = {"twotx": [first, last], "ours": [middle], "twotx_difference": round(difference, 3)}
        if difference <= TWOTX_DIFFERENCE_MAX:
            break
        say(f"  the two twotx differ by {difference:.0%}")
    return {**best, "repeats": tries - 1, "steady": best["twotx_difference"] <= TWOTX_DIFFERENCE_MAX}


def measure(twotx, ours, others, wanted, rounds, repeats_max, say):
    """Returns a list of rounds for each load; a round has a list of samples for each contender."""
    # A connection plans each statement once. What it plans while tables are empty, and analyzed as such, serves no load.
    for contender in (ours, *others):
        load = [load for load in wanted if contender.takes(*load)][-1]
        contender.sample(*load)
        say(f"{contender.name} is warm")
    measured = {}
    for number in range(1, rounds + 1):
        say(f"round {number} of {rounds}")
        loads = list(wanted)
        random.shuffle(loads)
        for shape, clients in loads:
            steps = [None, *(other for other in others if other.takes(shape, clients))]
            random.shuffle(steps)
            figures = {}
            for other in steps:
                if other is None:
                    figures |= _between_twotx(twotx, ours, shape, clients, repeats_max, say)
                else:
                    figures[other.name] = [other.sample(shape, clients)]
                    say(f"{load_name(shape, clients)}: {other.name} {figures[other.name][0]['per_second']:.0f} joins/s")
            measured.setdefault((shape, clients), []).append(figures)
    return measured
