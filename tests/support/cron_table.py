"""cron_table.py - writes tests/unit/cron_table.h: due times worked out without awaitd's code.

Every second (or minute) after the given time is tried in turn: is it, on the zone's clock as
Python's zoneinfo shows it, one that the expression names? Run it by hand after changing a case:
python3 tests/support/cron_table.py > tests/unit/cron_table.h
"""

import datetime
import re
import textwrap
import zoneinfo

UTC = datetime.timezone.utc
RANGES = [(0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6)]
NAMES = {name: str(number) for number, name in enumerate(
    "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split(), 1)}
NAMES |= {name: str(number) for number, name in enumerate(
    "SUN MON TUE WED THU FRI SAT".split())}

# expression, zone, after (UTC), how many due times
CASES = [
    ("* * * * *", "UTC", "2026-01-01T00:00:00", 3),
    ("*/15 * * * *", "UTC", "2026-01-01T00:07:30", 5),
    ("7,37 9-17/4 * * *", "UTC", "2026-01-01T00:00:00", 8),
    ("*/1 * * * * *", "UTC", "2026-01-01T00:00:59", 3),
    ("10-20/5,58 59 23 31 12 *", "UTC", "2026-12-31T23:59:00", 5),
    ("30/10 0 0 * * *", "UTC", "2026-01-01T00:00:00", 4),
    ("0 0 29 2 *", "UTC", "2025-01-01T00:00:00", 3),
    ("0 0 29 FEB ?", "UTC", "2096-03-01T00:00:00", 2),
    ("0 12 31 * *", "UTC", "2026-01-15T00:00:00", 8),
    ("0 12 L * *", "UTC", "2027-12-15T00:00:00", 14),
    ("30 6 15,L 2,4 *", "UTC", "2027-12-15T00:00:00", 6),
    ("0 0 13 * FRI", "UTC", "2026-01-01T00:00:00", 8),
    ("0 0 */2 * MON", "UTC", "2026-01-01T00:00:00", 8),
    ("0 0 1 * */2", "UTC", "2026-01-01T00:00:00", 5),
    ("0 0 ? JUN-AUG 7", "UTC", "2026-01-01T00:00:00", 6),
    ("0 8 * * mon-fri", "UTC", "2026-01-01T12:00:00", 7),
    ("0 8 * * SAT-SUN", "UTC", "2026-01-01T12:00:00", 5),
    ("5 4 1 JAN,jul *", "UTC", "2026-01-01T12:00:00", 4),
    ("59 23 * * 0,7", "UTC", "2026-01-01T12:00:00", 3),
    ("0 9 * * *", "Asia/Kolkata", "2026-01-01T12:00:00", 3),
    ("0 0 1 1 *", "Asia/Tokyo", "2026-01-01T12:00:00", 2),
    # Berlin: 2026-03-29 02:00 -> 03:00, 2026-10-25 03:00 -> 02:00
    ("30 2 * * *", "Europe/Berlin", "2026-03-27T12:00:00", 4),
    ("30 2 * * *", "Europe/Berlin", "2026-10-23T12:00:00", 4),
    ("0,15,30,45 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00", 7),
    ("0,15,30,45 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00", 7),
    ("30 1-4 * * *", "Europe/Berlin", "2026-03-28T22:00:00", 6),
    ("30 1-4 * * *", "Europe/Berlin", "2026-10-24T22:00:00", 6),
    ("0 3 * * *", "Europe/Berlin", "2026-03-28T00:00:00", 3),
    ("0 2,3 * * *", "Europe/Berlin", "2026-03-28T12:00:00", 4),
    ("30 * * * *", "Europe/Berlin", "2026-03-28T23:00:00", 5),
    ("30 * * * *", "Europe/Berlin", "2026-10-24T22:00:00", 6),
    ("*/20 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00", 7),
    ("*/20 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00", 8),
    ("5,10 30 2 29 3 *", "Europe/Berlin", "2026-03-20T12:00:00", 3),
    ("30 2 29 3 ?", "Europe/Berlin", "2025-12-01T00:00:00", 3),
    # after the last change a fat file lists: the rule at its end
    ("30 2 * * *", "Europe/Berlin", "2050-03-26T12:00:00", 3),
    ("30 2 * * *", "Europe/Berlin", "2050-10-29T12:00:00", 3),
    ("0 0 * * *", "Europe/Berlin", "2099-12-31T12:00:00", 2),
    # New York: 2026-03-08 02:00 -> 03:00, 2026-11-01 02:00 -> 01:00
    ("30 2 * * *", "America/New_York", "2026-03-06T12:00:00", 4),
    ("30 1 * * *", "America/New_York", "2026-10-30T12:00:00", 4),
    ("30 1 * * *", "America/New_York", "2026-11-01T05:45:00", 2),
    ("*/30 * * * *", "America/New_York", "2026-11-01T04:30:00", 7),
    ("*/30 * * * *", "America/New_York", "2026-03-08T06:00:00", 5),
    ("0 2 8-14 3 SUN", "America/New_York", "2026-02-01T12:00:00", 8),
    # Lord Howe changes by half an hour: 2026-04-05 02:00 -> 01:30, 2026-10-04 02:00 -> 02:30
    ("45 1 * * *", "Australia/Lord_Howe", "2026-04-03T00:00:00", 4),
    ("15 2 * * *", "Australia/Lord_Howe", "2026-10-02T00:00:00", 4),
    ("*/15 * * * *", "Australia/Lord_Howe", "2026-04-04T14:00:00", 9),
    ("*/15 * * * *", "Australia/Lord_Howe", "2026-10-03T15:00:00", 6),
    ("15 2 * * *", "Australia/Lord_Howe", "2060-10-01T00:00:00", 4),
    # Midnight itself is skipped; a whole day is skipped; winter time is the exception of the law
    ("0 0 * * *", "America/Santiago", "2026-09-05T00:00:00", 3),
    ("0 12 * * *", "Pacific/Apia", "2011-12-28T00:00:00", 3),
    ("30 1 * * *", "Europe/Dublin", "2026-03-28T00:00:00", 3),
    ("30 1 * * *", "Europe/Dublin", "2040-10-27T12:00:00", 3),
    ("0 6 * * *", "Africa/Casablanca", "2026-02-13T12:00:00", 4),
    ("0 6 * * *", "America/Nuuk", "2045-03-24T12:00:00", 3),
]


def members(field, bounds):
    found = set()
    for piece in field.split(","):
        for name, number in NAMES.items():
            piece = re.sub(name, number, piece, flags=re.IGNORECASE)
        if piece == "L":
            found.add("L")
            continue
        base, _, step = piece.partition("/")
        low, dash, high = base.partition("-")
        if base in "*?":
            low, high = bounds
        elif not dash:
            high = bounds[1] if step else low
        low, high = int(low), int(high)
        if bounds == RANGES[5] and high == 0 < low:
            high = 7
        found |= {value % 7 if bounds == RANGES[5] else value
                  for value in range(low, high + 1, int(step or 1))}
    return found


class Expression:
    def __init__(self, text):
        fields = text.split()
        if len(fields) == 5:
            fields.insert(0, "0")
        self.sets = [members(field, bounds) for field, bounds in zip(fields, RANGES)]
        self.free_days = fields[3][0] in "*?" or fields[5][0] in "*?"
        self.runs_through = "*" in (fields[0][0], fields[1][0], fields[2][0])

    def names(self, local):
        second, minute, hour, day, month, weekday = self.sets
        if (local.second not in second or local.minute not in minute or local.hour not in hour
                or local.month not in month):
            return False
        last = (local + datetime.timedelta(days=1)).month != local.month
        of_month = local.day in day or ("L" in day and last)
        of_week = local.isoweekday() % 7 in weekday
        return of_month and of_week if self.free_days else of_month or of_week


def skipped(before, after):
    """The times that the clock goes past from one instant to the next, one step later."""
    one = datetime.timedelta(seconds=1)
    local = before + one
    while local < after:
        yield local
        local += one


def due_times(expression, zone, after, count):
    """Walks through real time; `seen` are the local times that have been served."""
    expression = Expression(expression)
    zone = zoneinfo.ZoneInfo(zone)
    by_second = expression.sets[0] != {0}
    step = datetime.timedelta(seconds=1 if by_second else 60)
    instant = after.replace(tzinfo=UTC)
    # the hours before count for what has been served already, not for what is due
    walk = instant - datetime.timedelta(hours=4)
    walk = walk.replace(second=0)
    latest = walk.astimezone(zone).replace(tzinfo=None) - step
    moved = step
    due = []
    while len(due) < count:
        local = walk.astimezone(zone).replace(tzinfo=None)
        if expression.runs_through:
            found = expression.names(local)
        else:
            found = local > latest and expression.names(local)
            if not found and local > latest + moved:
                found = any(expression.names(gone) for gone in skipped(latest, local))
            latest = max(latest, local)
        if found and walk > instant:
            due.append(int(walk.timestamp()))
        moved = jump(expression, local, step)
        walk += moved
    return due


def jump(expression, local, step):
    """Far from any match, days and minutes are passed over quickly."""
    day = datetime.timedelta(days=1)
    midnight = local.replace(hour=0, minute=0, second=0)
    if all(not any_time(expression, midnight + day * ahead) for ahead in range(-2, 4)):
        return day
    if step.seconds == 1 and local.second == 0 and local.minute not in expression.sets[1]:
        return datetime.timedelta(minutes=1)
    return step


def any_time(expression, midnight):
    second, minute, hour = (min(values) for values in expression.sets[:3])
    return expression.names(midnight.replace(hour=hour, minute=minute, second=second))


def main():
    print("/* cron_table.h - made by tests/support/cron_table.py: due times (Unix seconds) that "
          "Python's\n * zoneinfo and patience found. */")
    for expression, zone, after, count in CASES:
        after = datetime.datetime.fromisoformat(after)
        begin = int(after.replace(tzinfo=UTC).timestamp())
        times = due_times(expression, zone, after, count)
        text = textwrap.fill(", ".join(f"{time}" for time in times), 90, subsequent_indent="  ")
        print(f'{{"{expression}", "{zone}", {begin},\n {{{text}}}}},')


if __name__ == "__main__":
    main()
