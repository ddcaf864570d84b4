#!/usr/bin/env python3
"""Put what fault says it did beside what the probes of an experiment measured.

    journal.py [journal.json]

fault's own words are the last line of what run_proxy returns: how many delays
there were, and how long; a connection may have one in its connect and one
behind it. The probes measured how long their
connections took, before run_proxy and during it; the difference is what their
users waited. Exit code 1: the two differ by more than 5 %, nothing was delayed,
or an activity failed, on which Chaos Toolkit itself does not insist.
"""

import argparse
import json
import sys
from datetime import datetime
from statistics import mean

TOLERANCE = 0.05


def proxies(runs: list[dict]) -> list[tuple[int, dict]]:
    """The runs of the proxy that ended well: where they are, and their summary."""
    found = []
    for at, run in enumerate(runs):
        output = run.get("output")
        if run["activity"].get("provider", {}).get("func") != "run_proxy" or not output:
            continue
        last = output[1].rstrip("\n").rsplit("\n", 1)[-1]
        if last.startswith('{"event":"summary"'):
            found.append((at, json.loads(last)))
    return found


def seconds(run: dict) -> list[float]:
    """What a probe measured: of Python a list `seconds`, of curl lines of %{time_total}."""
    output = run.get("output")
    if run["activity"]["type"] != "probe" or not isinstance(output, dict):
        return []
    if "seconds" in output:
        return output["seconds"]
    try:
        return [float(line) for line in output["stdout"].split()]
    except (KeyError, ValueError):
        return []


def measured(runs: list[dict], at: int, ended: datetime) -> tuple[list[float], list[float]]:
    """What was measured before a run of the proxy, and while it was there."""
    before = [s for run in runs[:at] for s in seconds(run)]
    during = []
    for run in runs[at + 1:]:
        if run["activity"].get("provider", {}).get("func") == "stop_proxy":
            break
        if "end" in run and datetime.fromisoformat(run["end"]) <= ended:
            during += seconds(run)
    return before, during


def delayed(summary: dict) -> tuple[int, float]:
    """How many delays there were, and how many ms they are together."""
    injected = [f["injected"] for f in summary["faults"] if "mean_ms" in f["injected"]]
    return sum(i["n"] for i in injected), sum(i["n"] * i["mean_ms"] for i in injected)


def agree(runs: list[dict], at: int, summary: dict) -> bool:
    n, said = delayed(summary)
    ended = datetime.fromisoformat(summary["time"].replace("Z", "+00:00"))
    before, during = measured(runs, at, ended)
    usual = mean(before) if before else 0.0
    waited = 1000 * sum(s - usual for s in during)
    print(f"fault:  {summary['flows']['matched']} connections matched, {n} delays of {said / n if n else 0:.1f} ms"
          f" in the mean; ended by {summary['reason']}")
    print(f"probes: {len(during)} measured, {len(before)} without it; they waited {waited / 1000:.3f} s longer in all,"
          f" of which fault says {said / 1000:.3f} s")
    return n > 0 and abs(waited - said) <= TOLERANCE * said


def main() -> int:
    flags = argparse.ArgumentParser(description="Put what fault says beside what the probes measured.")
    flags.add_argument("journal", nargs="?", default="journal.json")
    with open(flags.parse_args().journal, encoding="utf-8") as file:
        journal = json.load(file)
    runs = journal["run"]
    problems = [f"`{run['activity']['name']}` {run.get('status', 'has not ended')}"
                for run in runs if run.get("status") != "succeeded"]
    found = proxies(runs)
    if not found:
        problems.append("no run of the proxy in the journal has ended with a summary")
    if not all([agree(runs, at, summary) for at, summary in found]):
        problems.append(f"they differ by more than {TOLERANCE:.0%}")
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
