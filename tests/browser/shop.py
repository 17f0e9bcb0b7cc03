"""Tasks of a pretended web shop, for the states of the pages; nobody runs them."""

from typing import Any

from django import forms

from upkeep import Job, Task, parameter
from upkeep.forms import CSVField
from upkeep.tasks.collections.files import CSVFile

DATE = forms.DateInput(attrs={"type": "date"})


class RecalculatePrices(Task):
    """Bring the prices of all articles up to date with the list of the supplier."""

    app_label = "shop"

    def collection(self) -> Any:
        return range(48_211)

    def process(self, article: int) -> None:
        raise NotImplementedError


class ImportCustomers(Task):
    """
    Import customers from the file of a branch.

    A customer that is known by the e-mail address is brought up to date; all others
    are added. Lines without an address are passed over, and counted in the log.
    """

    app_label = "shop"
    concurrency = None
    masked = ("contact",)

    csv_file: CSVFile = parameter(CSVField(help_text="With a header, in UTF-8."))
    branch: str = parameter(
        forms.ChoiceField(
            choices=[("bremen", "Bremen"), ("leeds", "Leeds"), ("porto", "Porto")]
        )
    )
    at_most: int = parameter(
        forms.IntegerField(
            min_value=1, initial=500, help_text="Stop behind so many lines."
        )
    )
    discount: Any = parameter(
        forms.DecimalField(required=False, decimal_places=2, max_value=99)
    )
    since: Any = parameter(forms.DateField(required=False, widget=DATE))
    kinds: list[str] = parameter(
        forms.MultipleChoiceField(
            choices=[("retail", "Retail"), ("trade", "Trade"), ("press", "Press")],
            widget=forms.CheckboxSelectMultiple,
            help_text="None means all.",
            required=False,
        )
    )
    on_conflict: str = parameter(
        forms.ChoiceField(
            choices=[("update", "Bring it up to date"), ("skip", "Leave it alone")],
            widget=forms.RadioSelect,
            initial="update",
        )
    )
    regions: list[str] = parameter(
        forms.MultipleChoiceField(
            choices=[("north", "North"), ("south", "South"), ("west", "West")],
            required=False,
        )
    )
    note: str = parameter(forms.CharField(required=False, widget=forms.Textarea))
    contact: str = parameter(forms.CharField(required=False))
    api_key: str = parameter(forms.CharField(help_text="Of the postal service."))
    dry_run: bool = parameter(forms.BooleanField(required=False))

    def collection(self) -> Any:
        return self.csv_file

    def process(self, row: dict[str, str]) -> None:
        raise NotImplementedError


class MonthlyReport(Job):
    """Count what was sold in a month, and how much of it came back."""

    app_label = "shop"

    month: Any = parameter(forms.IntegerField(min_value=1, max_value=12, initial=1))

    def perform(self) -> Any:
        raise NotImplementedError


class RemoveAbandonedCartsOfVisitorsWhoNeverCameBackAgain(Task):
    """Delete carts that nobody has touched for a year."""

    app_label = "shop"

    def collection(self) -> Any:
        return range(7)

    def process(self, cart: int) -> None:
        raise NotImplementedError


class SendReminders(Task):
    """Remind those who have not paid for thirty days."""

    app_label = "billing"
    queue = "maintenance"
    concurrency = None

    def collection(self) -> Any:
        return range(1_204)

    def process(self, invoice: int) -> None:
        raise NotImplementedError


class ThumbnailImages(Task):
    """Make small pictures of all that were uploaded."""

    app_label = "media"

    def collection(self) -> Any:
        return range(912)

    def process(self, image: int) -> None:
        raise NotImplementedError
