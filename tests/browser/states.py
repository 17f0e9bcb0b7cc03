"""
Every page in every state that a person may meet: one list for tests and pictures.

A state lays out its data in a database that is otherwise empty, and is then opened.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.models import Permission, User
from django.core.files.base import ContentFile
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page

from tests.registering import registered
from upkeep.execution.claim import Claim
from upkeep.runs.dead_letters import DeadLetter
from upkeep.runs.events import Event
from upkeep.runs.leases import Lease
from upkeep.runs.models import Run
from upkeep.runs.queues import Queue
from upkeep.runs.sources import Source
from upkeep.runs.status import HELD, STOPS, Status
from upkeep.tasks import registry
from upkeep.tasks.base import Task

# The rest of the suite counts on the tasks of its own app alone.
with registered(alone=True):
    from tests.browser import shop

    TASKS = dict(registry._classes)

SEE = ("view_run",)
ALL = ("view_run", "run_task", "control_run", "handle_deadletter")

TRACEBACK = """\
Traceback (most recent call last):
  File "/srv/shop/maintenance.py", line 214, in process
    price = supplier.price_of(article.number, currency=article.currency, at=self.day)
  File "/srv/shop/suppliers.py", line 88, in price_of
    return Decimal(self.list[number])
                   ~~~~~~~~~^^^^^^^^
KeyError: 'A-10733'
"""


@dataclass(frozen=True, kw_only=True)
class State:
    """A page in a state, and how a person comes to see it."""

    name: str
    make: Callable[[], str]
    """Lays out the data, and returns the address to open."""
    act: Callable[[Page], object] = lambda page: None
    """What the person does there."""
    status: int = 200
    """What the server answers in the end, if it is not the poll of a live part."""
    may: Collection[str] = ALL
    is_staff: bool = False
    has_tasks: bool = True
    is_ours: bool = True
    """False for a page that is Django's own but for what it tells."""

    def __str__(self) -> str:
        return self.name

    @contextmanager
    def laid_out(self) -> Iterator[tuple[User, str]]:
        """Lay out the data; yield who looks, and the address."""
        with registered(TASKS if self.has_tasks else {}, alone=True):
            yield self.person(), self.make()

    def person(self) -> User:
        """Make the one who looks."""
        user = User.objects.create_user(
            "ada", password="ada", is_staff=self.is_staff, is_superuser=self.is_staff
        )
        user.user_permissions.set(Permission.objects.filter(codename__in=self.may))
        return user


# Runs

# The place of a run that is two thirds through.
AT_WORK = {
    "kind": "queryset",
    "model": "shop.Article",
    "fields": ["-changed_at", "id"],
    "values": [{"$datetime": "2030-06-11T09:12:44+00:00"}, 31_870],
}


def run_in(status: Status, task: type[Task] | None = None, **changes: Any) -> Run:
    """Return a run in a status, with the numbers that it would have by then."""
    run = (task or shop.RecalculatePrices).enqueue(**changes.pop("given", {}))
    WAYS[status](run)
    user = User.objects.filter(username="ada").first()
    defaults: dict[str, Any] = {"requested_by": user, "total": 48_211}
    if run.started_at or status in {Status.PAUSED, Status.INTERRUPTED}:
        defaults |= {
            "created_at": ago(minutes=7, seconds=16),
            "started_at": ago(minutes=7, seconds=12),
            "time_running": timedelta(minutes=6, seconds=48),
            "done": 48_211 if status == Status.SUCCEEDED else 31_870,
            "cursor": AT_WORK,
            "attempts": 4,
        }
    if status in HELD:
        defaults |= {"worker": "worker-2.shop.example:41877"}
    if status in HELD:
        run.events.filter(status=Status.ENQUEUED).update(
            created_at=defaults["created_at"], actor="ada", source=Source.PAGE
        )
        run.events.filter(status=Status.RUNNING).update(
            created_at=defaults["started_at"], actor=defaults["worker"]
        )
    if "cursor" in defaults:
        run.events.filter(status__in=STOPS).update(cursor=AT_WORK)
    Run.objects.filter(pk=run.pk).update(**defaults | changes)
    run.refresh_from_db()
    assert run.status == status
    return run


def _claim(run: Run) -> Claim:
    claim = Claim.take(run.pk, run.lease_token)
    assert claim is not None
    run.refresh_from_db()
    return claim


def _claim_and_pause(run: Run) -> None:
    _claim(run)
    run.pause(by="grace")


def _claim_and_cancel(run: Run) -> None:
    _claim(run)
    run.cancel(by="grace")


def _fail(run: Run) -> None:
    _claim(run).end(
        Status.ERRORED,
        error_class="builtins.KeyError",
        error_at="item 31,871",
        error_message="'A-10733' is in no list of the supplier "
        "https://supplier.example/lists/2024/spring/articles-and-prices.csv",
        traceback=TRACEBACK,
    )


WAYS: dict[Status, Callable[[Run], Any]] = {
    Status.ENQUEUED: lambda run: None,
    Status.RUNNING: _claim,
    Status.INTERRUPTED: lambda run: _claim(run).let_go(reason="Its time was up."),
    Status.PAUSING: _claim_and_pause,
    Status.PAUSED: lambda run: run.pause(by="grace", reason="The supplier is away."),
    Status.CANCELLING: _claim_and_cancel,
    Status.CANCELLED: lambda run: run.cancel(by="grace"),
    Status.ERRORED: _fail,
    Status.DISCARDED: lambda run: _claim(run).end(Status.DISCARDED),
    Status.SUCCEEDED: lambda run: _claim(run).end(Status.SUCCEEDED),
}


def page_of(run: Run) -> str:
    return reverse("upkeep:run", args=[run.pk])


def page_of_task(task: type[Task]) -> str:
    return reverse("upkeep:task", args=[task.label()])


def ago(**time: float) -> datetime:
    return timezone.now() - timedelta(**time)


# The list of tasks


def full_list() -> str:
    run_in(Status.SUCCEEDED, shop.MonthlyReport, given={"month": 3}, total=1, done=1)
    run_in(Status.ERRORED, shop.ThumbnailImages, total=912, done=411)
    for _ in range(3):
        run_in(Status.ENQUEUED, shop.SendReminders, total=None)
    run_in(Status.RUNNING)
    gone()
    return reverse("upkeep:task-list")


def task_list() -> str:
    run_in(Status.RUNNING)
    return reverse("upkeep:task-list")


def search(words: str) -> Callable[[Page], None]:
    def act(page: Page) -> None:
        page.get_by_role("searchbox").fill(words)
        page.get_by_role("button", name="Search").click()
        page.wait_for_url("**?q=*")

    return act


# Pages of tasks


def never_run() -> str:
    return page_of_task(shop.ThumbnailImages)


def form() -> str:
    return page_of_task(shop.ImportCustomers)


def fill_in_wrongly(page: Page) -> None:
    page.get_by_label("At most").fill("0")
    page.get_by_label("Note").fill("For the branch in Leeds, as agreed.")
    page.get_by_label("Trade").check()
    start(page)


def start(page: Page) -> None:
    with page.expect_navigation():
        page.get_by_role("button", name="Run", exact=True).click()


def already_active() -> str:
    run_in(Status.RUNNING)
    return page_of_task(shop.RecalculatePrices)


def gone() -> str:
    run = run_in(Status.PAUSED, shop.SendReminders, total=1_204, done=17)
    Run.objects.filter(pk=run.pk).update(task="newsletter.SendNewsletter")
    return reverse("upkeep:task", args=["newsletter.SendNewsletter"])


def many_runs() -> str:
    for n in range(43):
        status = list(Status)[n % 10]
        run_in(status, shop.SendReminders, total=1_204, done=min(n * 31, 1_204))
    return page_of_task(shop.SendReminders)


def open_source(page: Page) -> None:
    page.get_by_text("Source", exact=True).click()


# Pages of runs


def run_page(status: Status, **changes: Any) -> Callable[[], str]:
    def make() -> str:
        Queue.objects.create(backend="default", name="default", taken_at=ago(seconds=2))
        return page_of(run_in(status, **changes))

    return make


def open_traceback(page: Page) -> None:
    page.get_by_text("Traceback", exact=True).click()


def open_stack(page: Page) -> None:
    page.get_by_text("Stack", exact=True).click()


def long_log() -> str:
    run = run_in(Status.RUNNING)
    for n in range(1, 121):
        run.tell(Event.Kind.LOG, f"Articles {n * 250} to {n * 250 + 249}: 3 are new")
    run.tell(Event.Kind.LOG, "https://supplier.example/" + "lists/" * 30)
    return page_of(run)


def with_result() -> str:
    result = {"month": 3, "sold": 18_204, "returned": 311, "best": ["A-3", "A-17"]}
    given = {"month": 3}
    run = run_in(
        Status.SUCCEEDED,
        shop.MonthlyReport,
        given=given,
        result=result,
        done=1,
        total=1,
        cursor=None,
    )
    run.tell(Event.Kind.LOG, "Counting …")
    return page_of(run)


LETTERS: list[dict[str, Any]] = [
    {
        "item": "shop.Article {}",
        "payload": {"$model": "shop.article", "pk": 4711},
        "error_class": "decimal.InvalidOperation",
        "error_message": "[<class 'decimal.ConversionSyntax'>]",
        "fingerprint": "1a",
    },
    {
        "item": "line {}",
        "payload": {"number": "A-10733", "price": "12,5", "currency": ""},
        "error_class": "builtins.KeyError",
        "error_message": "'currency'",
        "fingerprint": "2b",
        "note": "The supplier sends a new list on Monday.",
        "attempts": 4,
    },
    {
        "item": "shop.Article {}",
        "error_class": "shop.suppliers.Unlisted",
        "error_message": f"No price in {'lists/' * 20}2024.csv",
        "fingerprint": "3c",
    },
]


def run_with_letters(number: int = 23, status: Status = Status.SUCCEEDED) -> Run:
    """Return a run with dead letters of three causes, some of them seen to."""
    run = run_in(status, failed=number, skipped=1_204)
    ada = User.objects.get(username="ada")
    for n in range(number):
        fields: dict[str, Any] = LETTERS[n % 3] | {
            "created_at": ago(minutes=number - n),
            "traceback": TRACEBACK,
        }
        fields["item"] = fields["item"].format(4711 + n)
        run.dead_letters.create(**fields, owner=ada if n % 3 == 1 else None)
    some = run.dead_letters.order_by("pk")
    some[:2].discard("They are test articles.", by="grace")
    some[2:5].retry(by="ada", rate=0.5)
    return run


def with_dead_letters() -> str:
    return page_of(run_with_letters(status=Status.RUNNING))


def letters(number: int = 23, **query: str) -> Callable[[], str]:
    def make() -> str:
        run = run_with_letters(number)
        return reverse("upkeep:run-letters", args=[run.pk]) + (
            f"?{urlencode(query)}" if query else ""
        )

    return make


def no_letters() -> str:
    return reverse("upkeep:run-letters", args=[run_in(Status.SUCCEEDED).pk])


def discard_without_a_reason(page: Page) -> None:
    page.get_by_role("checkbox", name="Article").first.check()
    page.get_by_label("Note").fill("Ask before the second half.")
    press(page, "Discard")


def take_some(page: Page) -> None:
    page.get_by_role("checkbox", name="line").first.check()
    press(page, "Assign to me")


def retry_all(page: Page) -> None:
    page.get_by_label("All that are open").check()
    page.get_by_label("Items a second").fill("2.5")
    press(page, "Retry")


def press(page: Page, name: str) -> None:
    with page.expect_navigation():
        page.get_by_role("button", name=name, exact=True).click()


def one_letter(place: int) -> Callable[[], str]:
    def make() -> str:
        letter = run_with_letters().dead_letters.order_by("pk")[place]
        return reverse("upkeep:letter", args=[letter.pk])

    return make


CALL = "shop.payments.charge_card"


def kept_call(**fields: Any) -> DeadLetter:
    fields = {
        "item": "charge_card(order=4711, amount=12.5)",
        "payload": {"args": [4711], "kwargs": {"amount": 12.5}},
        "error_class": "shop.payments.PaymentError",
        "error_message": "The bank says: try again later.",
    } | fields
    return DeadLetter.objects.create(call=CALL, traceback=TRACEBACK, **fields)


def kept_calls() -> str:
    for order in range(4711, 4715):
        kept_call(item=f"charge_card(order={order}, amount=12.5)")
    return reverse("upkeep:call-letters", args=[CALL])


def call_with_obstacle() -> str:
    letter = kept_call(
        payload={"args": [4711], "kwargs": {"card": "[FILTERED]"}},
        obstacle="Its argument card is masked, so it was not kept.",
    )
    return reverse("upkeep:letter", args=[letter.pk])


def all_letters() -> str:
    run_with_letters()
    run_with_letters(7)
    kept_calls()
    return reverse("upkeep:letter-list")


def tasks_with_letters() -> str:
    all_letters()
    return reverse("upkeep:task-list")


def retrial() -> str:
    run_with_letters()
    return page_of(Run.objects.get(parent__isnull=False))


def pause_by_address() -> str:
    """Return what a login page leads on to where somebody was logged out meanwhile."""
    return reverse("upkeep:run-pause", args=[run_in(Status.RUNNING).pk])


def discard_by_address() -> str:
    return reverse("upkeep:run-letters-discard", args=[run_with_letters().pk])


def throttled() -> str:
    return page_of(
        run_in(
            Status.INTERRUPTED,
            throttled_by="replica_is_behind",
            throttled_reason="40 s behind the primary.",
            throttled_since=ago(minutes=3),
            run_after=ago(minutes=-1),
        )
    )


def with_parameters() -> str:
    run = run_in(
        Status.RUNNING,
        shop.ImportCustomers,
        given={
            "csv_file": ContentFile(b"email\nada@example.com\n", "leeds-2024.csv"),
            "branch": "leeds",
            "kinds": ["retail", "trade"],
            "on_conflict": "update",
            "at_most": 500,
            "note": "Agreed with the branch.\nAsk before the second half.",
            "contact": "ada@example.com",
            "api_key": "not to be shown",
        },
        total=500,
        done=120,
        cursor={"kind": "csv", "offset": 6_912, "line": 121},
        metadata={"ticket": "SHOP-412", "asked_by": {"team": "Sales", "floor": 3}},
    )
    return page_of(run)


def no_worker() -> str:
    Queue.objects.create(
        backend="default", name="maintenance", taken_at=ago(minutes=12)
    )
    run = run_in(Status.ENQUEUED, shop.SendReminders, created_at=ago(minutes=12))
    run.events.update(created_at=ago(minutes=12))
    return page_of(run)


def no_worker_ever() -> str:
    run = run_in(Status.ENQUEUED, total=None, created_at=ago(hours=3))
    run.events.update(created_at=ago(hours=3))
    return page_of(run)


def unknown_total() -> str:
    return page_of(run_in(Status.RUNNING, total=None))


def worker_not_heard() -> str:
    run = run_in(Status.RUNNING, lease_until=ago(seconds=20))
    Lease.objects.filter(run=run).update(until=ago(seconds=20))
    return page_of(run)


STACK = """\
  File "/srv/shop/maintenance.py", line 214, in process
    price = supplier.price_of(article.number, currency=article.currency, at=self.day)
  File "/srv/shop/suppliers.py", line 71, in price_of
    answer = self.connection.getresponse()
"""


def stuck() -> str:
    run = run_in(Status.RUNNING)
    Lease.objects.filter(run=run).update(
        until=ago(seconds=-200),
        item="shop.Article 31871",
        item_since=ago(minutes=12),
        place="maintenance.py:214, in process",
        stack=STACK,
    )
    return page_of(run)


def estimated() -> str:
    return page_of(run_in(Status.RUNNING, total=9_406_118, is_total_estimated=True))


def wish_too_late(page: Page) -> None:
    """Press Pause when the run has just come to its end, and no poll has told it."""
    page.locator("#live").evaluate("part => part.removeAttribute('data-live')")
    assert Run.objects.get().move_to(Status.SUCCEEDED, done=48_211)
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("alert").wait_for()


# Others


def forbidden() -> str:
    return reverse("upkeep:task-list")


def no_such_run() -> str:
    return reverse("upkeep:run", args=[404])


def admin_list() -> str:
    for status in Status:
        run_in(status, shop.SendReminders, total=1_204, done=311)
    return reverse("admin:upkeep_run_changelist")


def admin_list_of_letters() -> str:
    run_with_letters()
    kept_calls()
    return reverse("admin:upkeep_deadletter_changelist")


def see_the_progress(page: Page) -> None:
    """Wait until the run is there: a page that shows nothing has no fault, either."""
    page.get_by_role("progressbar").wait_for()


def host_page() -> str:
    run = run_in(Status.RUNNING)
    return reverse("host-page", args=[run.pk])


STATES = [
    State(name="tasks-none", make=lambda: reverse("upkeep:task-list"), has_tasks=False),
    State(name="tasks-new", make=lambda: reverse("upkeep:task-list")),
    State(name="tasks-full", make=full_list),
    State(name="tasks-letters", make=tasks_with_letters),
    State(name="tasks-found", make=task_list, act=search("articles")),
    State(name="tasks-not_found", make=task_list, act=search("gallimaufry")),
    State(name="task-never_run", make=never_run),
    State(name="task-form", make=form),
    State(name="task-wrong_value", make=form, act=fill_in_wrongly, status=422),
    State(name="task-active", make=already_active),
    State(name="task-already_active", make=already_active, act=start, status=409),
    State(name="task-may_not_start", make=form, may=SEE),
    State(name="task-gone", make=gone),
    State(name="task-many_runs", make=many_runs),
    State(name="task-older_runs", make=lambda: many_runs() + "?before-run=21"),
    State(name="task-source", make=form, act=open_source),
    *(State(name=f"run-{status}", make=run_page(status)) for status in Status),
    State(name="run-traceback", make=run_page(Status.ERRORED), act=open_traceback),
    State(name="run-may_not_steer", make=run_page(Status.RUNNING), may=SEE),
    State(name="run-long_log", make=long_log),
    State(name="run-result", make=with_result),
    State(name="run-throttled", make=throttled),
    State(name="run-dead_letters", make=with_dead_letters),
    State(name="run-retrial", make=retrial),
    State(name="run-nothing_done", make=pause_by_address),
    State(name="letters-nothing_done", make=discard_by_address),
    State(name="letters-open", make=letters()),
    State(name="letters-none", make=no_letters),
    State(name="letters-retrying", make=letters(state="retrying")),
    State(name="letters-discarded", make=letters(state="discarded")),
    State(name="letters-of_a_cause", make=letters(cause="2b")),
    State(name="letters-many", make=letters(61)),
    State(
        name="letters-no_reason",
        make=letters(),
        act=discard_without_a_reason,
        status=422,
    ),
    State(name="letters-taken", make=letters(), act=take_some),
    State(name="letters-retried", make=letters(), act=retry_all),
    State(name="letters-may_not_handle", make=letters(), may=SEE),
    State(name="letters-of_calls", make=kept_calls),
    State(name="letters-all", make=all_letters),
    State(name="letters-all_none", make=lambda: reverse("upkeep:letter-list")),
    State(name="letter-record", make=one_letter(8)),
    State(name="letter-row", make=one_letter(7)),
    State(name="letter-retrying", make=one_letter(3)),
    State(name="letter-traceback", make=one_letter(7), act=open_traceback),
    State(name="letter-may_not_handle", make=one_letter(7), may=SEE),
    State(name="letter-obstacle", make=call_with_obstacle),
    State(name="run-parameters", make=with_parameters),
    State(name="run-unknown_total", make=unknown_total),
    State(name="run-no_worker", make=no_worker),
    State(name="run-no_worker_ever", make=no_worker_ever),
    State(name="run-worker_not_heard", make=worker_not_heard),
    State(name="run-estimated", make=estimated),
    State(name="run-stuck", make=stuck),
    State(name="run-stuck_stack", make=stuck, act=open_stack),
    State(
        name="run-refused", make=run_page(Status.RUNNING), act=wish_too_late, status=409
    ),
    State(name="refusal-403", make=forbidden, may=(), status=403),
    State(name="refusal-404", make=no_such_run, status=404),
    State(name="admin-runs", make=admin_list, is_staff=True, is_ours=False),
    State(
        name="admin-letters",
        make=admin_list_of_letters,
        is_staff=True,
        is_ours=False,
    ),
    State(name="host-progress", make=host_page, act=see_the_progress),
]
