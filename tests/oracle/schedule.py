#!/usr/bin/python3
"""Compares coordinator/schedule.c with an oracle that shares nothing with it: Python's zoneinfo, and every minute looked at.

    schedule.py SLOTS_PROGRAM [--zones N] [--windows N] [--seed S]

Windows of some days lie around changes of clocks, 1970 to 2100, and anywhere; patterns are drawn at random. Without --zones: the hard zones and some others; --zones 0: all of them."""
import argparse
import calendar
import random
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo, available_timezones

UTC = timezone.utc
EPOCH = datetime(1970, 1, 1)
HARD = ["UTC", "Europe/Berlin", "Europe/Dublin", "America/New_York", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia",
        "Pacific/Kiritimati", "Africa/Casablanca", "Africa/Monrovia", "Antarctica/Troll", "Asia/Gaza", "Asia/Pyongyang",
        "Asia/Tehran", "America/Godthab", "America/Sao_Paulo", "Asia/Kathmandu", "Pacific/Chatham", "America/Caracas",
        "Europe/Lisbon", "Antarctica/Casey", "Asia/Manila", "Africa/Juba", "America/Santiago"]
MONTHS = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split()
DAYS = "SUN MON TUE WED THU FRI SAT".split()


def expand(field, low, high, names):
    """A field without L and # as a set."""
    out = set()
    for item in field.split(","):
        item, _, step = item.partition("/")
        if item == "*":
            first, last = low, high
        else:
            ends = [names.index(e) + (1 if names is MONTHS else 0) if e in (names or []) else int(e) for e in item.split("-")]
            first, last = ends[0], ends[-1] if len(ends) > 1 or not step else high
        out |= set(range(first, last + 1, int(step or 1)))
    return out


class Pattern:
    def __init__(self, text):
        minute, hour, day, month, weekday = text.split()
        self.minutes, self.hours = expand(minute, 0, 59, None), expand(hour, 0, 23, None)
        self.months = expand(month, 1, 12, MONTHS)
        self.every_hour = hour == "*"
        self.any_day, self.any_weekday = day[0] == "*", weekday[0] == "*"
        self.last = "L" in day.split(",")
        plain = ",".join(i for i in day.split(",") if i != "L")
        self.days = expand(plain, 1, 31, None) if plain else set()
        plain = ",".join(i for i in weekday.split(",") if "#" not in i and not i.endswith("L"))
        self.weekdays = {d % 7 for d in expand(plain, 0, 6 if plain.startswith("*") else 7, DAYS)} if plain else set()
        number = lambda name: DAYS.index(name) if name in DAYS else int(name) % 7
        self.nth = {(number(i.split("#")[0]), int(i.split("#")[1])) for i in weekday.split(",") if "#" in i}
        self.lasts = {number(i[:-1]) for i in weekday.split(",") if i.endswith("L")}

    def day(self, date):
        length = calendar.monthrange(date.year, date.month)[1]
        weekday = (date.weekday() + 1) % 7
        by_day = date.day in self.days or (self.last and date.day == length)
        by_weekday = (weekday in self.weekdays or (weekday, (date.day + 6) // 7) in self.nth
                      or (weekday in self.lasts and date.day + 7 > length))
        both = self.any_day or self.any_weekday
        return date.month in self.months and ((by_day and by_weekday) if both else (by_day or by_weekday))


def seconds(moment):
    delta = moment - EPOCH
    return delta.days * 86400 + delta.seconds


def offset(zone, utc):
    local = (EPOCH + timedelta(seconds=utc)).replace(tzinfo=UTC).astimezone(zone)
    return seconds(local.replace(tzinfo=None)) - utc


def instants(zone, local):
    """All instants at which clocks show `local`: by both folds, and only if it comes back."""
    found = set()
    for fold in (0, 1):
        aware = local.replace(tzinfo=zone, fold=fold)
        utc = seconds(local) - round(aware.utcoffset().total_seconds())
        if seconds(local) - utc == offset(zone, utc):
            found.add(utc)
    return sorted(found)


def after_gap(zone, local):
    """The first instant that shows a later time than `local`, which is skipped: by halving."""
    low, high = seconds(local) - 50 * 3600, seconds(local) + 50 * 3600
    middle = seconds(local) - round(local.replace(tzinfo=zone, fold=0).utcoffset().total_seconds())
    low, high = middle - 26 * 3600, middle + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if middle + offset(zone, middle) > seconds(local) else (middle, high)
    return high


def slots(pattern, zone, after, until):
    found = set()
    day = (EPOCH + timedelta(seconds=after - 27 * 3600)).replace(hour=0, minute=0, second=0)
    while seconds(day) <= until + 27 * 3600:
        if pattern.day(day):
            for hour in pattern.hours:
                for minute in pattern.minutes:
                    local = day.replace(hour=hour, minute=minute)
                    at = instants(zone, local)
                    if not at and not pattern.every_hour:
                        at = [after_gap(zone, local)]
                    found.update(at if pattern.every_hour else at[:1])
        day += timedelta(days=1)
    return sorted(s for s in found if after < s <= until)


def changes(zone):
    out, before = [], None
    for day in range(0, 130 * 365 + 31, 7):
        now = offset(zone, day * 86400)
        if before is not None and now != before:
            out.append((day - 4) * 86400)
        before = now
    return out


def draw_field(rng, low, high, names):
    def value():
        number = rng.randint(low, high)
        return names[(number - (1 if names is MONTHS else 0)) % 7 if names is DAYS else number - 1] if names and rng.random() < .3 else str(number)

    kind = rng.random()
    if kind < .35:
        return "*"
    if kind < .5:
        return f"*/{rng.randint(1, high)}"
    if kind < .75:
        return ",".join(value() for _ in range(rng.randint(1, 3)))
    first, last = sorted((rng.randint(low, high), rng.randint(low, high)))
    return f"{first}-{last}" + (f"/{rng.randint(1, 5)}" if rng.random() < .5 else "")


def draw(rng):
    minute = draw_field(rng, 0, 59, None) if rng.random() < .3 else str(rng.randint(0, 59))
    hour = rng.choice(["*", "0", "1", "2", "3", "23", "1-3", "0,2", draw_field(rng, 0, 23, None)])
    day, month, weekday = "*", "*", "*"
    if rng.random() < .3:
        day = rng.choice(["L", "1,L", "15", draw_field(rng, 1, 28, None)])
    if rng.random() < .2:
        month = draw_field(rng, 1, 12, MONTHS)
    if rng.random() < .4:
        weekday = rng.choice(["0#1", "SUN#2", "0L", "SUNL", "7L,3#1", "7", draw_field(rng, 0, 6, DAYS)])
    return f"{minute} {hour} {day} {month} {weekday}"


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("program")
    arguments.add_argument("--zones", type=int, default=6)
    arguments.add_argument("--windows", type=int, default=8)
    arguments.add_argument("--seed", type=int, default=1)
    options = arguments.parse_args()
    rng = random.Random(options.seed)
    others = sorted(z for z in available_timezones() if not z.startswith(("posix/", "right/")) and z not in ("Factory", "localtime"))
    names = others if options.zones == 0 else HARD + rng.sample(others, options.zones)
    questions, answers = [], []
    for name in names:
        zone = ZoneInfo(name)
        around = changes(zone)
        for _ in range(options.windows):
            start = rng.choice(around) if around and rng.random() < .85 else rng.randrange(0, 4102444800)
            after, until = start - rng.randrange(0, 5 * 86400), start + rng.randrange(86400, 12 * 86400)
            text = draw(rng)
            questions.append(f"{name}\t{after}\t{until}\t{text}")
            answers.append(slots(Pattern(text), zone, after, until))
    said = subprocess.run([options.program], input="\n".join(questions) + "\n", capture_output=True, text=True, check=True)
    lines = said.stdout.splitlines()
    assert len(lines) == len(questions), f"{len(lines)} answers to {len(questions)} questions"
    wrong = 0
    for question, line, right in zip(questions, lines, answers):
        if line.startswith("! ") and not right and "no such day" in line:
            continue
        got = [int(s) for s in line.split()] if not line.startswith("!") else line
        if got != right:
            wrong += 1
            only = (sorted(set(got) - set(right))[:3], sorted(set(right) - set(got))[:3]) if isinstance(got, list) else got
            print(f"{question}: only here {only[0]}, only in the oracle {only[1]}" if isinstance(got, list) else f"{question}: {got}")
    count = sum(len(a) for a in answers)
    print(f"{len(questions)} windows in {len(names)} zones, {count} slots, {wrong} wrong")
    sys.exit(1 if wrong or count < 1000 else 0)


main()
