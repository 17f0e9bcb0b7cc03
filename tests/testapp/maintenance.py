"""Tasks that the tests run."""

from __future__ import annotations

import os
import signal
from datetime import timedelta
from time import sleep
from typing import Any

from django import forms
from django.db.models import F

from tests.testapp.clock import clock
from tests.testapp.ledger import ledger
from tests.testapp.models import Call, Country, Effect, Item, Note
from upkeep import (
    Batches,
    Discard,
    Handle,
    Job,
    Quarantine,
    Retry,
    Skip,
    Task,
    parameter,
    throttle,
)
from upkeep.exceptions import WorkerLost
from upkeep.forms import CSVField
from upkeep.models import Run
from upkeep.tasks import policies
from upkeep.tasks.collections.files import CSVFile


class CountUp(Task):
    """Add one to every item, and write each effect down in the ledger."""

    def collection(self) -> Any:
        return Item.objects.all()

    def process(self, item: Item) -> None:
        Effect.objects.create(item=item.pk)
        Item.objects.filter(pk=item.pk).update(n=F("n") + 1)


class CountUpTo(CountUp):
    """Add one to the items up to a key; an item beyond it raises."""

    up_to: int = parameter(forms.IntegerField())

    def process(self, item: Item) -> None:
        super().process(item)
        if item.pk > self.up_to:
            raise ValueError(f"{item.pk} is beyond {self.up_to}")


class CountUpOutside(CountUp):
    """The same as CountUp, without transactions."""

    atomic = False


class CountUpByNight(CountUp):
    """The same as CountUp, but not while there is a country `open`."""

    @throttle(backoff=timedelta(minutes=5), every=timedelta(0))
    def shop_is_open(self) -> str | None:
        """Wait for the guests to go."""
        is_open = Country.objects.filter(code="open").exists()
        return "It has guests." if is_open else None


class Numbers(Task):
    """Walk a sequence."""

    concurrency = None

    def collection(self) -> Any:
        return range(1, 8)

    def process(self, number: int) -> None:
        Effect.objects.create(item=number)


class ImportItems(Task):
    """Make an item of each row of a file."""

    csv_file: CSVFile = parameter(CSVField())

    def collection(self) -> Any:
        return self.csv_file

    def process(self, row: dict[str, str]) -> None:
        Item.objects.create(name=row["name"], n=int(row["n"]))


class ImportItemsInBatches(Task):
    """Make the items of a file, some rows at a time."""

    csv_file: CSVFile = parameter(CSVField())

    def collection(self) -> Any:
        return self.csv_file.in_batches(3)

    def process(self, rows: list[dict[str, str]]) -> None:
        Item.objects.bulk_create(
            Item(name=row["name"], n=int(row["n"])) for row in rows
        )


class Report(Job):
    """Count the items."""

    def perform(self) -> dict[str, int]:
        self.log("Counting …")
        return {"items": Item.objects.count()}


class CountUpInChunks(CountUp):
    """The same as CountUp, in chunks of ten where a test has stopped the clock."""

    def process(self, item: Item) -> None:
        super().process(item)
        if item.pk % 10 == 0:
            clock.tick()


class CountUpHeldOnce(CountUpInChunks):
    """The same, held for a moment behind the first chunk, whatever becomes of it."""

    @throttle(backoff=timedelta(seconds=2))
    def gate(self) -> bool:
        """Hold until the row says that it has held."""
        is_told = Run.objects.filter(throttled_by="gate").exists()
        return Effect.objects.count() == 10 and not is_told


class CountUpAndTell(CountUpInChunks):
    """The same as CountUpInChunks, with a line in the log for each hook."""

    def after_start(self) -> None:
        self.log("after_start")

    def after_complete(self) -> None:
        self.log("after_complete")


class Slowly(Task):
    """Walk numbers, so many seconds each."""

    numbers: int = parameter(forms.IntegerField())
    seconds: float = parameter(forms.FloatField(initial=0.05))

    def collection(self) -> Any:
        return range(self.numbers)

    def process(self, number: int) -> None:
        Effect.objects.create(item=number)
        sleep(self.seconds)


class InTurns(Slowly):
    """The same as Slowly, giving the worker back again and again."""

    time_budget = timedelta(seconds=0.2)


class CountSlowly(Task):
    """Walk a sequence for ten seconds, so that there is time to steer it."""

    concurrency = None

    def collection(self) -> Any:
        return range(200)

    def process(self, number: int) -> None:
        sleep(0.05)
        Effect.objects.create(item=number)


class Confide(Task):
    """Take a secret, log it, and fail with it."""

    story: str = parameter(forms.CharField(required=False))
    api_key: str = parameter(forms.CharField(initial="hush-hush"))
    masked = ("story",)

    def collection(self) -> Any:
        return [self.story]

    def process(self, story: str) -> None:
        self.log(f"I know: {story}")
        raise ValueError(f"{story} is out, and so is {self.api_key}")


class Doze(Job):
    """Have an effect, and then nothing for a minute."""

    def perform(self) -> None:
        Effect.objects.create(item=0)
        sleep(60)


class CountUpAgain(CountUpInChunks):
    """The same over dead letters, some of which fail anew, each in its own way."""

    on_error = [
        Retry(OSError, attempts=3, wait=timedelta(0)),
        Quarantine(ValueError),
        Handle(KeyError, "mend"),
        Discard(OSError),
    ]
    errors = {5: ValueError("no"), 9: KeyError("no"), 13: OSError("no")}
    skips = 20

    def process(self, item: Item) -> None:
        if item.pk == self.skips:
            raise Skip
        super().process(item)
        if error := self.errors.get(item.pk):
            raise error

    def mend(self, error: KeyError, item: Item) -> None:
        super().process(item)


class CountUpOverPoison(CountUp):
    """Count up; the item of one key ends the process, whoever comes to it."""

    poison = 11

    def process(self, item: Item) -> None:
        super().process(item)
        if item.pk == self.poison:
            os.kill(os.getpid(), signal.SIGKILL)


class QuarantinePoison(CountUpOverPoison):
    """The same, where the run is to go on without that item."""

    on_error = [Quarantine(WorkerLost)]


class WalkPoison(CountUpOverPoison):
    """The same, where already the collection ends the process."""

    on_error = [Quarantine(WorkerLost)]

    def collection(self) -> Any:
        if self.poison:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().collection()


class ReadNotes(Task):
    """Fetch each note and do nothing with it."""

    def collection(self) -> Any:
        return Note.objects.all()

    def process(self, note: Note) -> None:
        pass


# Of several kinds, for workers that come to grief


class CountUpInChunksOutside(CountUpInChunks):
    """The same as CountUpInChunks, without transactions."""

    atomic = False


class Noted:
    """Hooks that write down that they were called."""

    def after_start(self) -> None:
        self._note("after_start")

    def after_pause(self) -> None:
        self._note("after_pause")

    def after_interrupt(self) -> None:
        self._note("after_interrupt")

    def after_complete(self) -> None:
        self._note("after_complete")

    def after_discard(self) -> None:
        self._note("after_discard")

    def after_error(self, error: BaseException | None) -> None:
        self._note("after_error")

    def _note(self, hook: str) -> None:
        Call.objects.create(name=hook, process=os.getpid())


class CountUpWithRules(Noted, CountUpInChunks):
    """The same, with items that fail, each of which is dealt with in its own way."""

    on_error = [
        Retry(OSError, attempts=3, wait=timedelta(0)),
        Quarantine(ValueError),
        Handle(KeyError, "mend"),
        Discard(OSError),
        policies.Report(TypeError),
    ]
    errors = {
        5: ValueError,
        6: ValueError,
        9: KeyError,
        13: OSError,
        17: TypeError,
        30: ValueError,
    }
    skips = 20
    goes_well_at_last = 23

    def process(self, item: Item) -> None:
        if item.pk == self.skips:
            raise Skip
        ledger.note(item.pk)
        super().process(item)
        if error := self.errors.get(item.pk):
            raise error("no")
        if item.pk == self.goes_well_at_last and ledger.count(item.pk) < 3:
            raise OSError("not yet")

    def mend(self, error: KeyError, item: Item) -> None:
        super().process(item)


class CountUpWithRulesOutside(CountUpWithRules):
    """The same, without transactions."""

    atomic = False


class CountUpThroughTrouble(Noted, CountUpInChunks):
    """The same, with long waits, a pause, and an error that a person has to mend."""

    on_error = [
        Retry(OSError, attempts=3, wait=timedelta(hours=1)),
        Quarantine(OSError),
    ]
    fails, pauses, needs_a_person, goes_well_at_last = 5, 8, 12, 18

    def process(self, item: Item) -> None:
        ledger.note(item.pk)
        super().process(item)
        if item.pk == self.fails:
            raise OSError("no")
        if item.pk == self.pauses and self.run:
            Run.objects.get(pk=self.run.pk).pause(by="ada")
        if item.pk == self.needs_a_person and not self.is_mended():
            raise RuntimeError("no")
        if item.pk == self.goes_well_at_last and ledger.count(item.pk) < 3:
            raise OSError("not yet")

    def is_mended(self) -> bool:
        return Country.objects.filter(code="mended").exists()


class CountUpThroughTroubleOutside(CountUpThroughTrouble):
    """The same, without transactions."""

    atomic = False


class CountUpInBatches(Noted, CountUp):
    """Add one to the items of batch after batch, some of which fail, or do at first."""

    on_error = [Retry(OSError, attempts=5, wait=timedelta(0)), Quarantine(ValueError)]
    poison = {6, 29}
    goes_well_at_last = {7: 3, 18: 3}

    def collection(self) -> Any:
        return Batches(Item.objects.all(), size=4)

    def process(self, batch: Any) -> None:
        for item in batch:
            ledger.note(item.pk)
            super().process(item)
            if item.pk % 12 == 0:
                clock.tick()
            if item.pk in self.poison:
                raise ValueError("no")
            if ledger.count(item.pk) < self.goes_well_at_last.get(item.pk, 0):
                raise OSError("not yet")


class CountUpInBatchesOutside(CountUpInBatches):
    """The same, without transactions."""

    atomic = False


class CountUpByFile(Noted, Task):
    """Add one to each item that a file names; a row that names none is kept."""

    csv_file: CSVFile = parameter(CSVField())
    on_error = [Quarantine(ValueError)]

    def collection(self) -> Any:
        return self.csv_file

    def process(self, row: dict[str, str]) -> None:
        ledger.note(row["name"])
        key = int(row["name"])
        Effect.objects.create(item=key)
        Item.objects.filter(pk=key).update(n=F("n") + 1)
        if key % 10 == 0:
            clock.tick()


class CountAllUp(Noted, Job):
    """Add one to some items in one step, which goes well when it is tried again."""

    on_error = [Retry(OSError, attempts=3, wait=timedelta(0))]

    def perform(self) -> dict[str, int]:
        ledger.note("")
        for key in range(1, 5):
            Effect.objects.create(item=key)
            Item.objects.filter(pk=key).update(n=F("n") + 1)
        if ledger.count("") < 3:
            raise OSError("not yet")
        return {"items": 4}


class CountAllUpAtOnce(CountAllUp):
    """The same in a transaction."""

    atomic = True


class CountAllUpInVain(CountAllUp):
    """The same, which is tried again after a long wait, and never goes well."""

    atomic = True
    on_error = [
        Retry(OSError, attempts=2, wait=timedelta(hours=1)),
        Quarantine(OSError),
    ]

    def perform(self) -> dict[str, int]:
        super().perform()
        raise OSError("no")
