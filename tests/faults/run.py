"""`python -m tests.faults.run`: the long form of the fault suite; scripts/faults.sh says more."""

import argparse
import json
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tests.faults.inputs import Inputs
from tests.faults.rounds import Event, Killing
from tests.faults.subjects import SUBJECTS

HEAD = "| subject | kills | starts | in a write | partial files | orphans | failed starts | ends equal | minutes |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Kill what is asked for, and print the table; status 1 where anything was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.run", description=__doc__)
    parser.add_argument("--subjects", nargs="+", choices=list(SUBJECTS), default=list(SUBJECTS), metavar="NAME")
    parser.add_argument("--kills", type=int, required=True, help="of each subject")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    options.output.mkdir(parents=True, exist_ok=True)
    log = options.output.resolve() / f"kills-seed{options.seed}.jsonl"
    for position, name in enumerate(options.subjects):
        kill(name, options.kills, options.seed, log, left_after=len(options.subjects) - position - 1)
    events = read(log)
    print("\n" + table(events), flush=True)
    if not all(event.good for event in events):
        sys.exit(1)


def kill(name: str, kills: int, seed: int, log: Path, *, left_after: int = 0) -> None:
    """Go on to so many kills of one subject."""
    earlier = [event for event in read(log) if event.subject == name]
    done = before = sum(event.killed for event in earlier)
    if done >= kills:
        return
    started, base = time.monotonic(), log.parent
    killing = Killing(SUBJECTS[name], Inputs(base / "inputs"), base / name, seed)
    print(f"[{name}] undisturbed: {killing.undisturbed.seconds:.0f} s", flush=True)
    for event in killing.events(kills - done, first=len(earlier)):
        with log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(event)) + "\n")
        done += event.killed
        minutes = (time.monotonic() - started) / 60
        left = minutes / max(1, done - before) * (kills - done + left_after * kills)
        print(f"[{name}] {_told(event)}; {done} of {kills} kills, about {left:.0f} min left", flush=True)


def read(log: Path) -> list[Event]:
    """The events so far; a last line without an end was being written when the run was stopped."""
    if not log.is_file():
        return []
    text = log.read_text(encoding="utf-8")
    return [Event(**json.loads(line)) for line in text[: text.rfind("\n") + 1].splitlines()]


def table(events: Sequence[Event]) -> str:
    """Markdown: a row for each subject and one for all."""
    rows = [HEAD, "|---|" + "---|" * (HEAD.count("|") - 2)]
    names = list(dict.fromkeys(event.subject for event in events))
    for name in [*names, *(["all"] if len(names) > 1 else [])]:
        mine = [event for event in events if name in (event.subject, "all")]
        ends = [event for event in mine if event.differing is not None]
        cells = [
            name,
            sum(event.killed for event in mine),
            len(mine),
            sum(event.killed and event.moment["kind"] == "write" for event in mine),
            sum(len(event.partial) for event in mine),
            sum(event.orphans for event in mine),
            sum(bool(event.failure) for event in mine),
            f"{sum(not event.differing for event in ends)} of {len(ends)}",
            f"{sum(event.seconds for event in mine) / 60:.1f}",
        ]
        rows.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(rows)


def _told(event: Event) -> str:
    if event.killed:
        told = f"killed after {event.seconds:.1f} s ({event.moment['kind']} {event.moment['after']:.3g})"
    else:
        told = event.failure or ("ended as undisturbed" if not event.differing else f"differs: {event.differing}")
    more = [f"partial: {event.partial}"] if event.partial else []
    return "; ".join([told, *more, *([f"{event.orphans} orphans"] if event.orphans else [])])


if __name__ == "__main__":
    main()
