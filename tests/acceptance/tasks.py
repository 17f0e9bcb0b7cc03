"""What developers write: tasks, their collections, their files."""

from tests.acceptance.statements import (
    better,
    no_counterpart,
    shown,
)

STATEMENTS = [
    shown(
        "TSK-01",
        "All tasks are found, however deep their modules lie.",
        "tasks/test_registry.py::TestDiscovery::test_finds_packages_however_deep",
        "tasks/test_registry.py::TestTasks::test_come_in_the_order_of_their_labels",
    ),
    no_counterpart(
        "TSK-02",
        "A former name of the list of tasks warns.",
        why="It is the history of an interface that was never ours.",
    ),
    shown(
        "TSK-03",
        "A task is found by its name.",
        "tasks/test_registry.py::TestGet::test_finds_by_label",
    ),
    shown(
        "TSK-04",
        "A name that no task has is an error that tells it.",
        "tasks/test_registry.py::TestGet::test_names_the_nearest",
    ),
    shown(
        "TSK-05",
        "The name of something that is no task finds nothing.",
        "tasks/test_registry.py::TestGet::test_finds_nothing_that_is_no_task",
    ),
    better(
        "TSK-06",
        "The work for one item can be tried without a run.",
        "tasks/test_base.py::TestWithoutAQueue::test_process_can_be_called",
        ours="The task is made with its parameters, which are cleaned, and called.",
        heading="docs/reference.md#Tasks",
    ),
    better(
        "TSK-07",
        "The collection can be looked at without a run.",
        "tasks/test_base.py::TestWithoutAQueue::test_collection_can_be_looked_at",
        ours="It depends on parameters, so one makes the task with them first.",
        heading="docs/reference.md#Tasks",
    ),
    better(
        "TSK-08",
        "The count can be asked without a run.",
        "tasks/test_base.py::TestWithoutAQueue::test_collection_can_be_looked_at",
        ours="It is asked of a task that has its parameters.",
        heading="docs/reference.md#Tasks",
    ),
    shown(
        "TSK-09",
        "A task that says nothing of its count has that of its collection.",
        "tasks/test_base.py::TestWithoutAQueue::test_collection_can_be_looked_at",
    ),
    shown(
        "TSK-10",
        "A task without a collection says what to write.",
        "tasks/test_base.py::TestWithoutAQueue::test_what_was_not_written_says_so",
    ),
    shown(
        "TSK-12",
        "A task has no throttles unless it says so, and inherits those of its parents.",
        "execution/test_throttling.py::TestAsked::test_one_that_lets_go_costs_no_query",
        "tasks/test_throttles.py::TestCollected::"
        "test_those_of_a_subclass_before_those_of_its_parents",
        "tasks/test_throttles.py::TestCollected::"
        "test_a_subclass_that_adds_some_changes_no_parent",
    ),
    shown(
        "TSK-13",
        "A throttle waits for a while that it need not name.",
        "tasks/test_throttles.py::TestAsked::test_true_lets_it_wait_for_the_backoff",
    ),
    shown(
        "TSK-15",
        "How often a person's wish is looked for is a setting.",
        "execution/test_executor.py::TestChunks::test_it_lasts_as_long_as_is_said",
        "execution/test_interruption.py::TestWish::"
        "test_is_looked_for_once_a_chunk_and_not_at_each_item",
    ),
    shown(
        "TSK-16",
        "A task can say it for itself.",
        "execution/test_executor.py::TestChunks::test_it_lasts_as_long_as_is_said",
    ),
    shown(
        "BCB-01",
        "The last batch of a file counts, though it is smaller.",
        "tasks/collections/files/test_csv.py::TestCount::test_is_exact",
    ),
    shown(
        "BCB-02",
        "Batches that come out even are counted so.",
        "tasks/collections/files/test_csv.py::TestCount::test_is_exact",
    ),
    shown(
        "CCB-01",
        "A file parameter is walked as rows.",
        "tasks/collections/test_base.py::TestCollect::test_takes_what_can_be_walked",
        "tasks/collections/files/test_csv.py::TestFile::test_gives_rows_and_batches",
    ),
    shown(
        "CCB-03",
        "A task that takes a file asks for one.",
        "web/test_forms.py::TestEveryKindOfField::test_files_are_uploaded",
    ),
    shown(
        "CSV-01",
        "Values are found by the names of their columns, and letters of all kinds "
        "survive.",
        "tasks/collections/files/test_csv.py::TestWalk::test_every_row_once",
        "tasks/collections/files/test_csv.py::TestWalk::"
        "test_whatever_the_ends_of_lines",
    ),
    shown(
        "CSV-02",
        "The field says which lines to pass over and what to make of values.",
        "tasks/collections/files/test_csv.py::TestOptions::test_give_the_same_rows",
        "tasks/collections/files/test_csv.py::TestOptions::"
        "test_numbers_without_quotation_marks",
    ),
    shown(
        "CSV-04",
        "A file in another encoding is an error where it is read.",
        "tasks/collections/files/test_csv.py::TestErrors::test_names_the_line",
        "tasks/collections/files/test_broken.py::"
        "test_stops_the_walk_behind_the_row_before",
    ),
    shown(
        "CSV-05",
        "A file is in UTF-8 unless the field says otherwise.",
        "tasks/collections/files/test_csv.py::TestWalk::"
        "test_whatever_the_ends_of_lines",
        "test_docs.py::test_every_option_of_a_field_is_there_with_its_default",
    ),
    shown(
        "NUL-01",
        "A task that has no collection at all says what to write.",
        "tasks/test_base.py::TestWithoutAQueue::test_what_was_not_written_says_so",
    ),
    no_counterpart(
        "NUL-02",
        "The count of such a task is a marker.",
        why=(
            "The marker is a private value; here the default of count() asks the "
            "collection, and so raises its error."
        ),
    ),
    shown(
        "NUL-03",
        "A task that takes no file asks for none.",
        "web/test_forms.py::TestEveryKindOfField::"
        "test_without_files_nothing_is_uploaded",
    ),
]
