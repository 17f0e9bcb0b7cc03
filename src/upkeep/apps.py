"""Upkeep as a Django app."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class UpkeepConfig(AppConfig):
    """Find the tasks of the project, and open the one door upwards."""

    name = "upkeep"
    verbose_name = _("Upkeep")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from upkeep import checks  # noqa: F401 - registers itself
        from upkeep.dispatch import calls, enqueue, messages
        from upkeep.execution import announcements, mails
        from upkeep.execution.calls import call_again, keep
        from upkeep.port import port
        from upkeep.tasks import registry

        port.enqueue = enqueue.enqueue
        port.run_now = enqueue.run_now
        port.announce = announcements.announce
        port.is_listened_to = announcements.is_listened_to
        port.mail_of_error = mails.tell_of_error
        port.call_worker = messages.send
        port.check_queue = messages.check
        port.defers = messages.defers
        port.keep = keep
        port.call_again = call_again
        port.send_again = calls.send_again
        registry.discover()
