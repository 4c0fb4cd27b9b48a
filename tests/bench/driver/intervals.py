"""95% intervals of ratios: from pairs of rounds, and from calls made in turn."""

import math
import random
import statistics

# Two-sided quantiles of Student's t by degrees of freedom from 1 on; beyond these the normal distribution is close enough.
T_95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
        2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042)
RESAMPLES = 1000


def of_rounds(ratios):
    """Returns the interval of the geometric mean of the rounds' ratios; None for fewer than two."""
    if len(ratios) < 2 or min(ratios) <= 0:
        return None
    logs = [math.log(ratio) for ratio in ratios]
    t = T_95[len(logs) - 2] if len(logs) - 2 < len(T_95) else 1.96
    mean, half = statistics.fmean(logs), t * statistics.stdev(logs) / math.sqrt(len(logs))
    return math.exp(mean - half), math.exp(mean + half)


def of_medians(dividends, divisors):
    """Returns the interval of the ratio of two medians, by bootstrap over calls that were made in turn."""
    source = random.Random(1)
    turns, ratios = range(min(len(dividends), len(divisors))), []
    for _ in range(RESAMPLES):
        drawn = source.choices(turns, k=len(turns))
        above = statistics.median(dividends[turn] for turn in drawn)
        ratios.append(above / statistics.median(divisors[turn] for turn in drawn))
    ratios.sort()
    return ratios[round(0.025 * RESAMPLES)], ratios[round(0.975 * RESAMPLES) - 1]
