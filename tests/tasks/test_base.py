"""What a developer writes: a class, refused early where it cannot work."""

from datetime import timedelta
from typing import Any

import pytest
from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from tests.testapp.maintenance import CountUp, CountUpTo, Report
from tests.testapp.models import Effect, Item
from upkeep import Job, Task, parameter
from upkeep.exceptions import InvalidParameters, InvalidTask
from upkeep.port import Port


class Span(Task):
    """
    Walk a span.

    It has two ends.
    """

    app_label = "testapp"
    abstract = True

    low: int = parameter(forms.IntegerField(initial=0))
    high: int = parameter(forms.IntegerField())
    password = forms.CharField(required=False)

    def collection(self) -> range:
        return range(self.low, self.high)

    def clean(self) -> None:
        if self.high < self.low:
            raise ValidationError("The span ends before it begins.")
        if self.high > 100:
            raise ValidationError({"high": "That is too high."})


def make(**attributes: Any) -> type[Task]:
    """Make a task class as a class statement inside a function does."""
    made: type[Task] = child_of(Task, "Made", **attributes)
    return made


def child_of(parent: type[Task], name: str = "Child", **attributes: Any) -> Any:
    return type(name, (parent,), {"__qualname__": f"f.<locals>.{name}", **attributes})


def lazy_generator(self: Task, item: Any) -> Any:
    yield item


async def lazy_coroutine(self: Task, item: Any = None) -> None: ...


class TestClass:
    """Written badly, it is refused when it is made, not when it runs at night."""

    @pytest.mark.parametrize(
        ("attributes", "sentence"),
        [
            ({"chunk": 5}, "Made.chunk must be a timedelta, or None"),
            ({"time_budget": 120}, "Made.time_budget must be a timedelta, or None"),
            ({"batch_size": 0}, "Made.batch_size must be 1 or more"),
            ({"cursor_fields": "created_at"}, "cursor_fields must be a tuple of"),
            ({"cursor_fields": ()}, "cursor_fields must be a tuple of field names"),
            ({"cursor_fields": (1,)}, "cursor_fields must be a tuple of field names"),
            ({"masked": "api_key"}, "Made.masked must be a tuple of parameters"),
            ({"batch_size": "many"}, "Made.batch_size must be 1 or more"),
            ({"concurrency": 0}, "Made.concurrency must be 1 or more, or None"),
            ({"process": lazy_generator}, r"Made.process\(\) must be a plain method"),
            ({"process": lazy_coroutine}, r"Made.process\(\) must be a plain method"),
            ({"perform": lazy_coroutine}, r"Made.perform\(\) must be a plain method"),
        ],
    )
    def test_with_an_attribute_that_cannot_be_is_refused(
        self, attributes: dict[str, Any], sentence: str
    ) -> None:
        with pytest.raises(InvalidTask, match=sentence):
            make(**attributes)

    @pytest.mark.parametrize(
        "attributes",
        [
            {"chunk": timedelta(seconds=1), "time_budget": timedelta(hours=1)},
            {"chunk": None, "time_budget": None, "concurrency": None},
            {"batch_size": 1, "concurrency": 5},
            {"cursor_fields": ["created_at", "-pk"]},
        ],
    )
    def test_with_attributes_that_can_be_is_made(
        self, attributes: dict[str, Any]
    ) -> None:
        assert make(**attributes)

    @pytest.mark.parametrize(
        "name",
        [
            "process",
            "collection",
            "perform",
            "enqueue",
            "run",
            "queue",
            "log",
            "metadata",
            "masked",
            "result",
            "fields",
            "_hidden",
        ],
    )
    def test_with_a_parameter_by_the_name_of_our_own_is_refused(
        self, name: str
    ) -> None:
        with pytest.raises(InvalidTask, match=rf"{name}.*Made|Made.*{name}"):
            make(**{name: forms.CharField()})

    def test_has_its_parameters_in_order(self) -> None:
        assert list(Span.fields) == ["low", "high", "password"]

    def test_is_abstract_only_where_it_says_so_itself(self) -> None:
        assert Span.abstract
        assert not child_of(Span).abstract

    def test_masks_what_its_parents_mask(self) -> None:
        class Mixin:
            masked = ("iban",)

        parent = make(masked=("story",))
        child = type("Child", (Mixin, parent), {"__qualname__": "f.<locals>.Child"})
        grandchild = child_of(child, masked=("key", "story"))
        assert set(grandchild.masked) == {"story", "iban", "key"}
        assert parent.masked == ("story",)

    def test_describes_itself_by_its_own_docstring(self) -> None:
        assert Span.description() == "Walk a span.\n\nIt has two ends."
        assert make().description() == ""
        assert child_of(Job).description() == ""


class TestLabel:
    def test_is_the_app_and_the_class(self) -> None:
        assert CountUp.label() == "testapp.CountUp"

    def test_can_name_another_app(self) -> None:
        assert make(app_label="shop").label() == "shop.Made"

    def test_outside_of_all_apps_says_what_to_do(self) -> None:
        with pytest.raises(InvalidTask, match=r"installed app: move it to <app>/main"):
            make(__module__="nowhere").label()


class TestParameters:
    def test_are_attributes_cleaned(self) -> None:
        assert Span(high="5").high == 5

    def test_that_are_left_out_take_their_initial(self) -> None:
        assert Span(high=5).low == 0

    @pytest.mark.parametrize(
        ("given", "errors"),
        [
            ({}, {"high": ["This field is required."]}),
            ({"high": "x"}, {"high": ["Enter a whole number."]}),
            ({"high": 1, "low": 2}, {"__all__": ["The span ends before it begins."]}),
            ({"high": 101}, {"high": ["That is too high."]}),
        ],
    )
    def test_that_are_wrong_are_named(
        self, given: dict[str, Any], errors: dict[str, list[str]]
    ) -> None:
        with pytest.raises(InvalidParameters) as caught:
            Span(**given)
        assert caught.value.errors == errors

    def test_of_a_run_are_not_cleaned_again(self) -> None:
        """What was right when it was asked for is done, whatever the rules are now."""
        restored = Span.restore({"low": 5, "high": 500, "password": ""})
        assert (restored.low, restored.high) == (5, 500)


class TestWithoutAQueue:
    """A task is an object like any other: its tests need no queue and no run."""

    @pytest.mark.django_db
    def test_process_can_be_called(self) -> None:
        item = Item.objects.create()
        CountUpTo(up_to=item.pk).process(item)
        item.refresh_from_db()
        assert (item.n, Effect.objects.count()) == (1, 1)

    def test_there_is_no_run_and_nothing_attached(self) -> None:
        task = Span(high=3)
        assert (task.run, task.metadata) == (None, {})
        task.log("It can be logged.")

    @pytest.mark.parametrize("start", ["enqueue", "run_now", "using"])
    def test_an_instance_cannot_be_started(self, start: str) -> None:
        """It has parameters already, and would silently start a run without them."""
        with pytest.raises(AttributeError, match="only on the class"):
            getattr(Span(low=1, high=4), start)

    def test_collection_can_be_looked_at(self) -> None:
        assert list(Span(low=1, high=4).collection()) == [1, 2, 3]
        assert Span(low=1, high=4).count() == 3

    @pytest.mark.django_db
    def test_a_job_can_be_performed(self) -> None:
        assert Report().perform() == {"items": 0}

    @pytest.mark.parametrize("method", ["collection", "process"])
    def test_what_was_not_written_says_so(self, method: str) -> None:
        arguments = [None] if method == "process" else []
        with pytest.raises(InvalidTask, match=rf"Made must define {method}\("):
            getattr(make()(), method)(*arguments)


class TestJob:
    def test_is_no_transaction(self) -> None:
        assert Job.atomic is False

    def test_without_perform_says_so(self) -> None:
        with pytest.raises(InvalidTask, match=r"Child must define perform\(\)"):
            child_of(Job)().perform()

    def test_keeps_what_it_returned(self) -> None:
        job = self.returning({"rows": 3})
        job.process(None)
        assert job.result == {"rows": 3}

    @pytest.mark.parametrize("result", [object(), {1, 2}, float("nan")])
    def test_that_returns_what_json_cannot_hold_says_so(self, result: Any) -> None:
        with pytest.raises(InvalidTask, match=r"does not fit in JSON: .* Return numb"):
            self.returning(result).process(None)

    def returning(self, result: Any) -> Any:
        return child_of(Job, perform=lambda self: result)()


class TestLog:
    def test_hides_what_is_masked(self) -> None:
        task = Span(high=3, password="hunter22")
        task.log("We come in by hunter22.")
        assert task.log_lines == ["We come in by [FILTERED]."]

    def test_takes_anything(self) -> None:
        task = Span(high=3)
        task.log(7)  # type: ignore[arg-type]
        assert task.log_lines == ["7"]


class TestUsing:
    def test_says_nothing_where_nothing_is_said(self) -> None:
        order = Span.using()
        assert (order.queue, order.priority, order.backend) == ("default", 0, "default")
        assert (order.run_after, order.by, order.metadata) == (None, None, {})

    def test_comes_before_what_the_class_says(self) -> None:
        slow = make(queue="slow", priority=5, backend="second")
        order = slow.using()
        assert (order.queue, order.priority, order.backend) == ("slow", 5, "second")
        order = slow.using(queue="fast", priority=0, backend="default")
        assert (order.queue, order.priority, order.backend) == ("fast", 0, "default")

    def test_can_be_said_once_and_used_often(self) -> None:
        order = Span.using(metadata={"a": 1})
        assert order.given == {}
        assert not hasattr(order, "__dict__")

    @pytest.mark.django_db
    def test_reaches_the_run(self) -> None:
        moment = timezone.now() + timedelta(hours=1)
        order = CountUp.using(run_after=moment, by="cron", metadata={"ticket": 7})
        run = order.enqueue()
        assert (run.run_after, run.metadata) == (moment, {"ticket": 7})

    @pytest.mark.django_db
    def test_its_moment_outlives_a_pause(self) -> None:
        moment = timezone.now() + timedelta(hours=1)
        run = CountUp.using(run_after=moment).enqueue()
        run.pause()
        run.resume()
        assert run.run_after == moment


class TestPort:
    def test_before_django_is_set_up_says_what_is_missing(self) -> None:
        with pytest.raises(RuntimeError, match="add 'upkeep' to INSTALLED_APPS"):
            Port().enqueue(Span.using())
