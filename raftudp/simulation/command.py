"""`raftudp simulate`: how a user convinces themselves."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TextIO

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from raftudp.simulation.plants import Caught, Missed, Plant, all_plants
from raftudp.simulation.runner import Failed, Report, describe, run_plants, run_seeds
from raftudp.simulation.settings import FAULTS, Settings
from raftudp.simulation.story import line
from raftudp.simulation.world import World

SEEDS_DEFAULT = 100
FAILURES_SHOWN = 3


def parse_faults(text: str) -> tuple[str, ...]:
    """A list of faults, `all` or `none`; raises click.BadParameter with the known ones."""
    if text in ("all", "none"):
        return FAULTS if text == "all" else ()
    names = tuple(sorted({name.strip() for name in text.split(",") if name.strip()}))
    unknown = [name for name in names if name not in FAULTS]
    if unknown:
        raise click.BadParameter(
            f"unknown fault {', '.join(unknown)}; choose all, none, or from {', '.join(FAULTS)}"
        )
    return names


@click.command(
    epilog="Examples: raftudp simulate --seeds 500; raftudp simulate --plant all; "
    "raftudp simulate --replay 17 --trace run.txt"
)
@click.option("--seeds", default=SEEDS_DEFAULT, show_default=True, type=click.IntRange(1))
@click.option("--first-seed", default=0, show_default=True, type=click.IntRange(0))
@click.option("--servers", default="3", show_default=True, type=click.Choice(["1", "3", "5", "7"]))
@click.option(
    "--seconds",
    default=20,
    show_default=True,
    type=click.IntRange(1, 3600),
    help="Simulated seconds of each seed in which faults occur.",
)
@click.option(
    "--rate",
    default=50,
    show_default=True,
    type=click.IntRange(1, 10_000),
    help="Operations a simulated second.",
)
@click.option(
    "--faults",
    default="all",
    show_default=True,
    metavar="LIST",
    help=f"all, none, or some of: {', '.join(FAULTS)}. Each seed draws a subset of them.",
)
@click.option("--plant", metavar="BUG|all", help="Plant a known bug, or each in turn.")
@click.option("--replay", type=click.IntRange(0), metavar="SEED", help="Run one seed, by itself.")
@click.option(
    "--trace",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="With --replay: write every event of the run there.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1),
    help="Processes at a time; the result does not depend on it.  [default: one a processor]",
)
@click.option(
    "--time-limit",
    type=click.IntRange(1),
    metavar="SECONDS",
    help="Begin no further seeds after so many real seconds.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def simulate(
    seeds: int,
    first_seed: int,
    servers: str,
    seconds: int,
    rate: int,
    faults: str,
    plant: str | None,
    replay: int | None,
    trace: Path | None,
    jobs: int | None,
    time_limit: int | None,
    as_json: bool,
) -> None:
    """Run whole clusters in this process, with faults, from seeds, and check every step.

    The core, the store, the replica and the client session are the real ones; network, clocks and
    the life of processes are simulated. One seed gives one run, byte for byte.

    Exit status: 0 clean, 1 a safety violation, 2 stuck after all faults had ended, 3 a crash of
    the program. With --plant: 0 only if every planted bug was caught.
    """
    settings = Settings(int(servers), seconds, rate, parse_faults(faults))
    if trace is not None and replay is None:
        raise click.UsageError("--trace goes with --replay SEED")
    jobs = jobs or os.cpu_count() or 1
    if plant is not None:
        sys.exit(_plant(plant, first_seed, jobs, as_json))
    if replay is not None:
        sys.exit(_replay(settings, replay, trace, as_json))
    started = time.monotonic()
    report = Report()
    with _progress("seeds", seeds, as_json) as progress:
        task = progress.add_task("", total=seeds)
        for outcome in run_seeds(settings, first_seed, seeds, jobs):
            report.add(outcome)
            progress.update(task, advance=1)
            is_late = time_limit is not None and time.monotonic() > started + time_limit
            if is_late or len(report.failed) >= FAILURES_SHOWN:
                break
    _print_report(report, settings, time.monotonic() - started, as_json)
    sys.exit(report.status)


def _progress(what: str, total: int, as_json: bool) -> Progress:
    console = Console(stderr=True)
    return Progress(
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=as_json or not console.is_terminal or total == 0,
    )


def _print_report(report: Report, settings: Settings, real_s: float, as_json: bool) -> None:
    total = report.total
    for failed in report.failed:
        _print_failure(failed, settings, sys.stderr)
    if as_json:
        fields = {
            "seeds": total.seeds,
            "servers": settings.servers,
            "digest": report.digest,
            "leaders": total.leaders,
            "commits": total.commits,
            "crashes": total.crashes,
            "returns": total.returns,
            "messages_lost": total.messages_lost,
            "simulated_s": round(total.simulated_us / 1e6, 3),
            "real_s": round(real_s, 3),
            "violations": len(report.failed),
        }
        click.echo(json.dumps(fields))
        return
    simulated_s = total.simulated_us / 1e6
    rows = (
        ("seeds", f"{total.seeds:,} of {settings.servers} servers"),
        ("leaders elected", f"{total.leaders:,}"),
        ("writes committed", f"{total.commits:,}"),
        ("operations", f"{total.operations:,}, of them {total.unknown:,} of unknown outcome"),
        ("crashes", f"{total.crashes:,}"),
        ("returns", f"{total.returns:,}"),
        ("messages", f"{total.messages:,}, of them {total.messages_lost:,} lost"),
        ("histories searched", f"{total.searched:,}, of them {total.undecided:,} undecided"),
        ("time", f"{simulated_s:,.0f} s simulated in {real_s:,.1f} s"),
        ("digest", report.digest),
        ("violations", str(len(report.failed))),
    )
    for name, value in rows:
        click.echo(f"{name:20}{value}")


def _print_failure(failed: Failed, settings: Settings, out: TextIO) -> None:
    for text in failed.story:
        click.echo(text, file=out)
    click.echo(f"seed {failed.seed}: {failed.failure.name.lower()}: {failed.message}", file=out)
    click.echo(f"replay it: {replay_command(settings, failed.seed)} --trace FILE", file=out)


def replay_command(settings: Settings, seed: int) -> str:
    """The shortest command that runs this seed again."""
    default = Settings()
    options = [f"raftudp simulate --replay {seed}"]
    if settings.servers != default.servers:
        options.append(f"--servers {settings.servers}")
    if settings.seconds != default.seconds:
        options.append(f"--seconds {settings.seconds}")
    if settings.rate != default.rate:
        options.append(f"--rate {settings.rate}")
    if settings.faults != default.faults:
        options.append(f"--faults {','.join(settings.faults) or 'none'}")
    return " ".join(options)


def _replay(settings: Settings, seed: int, trace: Path | None, as_json: bool) -> int:
    """One seed in this process, with its whole story kept if it is wanted."""
    started = time.monotonic()
    world = World(settings, seed, keep_story=trace is not None)
    report = Report()
    try:
        report.add(world.run())
    except Exception as error:  # any end of a run is a result here
        story = tuple(line(event) for event in world.story)[-60:]
        report.add(Failed(seed, *describe(error), story))
    if trace is not None:
        with trace.open("w", encoding="utf-8") as file:
            file.writelines(f"{line(event)}\n" for event in world.story)
    _print_report(report, settings, time.monotonic() - started, as_json)
    return report.status


def _plant(name: str, first_seed: int, jobs: int, as_json: bool) -> int:
    """Plants one bug, or each in turn, and says what caught it."""
    known = all_plants()
    chosen = [plant for plant in known if name in ("all", plant.name)]
    if not chosen:
        names = ", ".join(plant.name for plant in known)
        raise click.BadParameter(f"no such bug as {name}; choose all, or from {names}")
    missed = 0
    with _progress("bugs", len(chosen), as_json) as progress:
        task = progress.add_task("", total=len(chosen))
        for plant, outcome in run_plants(chosen, first_seed, jobs):
            missed += isinstance(outcome, Missed)
            progress.update(task, advance=1)
            _print_plant(plant, outcome, as_json)
    return 1 if missed else 0


def _print_plant(plant: Plant, outcome: Caught | Missed, as_json: bool) -> None:
    if as_json:
        fields: dict[str, object] = {"plant": plant.name, "caught": isinstance(outcome, Caught)}
        if isinstance(outcome, Caught):
            fields |= {"check": outcome.check, "seed": outcome.seed, "seeds": outcome.seeds}
        click.echo(json.dumps(fields))
    elif isinstance(outcome, Caught):
        where = f"at seed {outcome.seed} after {outcome.seeds} seeds"
        click.echo(f"{plant.name} caught by {outcome.check} {where}")
    else:
        click.echo(f"{plant.name} MISSED")
