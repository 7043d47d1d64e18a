"""Interest rates by year, near what they were: what the emulated vendor discounts with."""

from datetime import date

#: SOFR, on average over the year (before 2018 what an overnight rate was), as fractions.
_SOFR = {
    2012: 0.0016,
    2013: 0.0012,
    2014: 0.0010,
    2015: 0.0014,
    2016: 0.0041,
    2017: 0.0102,
    2018: 0.0184,
    2019: 0.0220,
    2020: 0.0036,
    2021: 0.0004,
    2022: 0.0164,
    2023: 0.0501,
    2024: 0.0515,
    2025: 0.0424,
    2026: 0.0365,
}
_LATER = 0.0350

#: What each rate type adds to SOFR; a term structure that never inverts will do here.
SPREADS = {
    "sofr": 0.0,
    "treasury_m1": 0.0002,
    "treasury_m3": 0.0005,
    "treasury_m6": 0.0008,
    "treasury_y1": 0.0010,
    "treasury_y2": 0.0015,
    "treasury_y3": 0.0020,
    "treasury_y5": 0.0025,
    "treasury_y7": 0.0030,
    "treasury_y10": 0.0035,
    "treasury_y20": 0.0040,
    "treasury_y30": 0.0045,
}


def rate(day: date, rate_type: str = "sofr") -> float:
    """Give the continuous rate of a day as a fraction."""
    return _SOFR.get(day.year, _LATER) + SPREADS[rate_type]


def percent(day: date, rate_type: str = "sofr") -> float:
    """Give the rate of a business day in percent, with the four decimals the interest-rate reply prints.

    It is the rate the greeks of that day are computed with.
    """
    return round(rate(day, rate_type) * 100, 4)
