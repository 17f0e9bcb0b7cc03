"""What one can ask of `manage.py upkeep`, a file for each verb."""

from upkeep.management.verbs.base import Verb
from upkeep.management.verbs.discard import DiscardLetters
from upkeep.management.verbs.letters import ListLetters
from upkeep.management.verbs.list import ListTasks
from upkeep.management.verbs.log import TellLog
from upkeep.management.verbs.prune import Prune
from upkeep.management.verbs.recover import Recover
from upkeep.management.verbs.retry import RetryLetters
from upkeep.management.verbs.run import RunTask
from upkeep.management.verbs.status import ShowStatus
from upkeep.management.verbs.wishes import Cancel, Pause, Resume
from upkeep.management.verbs.worker import StartWorker

VERBS: dict[str, type[Verb]] = {
    verb.name: verb
    for verb in (
        ListTasks,
        RunTask,
        ShowStatus,
        TellLog,
        Pause,
        Resume,
        Cancel,
        ListLetters,
        RetryLetters,
        DiscardLetters,
        Recover,
        Prune,
        StartWorker,
    )
}
